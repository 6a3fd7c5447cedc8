"""The store suite on moto, which does not isolate transactions. DynamoDB Local answers first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.testing import SideDoor
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import SharedTables
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import store_on


@pytest.mark.slow
class TestMoto(StoreSuite):
    every_rule = False
    isolated_transactions = False

    @pytest.fixture
    def layout(self) -> TableLayout:
        """What AWS's own server is asked in both, its imitation is asked in one."""
        return TableLayout.SINGLE

    @pytest.fixture
    def store(self, shared_moto_tables: SharedTables, layout: TableLayout) -> Iterator[Store]:
        with store_on(shared_moto_tables, layout) as store:
            yield store

    @pytest.fixture
    def door(self, store: Store, shared_moto_tables: SharedTables) -> SideDoor:
        return ClientDoor(shared_moto_tables.connection.connection.client)
