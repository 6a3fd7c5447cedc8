"""The command `bluestar-store`: each command is a few lines over library calls.

Data goes to stdout, progress and errors to stderr. Modules here import the library inside the commands, so that
`--help` answers without the AWS SDK, Redis and the settings.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from bluestar_store.cli import (
    audit,
    batch,
    cache,
    create,
    doctor,
    documents,
    edit_pipelines,
    edit_rules,
    edit_schemas,
    encryption,
    files,
    hold,
    iam_policy,
    inspect,
    seed,
    transfer,
)
from bluestar_store.cli.errors import INTERRUPTED
from bluestar_store.cli.options import global_options
from bluestar_store.redaction.tracebacks import without_locals

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """All commands, whose errors show no local variables: the values that a command was given are among them."""

    @without_locals
    def invoke(self, ctx: Any) -> Any:
        """See click."""
        return super().invoke(ctx)


app = typer.Typer(
    name="bluestar-store",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help is plain text: nothing in it is taken for markup, and no rich is imported for it
    pretty_exceptions_enable=False,  # cli/errors.py says what went wrong, in one line
)
app.callback()(global_options)
app.command("create")(create.create)
app.command("seed")(seed.seed)
app.command("export")(transfer.export)
app.command("import")(transfer.import_)
app.command("migrate-layout")(transfer.migrate_layout)
app.command("take-over")(transfer.take_over)
app.command("doctor")(doctor.doctor)
app.command("encrypt")(encryption.encrypt)
app.command("iam-policy")(iam_policy.iam_policy)
app.add_typer(inspect.app, name="inspect")
app.add_typer(cache.app, name="cache")
app.add_typer(documents.app, name="documents")
app.add_typer(edit_rules.rule, name="rule")
app.add_typer(edit_rules.validation, name="validation")
app.add_typer(edit_rules.limits, name="limits")
app.add_typer(edit_rules.config, name="config")
app.add_typer(edit_schemas.schema, name="schema")
app.add_typer(edit_pipelines.pipeline, name="pipeline")
app.add_typer(files.app, name="files")
app.add_typer(batch.batch, name="batch")
app.add_typer(hold.hold, name="hold")
app.add_typer(audit.audit, name="audit")
app.add_typer(encryption.key, name="key")


def main() -> None:
    """The console script."""
    if sys.platform == "win32":  # which encodes what does not go to a terminal as programs of the nineties expect it
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8")
    try:
        app(prog_name="bluestar-store")
    except KeyboardInterrupt:  # before a command began; inside one, cli/errors.py sees to it
        sys.exit(INTERRUPTED)
