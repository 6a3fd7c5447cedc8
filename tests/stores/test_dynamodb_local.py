"""The store suite on AWS's own DynamoDB Local."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.testing import SideDoor
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import SharedTables
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import store_on


class TestDynamoDbLocal(StoreSuite):
    every_rule = False

    @pytest.fixture(params=[TableLayout.PER_TABLE, pytest.param(TableLayout.SINGLE, marks=pytest.mark.slow)], ids=str)
    def layout(self, request: pytest.FixtureRequest) -> TableLayout:
        """The layout that Stores have when nobody says another; both are tried in memory."""
        return TableLayout(request.param)

    @pytest.fixture
    def store(self, shared_tables: SharedTables, layout: TableLayout) -> Iterator[Store]:
        with store_on(shared_tables, layout) as store:
            yield store

    @pytest.fixture
    def door(self, store: Store, shared_tables: SharedTables) -> SideDoor:
        return ClientDoor(shared_tables.connection.connection.client)
