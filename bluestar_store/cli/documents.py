"""`bluestar-store documents`: the items of the schemaless store, and files of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.errors import DIFFERENCES, BadUsage
from bluestar_store.cli.options import AsJson, group_options, output
from bluestar_store.cli.output import Grid

if TYPE_CHECKING:
    from bluestar_store.documents import DocumentStore

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List, export or import plain documents.")
app.callback()(group_options)

Table = Annotated[
    str, typer.Argument(metavar="TABLE:KEY", show_default=False, help="A table and its key, such as orders:orderId.")
]
Tables = Annotated[
    list[str], typer.Argument(metavar="TABLE:KEY", show_default=False, help="Tables and their keys: orders:orderId.")
]
DataFile = Annotated[
    Path, typer.Argument(metavar="FILE", dir_okay=False, show_default=False, help="JSON: {table: [items]}.")
]
Schema = Annotated[
    Path | None,
    typer.Option("--schema", metavar="FILE", dir_okay=False, show_default=False, help="A JSON Schema for the file."),
]


def opened(ctx: typer.Context, table: str, *, reading: bool = False) -> DocumentStore:
    """The store of TABLE:KEY. A command that only reads makes no table: TableMissingError."""
    from bluestar_store.documents import get_store
    from bluestar_store.documents.opening import table_exists
    from bluestar_store.errors import TableMissingError

    name, colon, pk_name = table.partition(":")
    if not (colon and name and pk_name):
        raise BadUsage(f"{table} is no TABLE:KEY, such as customer-orders:orderId")
    settings = ctx.obj.given.settings()
    if reading and not table_exists(name, settings):
        raise TableMissingError(f"there is no table of documents {name}: mend its name, or the settings")
    return get_store(name, pk_name, settings=settings)


@app.command("list")
def list_(
    ctx: typer.Context,
    table: Table,
    every: Annotated[bool, typer.Option("--all", "-a", help="Soft-deleted items too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the items of a table, by their keys."""
    with output(ctx, as_json) as out:
        from bluestar_store.documents.json_form import json_item
        from bluestar_store.documents.values import wire_document

        store = opened(ctx, table, reading=True)
        items = [json_item(wire_document(found)) for found in store.list(hide_soft_deleted=not every)]
        names = sorted({name for item in items for name in item} - {store.pk_name})
        grid = Grid.of(f"{store.table_name}: {len(items)}", items, {name: name for name in (store.pk_name, *names)})
        out.show({"table": store.table_name, "items": items}, grid)


@app.command("export")
def export(ctx: typer.Context, file: DataFile, tables: Tables, as_json: AsJson = False) -> None:
    """Write tables to a file, soft-deleted items too.

    It can be imported in either mode, or be test data. The same items give the same bytes.
    """
    with output(ctx, as_json) as out:
        from bluestar_store.documents import export_documents

        counts = export_documents([opened(ctx, table, reading=True) for table in tables], file)
        out.show(counts, Grid(f"Exported to {file}", ("Table", "Items"), [list(row) for row in counts.items()]))


@app.command("import")
def import_(
    ctx: typer.Context,
    file: DataFile,
    tables: Tables,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Also change items that differ.")] = False,
    schema: Schema = None,
    as_json: AsJson = False,
) -> None:
    """Bring items of a file into tables, as they are.

    The file is checked as a whole before anything is written. An item that is there and differs is left alone and
    listed (exit code 3), unless --overwrite. Interrupted, run it again.
    """
    with output(ctx, as_json) as out:
        from bluestar_store.documents import import_documents

        stores = [opened(ctx, table) for table in tables]
        reports = import_documents(stores, file, overwrite=overwrite, schema=schema)
        rows = [[one.table, one.written, one.same, one.overwritten, len(one.left_alone)] for one in reports]
        left = [f"Left alone, for it differs: {one.table} {key}" for one in reports for key in one.left_alone]
        data = [
            {
                "table": one.table,
                "written": one.written,
                "same": one.same,
                "overwritten": one.overwritten,
                "left_alone": list(one.left_alone),
            }
            for one in reports
        ]
        heads = ("Table", "Written", "Same", "Overwritten", "Left alone")
        out.show({"tables": data}, Grid(f"Imported {file}", heads, rows), *left)
        if left:
            raise typer.Exit(DIFFERENCES)


@app.command("check")
def check(ctx: typer.Context, file: DataFile, schema: Schema = None, as_json: AsJson = False) -> None:
    """Say what is wrong with a file of test data.

    Checked against the JSON Schema given, else TEST_DATA_SCHEMA, else the one that its $schema names.
    """
    with output(ctx, as_json) as out:
        from bluestar_store.documents.data_files import read_data

        content = read_data(file, schema or ctx.obj.given.settings().test_data_schema)
        counts = {table: len(items) for table, items in content.items()}
        out.show(counts, Grid(f"{file} is as it should be", ("Table", "Items"), [list(row) for row in counts.items()]))


@app.command("reset")
def reset(
    ctx: typer.Context,
    table: Table,
    data_set: Annotated[
        str | None, typer.Option("--data-set", metavar="NAME", show_default=False, help="This set of test data.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Begin a table again with the test data.

    All of its items are forgotten. Only with --mode file; TEST_DATA_FILE says where the test data is. Asks first.
    """
    with output(ctx, as_json) as out:
        from bluestar_store.documents import FileStore

        store = opened(ctx, table)
        if not isinstance(store, FileStore):
            raise BadUsage("reset is for --mode file: it forgets all items of the table")
        count = len(store.list(hide_soft_deleted=False))
        ask(out, "Forget them?", [f"{store.location} has {count} items"], yes=yes)
        store.reset(data_set)
        count = len(store.list(hide_soft_deleted=False))
        out.show({"table": store.table_name, "items": count}, f"{store.location} has {count} items of the test data")
