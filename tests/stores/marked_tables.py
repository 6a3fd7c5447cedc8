"""Stores whose tables are marked as indexed, and other programs that write to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bluestar_store import IrsLimits, PersistenceMode, PipelineStep, Settings, Store, TableLayout, ValidationRule
from bluestar_store.engines.memory import tables
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Item
from bluestar_store.repositories import index_reader as index_reader
from bluestar_store.testing import FrozenClock, ReadUnitEngine
from tests.store_suite.side_door import wire

PAGE = 20


class Waiting(list[Callable[[], object]]):
    """Calls that are to be made aside."""

    def work(self) -> None:
        """Make them."""
        while self:
            self.pop(0)()


class Marked:
    """A Store whose calls count as round trips, on a clock of its own; a page has twenty items, two pages are cheap."""

    def __init__(self, engine: MemoryEngine, clock: FrozenClock, layout: TableLayout, **settings: float) -> None:
        self.engine, self.clock = ReadUnitEngine(engine), clock
        values = Settings(persistence_mode=PersistenceMode.MEMORY, table_layout=layout)
        self.store = Store(values.model_copy(update=settings), self.engine, clock=clock)

    def put(self, kind: object, *items: Item) -> None:
        """As other programs do."""
        self.engine.put_many(self.store.tables.name(kind), items)  # type: ignore[arg-type]

    def start(self) -> str:
        return self.store.batches.start("ACME", "Weekly", 2026).batch_id

    def scans(self, call: Callable[[], object]) -> int:
        before = self.engine.faults.counts["scan"]
        call()
        return self.engine.faults.counts["scan"] - before

    def pass_time(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))


@pytest.fixture(params=TableLayout)
def marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marked]:
    """With what a batch of ACME needs, upgraded."""
    monkeypatch.setattr(tables, "PAGE_ITEMS", PAGE)
    monkeypatch.setattr(index_reader, "SWEEP_PAGES", 2)
    monkeypatch.setattr(MemoryEngine, "parallel_calls", 2)
    monkeypatch.setattr("bluestar_store.repositories.session.StoreParts.aside", lambda self, call: call())
    made = Marked(MemoryEngine(), FrozenClock(), request.param)
    with made.store as store:
        store.create_tables()
        step = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100)
        store.pipelines.replace("ACME", "Weekly", [step])
        store.irs_limits.put(IrsLimits(year=2026))
        store.validation_rules.put(ValidationRule(category="SSN", number=1))
        store.create_tables(upgrade=True)
        yield made


def foreign_rules(count: int) -> list[Item]:
    return [wire(f"CATEGORY#OTHER#CLIENT#P{n:03d}", "RULE#001", message="x") for n in range(count)]


def fill(marked: Marked) -> None:
    """More than may be scanned, of all kinds, with index attributes."""
    marked.put(VALIDATION_RULE, *foreign_rules(100))
    marked.put(CALCULATION_RULE, *(wire(f"CLIENT#P{n:03d}", "CALC#match") for n in range(100)))
    marked.put(BATCH_STATE, *(wire(f"BATCH#o{n:03d}", "STATE", plan_id="OTHER") for n in range(100)))
    marked.put(BATCH_STATE, *(wire(f"BATCH#o{n:03d}", "RESULT#0001", result="x" * 100) for n in range(100)))
    marked.store.create_tables(upgrade=True)


LISTS: dict[str, Callable[[Store], object]] = {
    "plans": Store.plans,
    "categories": Store.categories,
    "vendors": Store.vendors,
    "overrides": lambda store: store.overrides("ACME"),
    "rules_of_type": lambda store: store.rules_of_type("match"),
    "all_open": lambda store: store.holds.all_open(),
    "for_plan": lambda store: store.batches.for_plan("ACME", limit=10),
    "limits": lambda store: store.irs_limits.all(),
    "plan_snapshot": lambda store: store.plan_snapshot("ACME", "Weekly", 2026),
    "start": lambda store: store.batches.start("ACME", "Weekly", 2026),
}


@pytest.fixture
def waiting(marked: Marked, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """The same, where what is to be done aside waits until the test has it done."""
    fill(marked)
    waiting = Waiting()
    monkeypatch.setattr("bluestar_store.repositories.session.StoreParts.aside", lambda self, call: waiting.append(call))
    return waiting
