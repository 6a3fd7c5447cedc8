"""The smallest command that typer makes: what its `--help` costs is what any costs."""

from __future__ import annotations

from typing import Annotated

import typer


def hello(name: Annotated[str, typer.Argument(help="Whom to greet.")]) -> None:
    """Say hello."""
    typer.echo(f"Hello {name}")


if __name__ == "__main__":
    typer.run(hello)
