"""The store suite in memory."""

from __future__ import annotations

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import SideDoor
from tests.engines.doors import MemoryDoor
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import MakeStore


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout) -> Store:
        return make_store(persistence_mode="memory", table_layout=layout)

    @pytest.fixture
    def door(self, store: Store) -> SideDoor:
        assert isinstance(store.engine, MemoryEngine)
        return MemoryDoor(store.engine)
