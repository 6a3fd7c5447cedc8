"""The engine suite on the dynamo engine over AWS's own DynamoDB Local."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluestar_store.engines.aws import AwsConnection
from bluestar_store.engines.dynamo import DynamoEngine
from bluestar_store.protocols import TableSpec
from bluestar_store.testing import EngineSuite
from tests.engines.conftest import INDEXES
from tests.engines.doors import ClientDoor


class TestDynamoDbLocal(EngineSuite):
    @pytest.fixture
    def specs(self, layout_specs: tuple[TableSpec, ...]) -> tuple[TableSpec, ...]:
        return layout_specs

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], local_connection: AwsConnection) -> Iterator[DynamoEngine]:
        engine = DynamoEngine(local_connection, indexes=INDEXES)
        engine.create_tables(specs)
        yield engine
        engine.delete_tables([spec.name for spec in specs])

    @pytest.fixture
    def door(self, local_connection: AwsConnection, engine: DynamoEngine) -> ClientDoor:
        return ClientDoor(local_connection.connection.client)
