"""The engine suite on the dynamo engine over moto, and what moto cannot show."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from bluestar_store.engines.aws import AwsConnection
from bluestar_store.engines.dynamo import DynamoEngine
from bluestar_store.protocols import TableSpec
from bluestar_store.testing import EngineSuite
from tests.engines.conftest import INDEXES, connection_to
from tests.engines.doors import ClientDoor


@pytest.fixture(scope="module")
def connection() -> Iterator[AwsConnection]:
    """Made inside the mock: a client from before would not be intercepted."""
    with mock_aws():
        connection = connection_to(None)
        yield connection
        connection.close()


class TestMoto(EngineSuite):
    isolated_transactions = False
    exact_limits = False

    @pytest.fixture
    def specs(self, layout_specs: tuple[TableSpec, ...]) -> tuple[TableSpec, ...]:
        return layout_specs

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], connection: AwsConnection) -> DynamoEngine:
        engine = DynamoEngine(connection, indexes=INDEXES)
        engine.create_tables(specs)
        return engine

    @pytest.fixture
    def door(self, engine: DynamoEngine) -> ClientDoor:
        return ClientDoor(engine.connection.connection.client)
