"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

MEASURED_WITH = ("bluestar-store", "redis", "hiredis", "cachetools", "dogpile.cache", "cashews", "aiocache", "botocore")


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
    note: str = ""

    def meets(self, goal: Goal) -> bool:
        """Whether the goal is reached."""
        value: float | None = getattr(self, goal.figure)
        return value is not None and value <= goal.most

    @property
    def missed(self) -> bool:
        """Whether one of the goals is not reached."""
        return not all(self.meets(goal) for goal in self.goals)


def table(lines: Sequence[Line]) -> Table:
    """One section for each work."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("work", "who", "median", "p99", "CPU", "ratio", "of CPU", "target"):
        made.add_column(name, justify="left" if name in ("work", "who", "target") else "right", no_wrap=True)
    previous = None
    for line in lines:
        if previous not in (None, line.work):
            made.add_section()
            made.add_row()
        made.add_row(
            line.work if line.work != previous else "",
            line.who + (f" ({line.note})" if line.note else ""),
            f"{_figure(line.median)} {line.unit}",
            _figure(line.p99),
            _figure(line.cpu),
            _figure(line.ratio),
            _figure(line.cpu_ratio),
            ", ".join(_goal(line, goal) for goal in line.goals),
        )
        previous = line.work
    return made


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _goal(line: Line, goal: Goal) -> str:
    met = line.meets(goal)
    text = f"{goal.figure} <= {goal.most:g}"
    return f"[green]{text}[/green]" if met else f"[bold red]{text}: MISSED[/bold red]"


def show(lines: Sequence[Line], console: Console) -> None:
    """The table, and which targets were missed."""
    console.print(table(lines))
    missed = [line for line in lines if line.missed]
    judged = [line for line in lines if line.goals]
    console.print(f"\n{len(judged) - len(missed)} of {len(judged)} targets reached", style="bold")
    for line in missed:
        console.print(f"  missed: {line.work}, {line.who}", style="red")


def save(lines: Sequence[Line], path: Path, *, quick: bool) -> None:
    """All figures, and what they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in MEASURED_WITH},
        "lines": [asdict(line) | {"missed": line.missed} for line in lines],
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
