"""The one way to print: tables for people, or JSON for programs, on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from bluestar_store.cli.errors import escaped
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, RenderableType
    from rich.table import Table

PIPE_WIDTH = 120
"""Columns where there is no terminal to ask, unless COLUMNS says otherwise."""
MIN_WIDTH = 40
"""Narrower, rich would cut values off instead of wrapping them."""

NAME_WIDTH = 22
"""Of what a bar is about, so that the rest of it fits into 80 columns."""


@dataclass(frozen=True)
class Grid:
    """A table; without `columns` it has no head. Cells are plain values, see `records`."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    whole: str | None = None
    """The column whose values are not folded where half of the width has room for them: people copy them."""

    @classmethod
    def of(cls, title: str, rows: Sequence[Record], columns: Mapping[str, str], *, whole: str | None = None) -> Grid:
        """A row for each record; `columns` leads from the heads to the names of values."""
        return cls(title, list(columns), [[row.get(name) for name in columns.values()] for row in rows], whole)

    @classmethod
    def card(cls, title: str, found: Record) -> Grid:
        """One record, a line for each value that it has; attributes that the library does not know are marked."""
        rows = [[name, value] for name, value in found.items() if name != "extra" and value is not None]
        rows += [[f"extra: {name}", value] for name, value in found.get("extra", {}).items()]
        return cls(title, (), rows)


View = str | Grid
"""A line of text, or a table."""


class Output:
    """What a command says on stdout."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def show(self, data: Any, *views: View) -> None:
        """Print the data as JSON, or else the views of it."""
        sys.stdout.write(to_json(data) + "\n" if self.as_json else _rendered(views))
        sys.stdout.flush()  # a reader who went away is noticed here, where it can be handled

    def tell(self, data: Any, *lines: str) -> None:
        """One of many: the data as one line of JSON, or else the lines."""
        if self.as_json:
            sys.stdout.write(to_json(data, indent="") + "\n")
            sys.stdout.flush()
        elif lines:
            self.show(None, *lines)


@contextmanager
def progress(what: str, total: int | None = None, *, in_bytes: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar on stderr (without `total` a spinner) while something takes time; only where stderr is a terminal.

    Gives the function to tell how much more is done.
    """
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    text = escaped(what).replace("{", "{{").replace("}", "}}")  # a name may have braces, which rich would fill in
    name = TextColumn(text, markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", max_width=NAME_WIDTH))
    columns: list[ProgressColumn] = [SpinnerColumn(), name]
    if total:
        columns.append(BarColumn(20 if in_bytes else 40))
    if in_bytes:
        columns += [DownloadColumn(), TransferSpeedColumn(), *([TimeRemainingColumn()] if total else [])]
    elif total:
        columns.append(MofNCompleteColumn())
    with Progress(*columns, console=console_of(sys.stderr), transient=total is None) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def to_json(value: Any, indent: str = "\n") -> str:
    """JSON with numbers exact, Decimals too: json.dumps would make floats or texts of them. ASCII only.

    `indent` is what goes before a closing bracket; without one, all of it is one line.
    """
    inner = f"{indent}  " if indent else ""
    comma = f",{inner or ' '}"
    match value:
        case Decimal():
            return _number(value)
        case datetime():
            return json.dumps(value.isoformat().replace("+00:00", "Z"))
        case Mapping() if value:
            members = (f"{json.dumps(str(name))}: {to_json(member, inner)}" for name, member in value.items())
            return f"{{{inner}{comma.join(members)}{indent}}}"
        case list() | tuple() if value:
            return f"[{inner}{comma.join(to_json(member, inner) for member in value)}{indent}]"
    return json.dumps(value)


def cell(value: Any) -> str:
    """A plain value as a table shows it; times to the second."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case Decimal():
            return _number(value)
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
        case Mapping() | list() | tuple():
            return escaped(", ".join(_parts(value)))
    return escaped(str(value))


def _parts(value: Any) -> Iterator[str]:
    """Each member on its own, `name=value` in a mapping; what is nested in parentheses."""
    members = value.items() if isinstance(value, Mapping) else ((None, inner) for inner in value)
    for name, inner in members:
        text = "none" if inner is None else cell(inner)
        if isinstance(inner, Mapping | list | tuple):
            text = f"({text})"
        yield text if name is None else f"{name}={text}"


def _number(value: Decimal) -> str:
    from bluestar_store.mapping.values import number_text

    return number_text(value)


def console_of(file: TextIO) -> Console:
    """Where rich prints: as wide as the terminal, or wide enough for a pipe, and never interpreting what it prints."""
    from rich.console import Console

    if hasattr(file, "reconfigure"):  # not in tests
        file.reconfigure(errors="backslashreplace")  # a terminal that knows no emoji is no reason to fail
    width = None if file.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    console.width = max(console.width, MIN_WIDTH)
    return console


def _rendered(views: Sequence[View]) -> str:
    """The views as the terminal, or the pipe, can show them; an empty line beside each table."""
    console = console_of(sys.stdout)
    with console.capture() as printed:
        for number, view in enumerate(views):
            if number and (isinstance(view, Grid) or isinstance(views[number - 1], Grid)):
                console.print()
            if isinstance(view, Grid):
                _print_grid(console, view)
            else:
                console.print(escaped(view), soft_wrap=True)
    return "".join(line.rstrip() + "\n" for line in printed.get().split("\n")[:-1])


def _print_grid(console: Console, grid: Grid) -> None:
    from rich.text import Text

    if grid.title:
        console.print(Text(escaped(grid.title), style="bold"), soft_wrap=True)
    console.print(grid_table(grid, console.width) if grid.rows else "(none)")


def grid_table(grid: Grid, columns: int) -> Table:
    """The grid without its title, for rich, on so many columns; it has rows."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, show_header=bool(grid.columns), show_edge=False, pad_edge=False, collapse_padding=True
    )
    width = len(grid.rows[0])
    for number in range(width):
        cells = [row[number] for row in grid.rows if row[number] is not None]
        numeric = bool(grid.columns and cells) and all(map(_is_number, cells))
        header: RenderableType = Text(grid.columns[number]) if grid.columns else ""
        whole = bool(grid.columns) and grid.columns[number] == grid.whole
        fits = whole and all(cell_len(cell(value)) <= columns // 2 for value in cells)
        table.add_column(header, overflow="fold", no_wrap=fits, justify="right" if numeric else "left")
    for row in grid.rows:
        table.add_row(*(Text(cell(value)) for value in row))
    return table


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
