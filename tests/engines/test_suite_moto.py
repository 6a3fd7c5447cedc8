"""The engine suite on the dynamo engine over moto, and what moto cannot show."""

from __future__ import annotations

import pytest

from bluestar_store.engines.dynamo import DynamoEngine
from bluestar_store.protocols import TableSpec
from bluestar_store.settings import TableLayout
from bluestar_store.testing import EngineSuite
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import INDEXES, SharedTables


class TestMoto(EngineSuite):
    isolated_transactions = False
    exact_limits = False

    @pytest.fixture(params=list(TableLayout), ids=str)
    def specs(self, request: pytest.FixtureRequest, shared_moto_tables: SharedTables) -> tuple[TableSpec, ...]:
        shared_moto_tables.emptied(request.param)
        return shared_moto_tables.specs(request.param)

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], shared_moto_tables: SharedTables) -> DynamoEngine:
        return DynamoEngine(shared_moto_tables.connection, indexes=INDEXES)

    @pytest.fixture
    def door(self, engine: DynamoEngine) -> ClientDoor:
        return ClientDoor(engine.connection.connection.client)
