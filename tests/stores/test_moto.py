"""The store suite on moto, which does not isolate transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from moto import mock_aws

from bluestar_store import Store, TableLayout
from bluestar_store.engines.aws import AwsConnection
from bluestar_store.testing import SideDoor, StoreSuite
from tests.engines.conftest import connection_to
from tests.engines.doors import ClientDoor
from tests.stores.conftest import MakeStore, SharedEngine


@pytest.fixture(scope="module")
def connection() -> Iterator[AwsConnection]:
    """Made inside the mock: a client from before would not be intercepted."""
    with mock_aws():
        connection = connection_to(None)
        yield connection
        connection.close()


class TestMoto(StoreSuite):
    isolated_transactions = False

    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout, connection: AwsConnection) -> Store:
        return make_store(SharedEngine(connection), table_layout=layout)

    @pytest.fixture
    def door(self, store: Store, connection: AwsConnection) -> SideDoor:
        return ClientDoor(connection.connection.client)
