"""Asking before something is written: the question on stderr, the answer from the terminal or by --yes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from bluestar_store.cli.errors import Declined, escaped, tell
from bluestar_store.cli.output import Output

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def ask(out: Output, question: str, lines: Iterable[str], *, yes: bool, answers: str = "--yes") -> None:
    """Show what is to be done and ask; raises Declined unless the answer is yes.

    `answers` are the options that make the question needless. For people, the lines go to stdout. With --json they are
    part of the question: stdout has data of what was done, or nothing.
    """
    if not out.as_json:
        out.show(None, *lines)
    elif not yes:
        for line in lines:
            tell(escaped(line))
    if yes:
        return
    if not is_terminal():
        raise Declined(f"nothing was written: there is no terminal to ask at; {answers} answers")
    typer.echo(f"{question} [y/N]: ", err=True, nl=False)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Declined("nothing was written")


def is_terminal() -> bool:
    """Whether somebody can see the question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()
