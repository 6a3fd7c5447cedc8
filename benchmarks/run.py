"""`python -m benchmarks`: measure, print the table, and keep the figures as JSON."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.bench import QUICK, Bench, clean_environment
from benchmarks.page import write_page
from benchmarks.report import Line, Run, save, show

GROUPS = (
    "cache_hits",
    "many_entries",
    "redis",
    "misses",
    "stampede",
    "coherence",
    "memory",
    "units",
    "cold",
    "snapshot",
    "threads",
    "bulk",
    "fixtures",
    "startup",
    "client_memory",
)
RESULTS = Path(__file__).parent.parent / "build" / "benchmarks"


def rows_of(group: str) -> Callable[[Bench], Iterator[Line]]:
    """The function of a group of rows."""
    rows: Callable[[Bench], Iterator[Line]] = import_module(f"benchmarks.rows_{group}").rows
    return rows


def measured(groups: Mapping[str, Callable[[Bench], Iterator[Line]]], bench: Bench, progress: Console) -> list[Line]:
    """All lines; a group whose server this machine does not have is left out, aloud."""
    lines: list[Line] = []
    for name, rows in groups.items():
        start = time.monotonic()
        try:
            lines += rows(bench)
        except pytest.skip.Exception as missing:  # how tests.servers says it
            progress.print(f"{name}: NOT MEASURED, {missing}", style="bold red")
        else:
            progress.print(f"{name}: {time.monotonic() - start:.1f} s", style="dim")
    return lines


def main() -> int:
    """1 when a target was missed and --strict given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")
    parser.add_argument("--json", type=Path, help=f"where to keep the figures (default: a new file in {RESULTS})")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="write its benchmarks.md, .svg and .json anew")
    arguments = parser.parse_args()
    if unknown := set(arguments.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if arguments.docs and arguments.groups:
        parser.error("the page in the docs is of all groups")
    clean_environment()
    out, progress = Console(width=None if sys.stdout.isatty() else 190), Console(stderr=True)
    groups = {name: rows_of(name) for name in arguments.groups or GROUPS}
    with (
        tempfile.TemporaryDirectory(prefix="bluestar-bench-") as folder,
        Bench(Path(folder), divisor=QUICK if arguments.quick else 1) as bench,
    ):
        lines = measured(groups, bench, progress)
    run = Run.now(lines, quick=arguments.quick)
    show(lines, out)
    path = arguments.json or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    save(run, path)
    progress.print(f"All figures: {path}")
    if arguments.docs:
        write_page(run, arguments.docs)
    return 1 if arguments.strict and any(line.missed for line in lines) else 0
