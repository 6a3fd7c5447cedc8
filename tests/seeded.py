"""Stores with the baseline rules, over copies of engines seeded once: to seed takes longer than most tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from bluestar_store import Settings, Store, TableLayout, seeding
from bluestar_store.clock import Clock
from bluestar_store.engines.memory.engine import MemoryEngine

DEMO = Path(__file__).parents[1] / "fixtures" / "demo"


@cache
def _seeded(layout: TableLayout, demo: bool) -> MemoryEngine:
    engine = _seeded(layout, demo=False).copy() if demo else MemoryEngine()
    with Store(Settings(persistence_mode="memory", table_layout=layout), engine) as store:
        store.create_tables()
        seeding.load(store, seeding.read(DEMO) if demo else seeding.baseline())
    return engine


def seeded_engine(layout: TableLayout = TableLayout.PER_TABLE, *, demo: bool = False) -> MemoryEngine:
    """An engine of the caller's own with the baseline rules in it, and with `demo` the plans of fixtures/demo."""
    return _seeded(layout, demo).copy()


def seeded_store(*, demo: bool = False, clock: Clock | None = None, kinds: Any = (), **settings: Any) -> Store:
    """A Store in memory over such an engine; the caller closes it."""
    made = Settings(persistence_mode="memory", **settings)
    store = Store(made, seeded_engine(made.table_layout, demo=demo), kinds=kinds, clock=clock)
    store.create_tables()  # those of `kinds`
    return store
