"""The command `bluestar-store`: each command is a few lines over library calls.

Data goes to stdout, progress and errors to stderr. Modules here import the library inside the commands, so that
`--help` answers without the AWS SDK, Redis and the settings.
"""

from __future__ import annotations

import sys

import typer

from bluestar_store.cli import create, inspect, seed
from bluestar_store.cli.errors import INTERRUPTED
from bluestar_store.cli.options import global_options

__all__ = ["app", "main"]

app = typer.Typer(
    name="bluestar-store",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help is plain text: nothing in it is taken for markup, and no rich is imported for it
    pretty_exceptions_enable=False,  # cli/errors.py says what went wrong, in one line
)
app.callback()(global_options)
app.command("create")(create.create)
app.command("seed")(seed.seed)
app.add_typer(inspect.app, name="inspect")


def main() -> None:
    """The console script."""
    try:
        app(prog_name="bluestar-store")
    except KeyboardInterrupt:  # before a command began; inside one, cli/errors.py sees to it
        sys.exit(INTERRUPTED)
