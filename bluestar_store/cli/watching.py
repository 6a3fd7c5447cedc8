"""What `bluestar-store batch watch` shows: a batch's steps again and again, until it is over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bluestar_store.cli.errors import escaped
from bluestar_store.cli.output import Grid, Output, cell, console_of, grid_table
from bluestar_store.cli.records import Record, plain, record

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from bluestar_store.models.batches import BatchState, StepClaim, StepResult
    from bluestar_store.models.pipeline import PipelineStep
    from bluestar_store.store import Store

pause = time.sleep
"""Between two looks; takes seconds."""
OVER = ("COMPLETED", "FAILED", "CANCELLED")
AROUND = 6
"""Lines of a terminal that are neither title nor steps: bar, what is left out, heads, and the cursor's."""
COLUMNS = {"Step": "step", "Agent": "agent", "Work": "name", "Status": "status", "Owner": "owner", "Saved": "saved"}


@dataclass(frozen=True)
class StepLook:
    """One step.

    `status` is done, working, lapsed (its claim expired), current, passed (without a result), waiting, or not done in a
    batch that is over.
    """

    step: int
    agent: str | None
    name: str | None
    status: str
    owner: str | None
    expires: datetime | None
    saved: datetime | None


@dataclass(frozen=True)
class Look:
    """A batch as it was at one moment."""

    state: BatchState
    steps: tuple[StepLook, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing is to come."""
        return self.state.status in OVER

    @property
    def behind(self) -> int:
        """How many steps are done or passed."""
        return sum(step.status in ("done", "passed") for step in self.steps)

    @property
    def title(self) -> str:
        """The batch in a line."""
        state = self.state
        named = (state.plan_id, state.pay_freq, None if state.year is None else str(state.year))
        of = ", ".join(name for name in named if name is not None)
        step = "" if state.current_step is None else f", step {state.current_step}"
        done = f", {self.behind} of {len(self.steps)} steps done" if self.steps else ""
        return f"Batch {state.batch_id}{f' of {of}' if of else ''}: {state.status or 'no status'}{step}{done}"

    def as_record(self) -> Record:
        """As data."""
        return {"batch": record(self.state), "steps": [plain(asdict(step)) for step in self.steps]}


def pipeline_of(store: Store, state: BatchState) -> tuple[PipelineStep, ...]:
    """The steps that a batch has to go through; empty where that is not known."""
    from bluestar_store.errors import InvalidKeyError, PipelineNotFoundError

    if state.plan_id is None or state.pay_freq is None:
        return ()
    try:
        steps = store.pipelines.steps(state.plan_id, state.pay_freq, fresh=True)
    except (PipelineNotFoundError, InvalidKeyError):  # of a batch that another program started
        return ()
    return tuple(step for step in steps if step.enabled is not False)


def look(store: Store, batch_id: str, pipeline: tuple[PipelineStep, ...]) -> Look:
    """The batch as it is now, in one query."""
    history = store.batches.history(batch_id)
    steps = {step.step_order: step for step in pipeline}
    results = {result.step: result for result in history.results}
    claims = {claim.step: claim for claim in history.claims}
    now = datetime.now(UTC)
    return Look(
        history.state,
        tuple(
            _step(number, steps.get(number), results.get(number), claims.get(number), history.state, now)
            for number in sorted(steps.keys() | results.keys() | claims.keys())
        ),
    )


def _step(
    number: int,
    step: PipelineStep | None,
    result: StepResult | None,
    claim: StepClaim | None,
    state: BatchState,
    now: datetime,
) -> StepLook:
    owner, expires = (claim.worker, claim.expires) if claim is not None else (None, None)
    if result is not None:
        status = "done"
    elif owner is not None:
        status = "lapsed" if expires is not None and expires < now else "working"
    elif state.current_step is None or number > state.current_step:
        status = "not done" if state.status in OVER else "waiting"
    else:
        status = "current" if number == state.current_step else "passed"
    return StepLook(
        number,
        step.agent if step else None,
        step.subroutine_name if step else None,
        status,
        owner,
        expires,
        result.saved if result else None,
    )


def follow(look: Callable[[], Look], wait: Callable[[], None]) -> Iterator[Look]:
    """One look after the other, the last one at a batch that is over."""
    while True:
        seen = look()
        yield seen
        if seen.is_over:
            return
        wait()


def tell_changes(out: Output, looks: Iterable[Look]) -> None:
    """A line for each change."""
    before: Look | None = None
    for seen in looks:
        if seen != before:
            out.tell(seen.as_record(), *_changes(before, seen))
        before = seen


def _changes(before: Look | None, seen: Look) -> Iterator[str]:
    at = cell(datetime.now(UTC))
    known = () if before is None else {(step.step, step.status, step.owner) for step in before.steps}
    for step in seen.steps:
        begun = step.status not in ("waiting", "not done")
        if begun and (step.step, step.status, step.owner) not in known:
            yield f"{at}  {_step_line(step)}"
    if before is None or before.title != seen.title:
        yield f"{at}  {seen.title}"


def _step_line(step: StepLook) -> str:
    names = " ".join(filter(None, (str(step.step), step.agent, step.name)))
    return f"Step {names}: {step.status}{f' ({step.owner})' if step.owner is not None else ''}"


def redraw(out: Output, looks: Iterable[Look]) -> None:
    """The same place of a terminal again and again; at the end the whole, which stays."""
    from rich.live import Live

    console = console_of(sys.stdout)
    last: Look | None = None
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for last in looks:
            live.update(_drawn(last, console), refresh=True)
    if last is not None:
        out.show(None, Grid.of(last.title, _rows(last.steps), COLUMNS))


def _rows(steps: Iterable[StepLook]) -> list[Record]:
    """The steps as a grid has them: of today's times only the clock, which leaves room for owners' names."""
    today = cell(datetime.now(UTC)).partition(" ")[0]
    return [asdict(step) | {"saved": cell(step.saved).removeprefix(f"{today} ") or None} for step in steps]


def _drawn(seen: Look, console: Console) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    title = Text(escaped(seen.title), style="bold", overflow="fold")
    parts: list[RenderableType] = [title]
    if seen.steps:
        bar = Table.grid()  # a bar by itself does not end its line
        bar.add_row(ProgressBar(len(seen.steps), seen.behind, width=min(60, console.width)))
        first, last = window(seen, max(console.height - AROUND - len(title.wrap(console, console.width)), 3))
        grid = Grid.of("", _rows(seen.steps[first:last]), COLUMNS)
        above, below = (f"({count} more)" if count else "" for count in (first, len(seen.steps) - last))
        parts += [bar, Text(above), grid_table(grid, console.width), Text(below)]
    return Group(*parts)


def window(seen: Look, lines: int) -> tuple[int, int]:
    """Which steps to show where not all have room: those around the first one that is not done."""
    total = len(seen.steps)
    ahead = next((n for n, step in enumerate(seen.steps) if step.status not in ("done", "passed")), total)
    first = max(0, min(ahead - lines // 3, total - lines))
    return first, min(first + lines, total)
