"""Stores in memory, healthy ones, for tests to damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.doctor import Finding, examine
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item
from tests.seeded import seeded_store

Damage = Callable[..., None]
Told = tuple[str, str, str | None, str | None]


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> TableLayout:
    """Each layout in turn."""
    return TableLayout(request.param)


@pytest.fixture
def store(layout: TableLayout) -> Iterator[Store]:
    """The baseline and the demo plans, in memory."""
    with seeded_store(demo=True, table_layout=layout) as store:
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
