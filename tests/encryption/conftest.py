"""Processes over one store in memory, each with keys of its own."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store import Settings, Store, TableLayout
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, scan_pages
from tests.seeded import seeded_engine

FIRST, SECOND = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ACCOUNT, ROUTING, SSN = "900012345678", "021000021", "987-65-4321"
FREQ = "BiWeeklyFri"

Process = Callable[..., Store]


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> TableLayout:
    """Each layout in turn."""
    return TableLayout(request.param)


@pytest.fixture
def process(layout: TableLayout) -> Process:
    """Opens a Store over the items that all of one test share, with the baseline rules."""
    engine = seeded_engine(layout)

    def opened(key: str | None = None, **fields: Any) -> Store:
        values = {"persistence_mode": "memory", "table_layout": layout, "encryption_key": key} | fields
        return Store(Settings(**values), engine)

    return opened


def all_items(store: Store) -> list[Item]:
    """Everything that lies on disk."""
    return [item for spec in store.tables.specs() for page in scan_pages(store.engine, spec.name) for item in page]


def item_at(store: Store, pk: str, sk: str) -> Item:
    return next(item for item in all_items(store) if Key(item["PK"]["S"], item["SK"]["S"]) == Key(pk, sk))
