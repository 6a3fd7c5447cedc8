"""The store suite on AWS's own DynamoDB Local."""

from __future__ import annotations

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.engines.aws import AwsConnection
from bluestar_store.testing import SideDoor, StoreSuite
from tests.engines.doors import ClientDoor
from tests.stores.conftest import MakeStore, SharedEngine


class TestDynamoDbLocal(StoreSuite):
    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout, local_connection: AwsConnection) -> Store:
        return make_store(SharedEngine(local_connection), table_layout=layout)

    @pytest.fixture
    def door(self, store: Store, local_connection: AwsConnection) -> SideDoor:
        return ClientDoor(local_connection.connection.client)
