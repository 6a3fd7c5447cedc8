"""The engine suite on the dynamo engine over AWS's own DynamoDB Local."""

from __future__ import annotations

import pytest

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.protocols import TableSpec
from bluestar_store.settings import TableLayout
from bluestar_store.testing import EngineSuite
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import INDEXES, SharedTables


class TestDynamoDbLocal(EngineSuite):
    @pytest.fixture(params=[TableLayout.PER_TABLE, pytest.param(TableLayout.SINGLE, marks=pytest.mark.slow)], ids=str)
    def specs(self, request: pytest.FixtureRequest, shared_tables: SharedTables) -> tuple[TableSpec, ...]:
        shared_tables.emptied(request.param)
        return shared_tables.specs(request.param)

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], local_connection: AwsConnection) -> DynamoEngine:
        return DynamoEngine(local_connection, indexes=INDEXES)

    @pytest.fixture
    def door(self, local_connection: AwsConnection, engine: DynamoEngine) -> ClientDoor:
        return ClientDoor(local_connection.connection.client)
