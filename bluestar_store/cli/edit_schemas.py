"""`schema`: the JSON Schemas of the rule files, and a vendor's schema changed or deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bluestar_store.cli.asking import Yes
from bluestar_store.cli.editing import bad_values, delete, write
from bluestar_store.cli.errors import BadUsage
from bluestar_store.cli.options import AsJson, group_options, opened_store, output

Vendor = Annotated[str, typer.Argument(metavar="VENDOR", help="A vendor's identifier.", show_default=False)]


class SchemaGroup(TyperGroup):
    """`schema DIR` means `schema write DIR`; for a folder called `set`, `./set`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = ["write", *args]
        return super().resolve_command(ctx, args)


schema = typer.Typer(
    cls=SchemaGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    subcommand_metavar="DIR | COMMAND [ARGS]...",
    help="JSON Schemas of rule files; schemas of vendors.\n\n`schema DIR` is `schema write DIR`.",
)
schema.callback()(group_options)


@schema.command("write")
def write_schemas(
    ctx: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", file_okay=False, help="Made if need be.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Write JSON Schemas of the rule files: editors complete and check.

    Name one in a rule file, as the first line: "$schema": "DIR/calculation-rules.schema.json".
    """
    with output(ctx, as_json) as out:
        from bluestar_store.rulesets import json_schemas
        from bluestar_store.store import tables_of

        kinds = tables_of(ctx.obj.given.settings()).kinds
        try:
            paths = [str(path) for path in json_schemas.write_schemas(folder, kinds)]
        except OSError as error:
            raise BadUsage(f"{folder} cannot be written: {error.strerror}") from None
        out.show(paths, *paths)


@schema.command("set")
def set_schema(
    ctx: typer.Context,
    vendor: Vendor,
    values: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FINGERPRINT|KEY=VALUE",
            help="First, if need be, a FINGERPRINT (without: of the columns in --file); then plan_id=ACME, "
            "pay_freq=Weekly, ...",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help='JSON with the columns, the mapping or both: {"columns": ["SSN"], "mapping": {"SSN": "ssn"}}.',
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Set values of a vendor's schema; make the schema if need be.

    Shows the difference and asks.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.models.vendor import fingerprint
        from bluestar_store.rulesets import editing

        first, *rest = values or [""]
        given, texts = ("", values or []) if "=" in first else (first, rest)
        kind = store.tables.named("vendor-schema")
        wanted = editing.read_columns(file) if file is not None else {}
        with bad_values():
            named = editing.values_of(kind, texts)
            if twice := wanted.keys() & named.keys():
                raise BadUsage(f"{', '.join(sorted(twice))} is given twice: by --file and by itself")
            wanted |= named
            if not wanted:
                raise BadUsage("nothing to set: give --file, KEY=VALUE or both")
            if not given and "columns" not in wanted:
                raise BadUsage("give a FINGERPRINT (see inspect schema VENDOR), or the columns, by --file")
            identity = {"vendor_id": vendor, "fingerprint": given or fingerprint(wanted["columns"])}
            part = editing.changed(store, kind, identity, wanted)
        write(store, out, part, yes=yes)


@schema.command("delete")
def delete_schema(
    ctx: typer.Context,
    vendor: Vendor,
    fingerprint: Annotated[str, typer.Argument(metavar="FINGERPRINT", show_default=False)],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete one schema of a vendor.

    Shows it and asks.
    """
    delete(ctx, as_json, "vendor-schema", {"vendor_id": vendor, "fingerprint": fingerprint}, yes=yes)
