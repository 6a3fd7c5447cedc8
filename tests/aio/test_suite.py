"""The store suite on the async side: every rule of the repositories, each call awaited."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluestar_store import AsyncStore, Store, TableLayout
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import SideDoor
from tests.aio.blocking import Loop, blocking
from tests.engines.doors import MemoryDoor
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import MakeStore


class TestAsyncStore(StoreSuite):
    every_rule = "slow"

    @pytest.fixture
    def layout(self) -> TableLayout:
        """Awaiting a call is no question of the tables below it; both layouts are tried in memory."""
        return TableLayout.PER_TABLE

    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout) -> Iterator[Store]:
        with Loop() as loop:
            yield blocking(AsyncStore(make_store(persistence_mode="memory", table_layout=layout)), loop)

    @pytest.fixture
    def door(self, store: Store) -> SideDoor:
        assert isinstance(store.engine, MemoryEngine)
        return MemoryDoor(store.engine)
