"""Stores in memory, healthy ones, for tests to damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Settings, Store, TableLayout, seeding
from bluestar_store.doctor import Finding, examine
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"

Damage = Callable[..., None]
Told = tuple[str, str, str | None, str | None]


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> TableLayout:
    """Each layout in turn."""
    return TableLayout(request.param)


def opened(layout: TableLayout) -> Store:
    store = Store.open(Settings(persistence_mode="memory", table_layout=layout))
    store.create_tables()
    return store


@pytest.fixture(scope="session")
def _seeded() -> dict[TableLayout, dict[str, list[Item]]]:
    """The items of the baseline and the demo plans: copying them is faster than seeding."""
    items: dict[TableLayout, dict[str, list[Item]]] = {}
    for layout in TableLayout:
        with opened(layout) as store:
            seeding.load(store, seeding.baseline())
            seeding.load(store, seeding.read(DEMO))
            tables = [spec.name for spec in store.tables.specs()]
            items[layout] = {table: store.engine.scan(table, limit=10_000).items for table in tables}
    return items


@pytest.fixture
def store(layout: TableLayout, _seeded: dict[TableLayout, dict[str, list[Item]]]) -> Iterator[Store]:
    """The baseline and the demo plans, in memory."""
    with opened(layout) as store:
        for table, items in _seeded[layout].items():
            store.engine.put_many(table, items)
        yield store


@pytest.fixture
def damage(store: Store) -> Damage:
    """Put items as another program does."""

    def put(mapper: Mapper[Any], *items: Item) -> None:
        store.engine.put_many(store.tables.name(mapper), items)

    return put


def told(store: Store) -> list[Told]:
    """What the doctor finds: severity, check and place of each finding."""
    return [place(finding) for finding in examine(store)]


def place(finding: Finding) -> Told:
    return str(finding.severity), finding.check, finding.pk, finding.sk
