"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

MEASURED_WITH = (
    "bluestar-store",
    "botocore",
    "boto3",
    "pynamodb",
    "dyntastic",
    "pydynox",
    "pydantic",
    "typer",
    "redis",
    "hiredis",
    "cachetools",
    "dogpile.cache",
    "cashews",
    "aiocache",
)


@dataclass(frozen=True)
class Goal:
    """The figure that is judged, and the most that it may be."""

    figure: Literal["ratio", "median", "p99", "worst"]
    most: float


@dataclass(frozen=True)
class Line:
    """What one contender took for some work. `ratio`: what ours took, over what this one took; `cpu_ratio` likewise."""

    work: str
    who: str
    unit: str
    median: float
    p99: float | None = None
    worst: float | None = None
    cpu: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    goals: tuple[Goal, ...] = ()

    def meets(self, goal: Goal) -> bool:
        """Whether the goal is reached."""
        value: float | None = getattr(self, goal.figure)
        return value is not None and value <= goal.most

    @property
    def missed(self) -> bool:
        """Whether one of the goals is not reached."""
        return not all(self.meets(goal) for goal in self.goals)


@dataclass(frozen=True)
class Run:
    """All lines of a run, when it was, and what was measured with. It names no machine."""

    lines: Sequence[Line]
    at: str
    quick: bool
    python: str
    system: str
    cores: int | None
    versions: Mapping[str, str]

    @classmethod
    def now(cls, lines: Sequence[Line], *, quick: bool) -> Run:
        """A run that has just ended, on this machine."""
        return cls(
            lines,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            quick=quick,
            python=platform.python_version(),
            system=f"{platform.system()} {platform.machine()}",
            cores=os.cpu_count(),
            versions={name: version(name) for name in MEASURED_WITH if is_there(name)},
        )


HEADS = ("work", "who", "median", "p99", "client CPU", "ratio", "of CPU", "target")
TEXTS = ("work", "who", "target")
"""The columns that are no figures."""


def cells(lines: Sequence[Line]) -> Iterator[tuple[Line, tuple[str, ...]]]:
    """Each line with what stands under HEADS, the work only where it changes."""
    previous = None
    for line in lines:
        yield (
            line,
            (
                line.work if line.work != previous else "",
                line.who,
                f"{_figure(line.median)} {line.unit}",
                *map(_figure, (line.p99, line.cpu, line.ratio, line.cpu_ratio)),
                ", ".join(_goal(line, goal) for goal in line.goals),
            ),
        )
        previous = line.work


def table(lines: Sequence[Line]) -> Table:
    """One section for each work."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in HEADS:
        made.add_column(name, justify="left" if name in TEXTS else "right", no_wrap=True)
    for line, (work, *others, target) in cells(lines):
        if work and made.row_count:
            made.add_section()
            made.add_row()
        made.add_row(work, *others, Text(target, style="bold red" if line.missed else "green"))
    return made


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _goal(line: Line, goal: Goal) -> str:
    text = f"{goal.figure} <= {goal.most:g}"
    return text if line.meets(goal) else f"{text}: MISSED"


def show(lines: Sequence[Line], console: Console) -> None:
    """The table, and which targets were missed."""
    console.print(table(lines))
    missed = [line for line in lines if line.missed]
    judged = [line for line in lines if line.goals]
    console.print(f"\n{len(judged) - len(missed)} of {len(judged)} targets reached", style="bold")
    for line in missed:
        console.print(f"  missed: {line.work}, {line.who}", style="red")


def save(run: Run, path: Path) -> None:
    """All figures as JSON, as it would be written again when it was read: a count is a float, too."""
    run = TypeAdapter(Run).validate_python(asdict(run))
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [asdict(line) | {"missed": line.missed} for line in run.lines]
    path.write_text(json.dumps(asdict(run) | {"lines": lines}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def is_there(distribution: str) -> bool:
    """Whether it is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
