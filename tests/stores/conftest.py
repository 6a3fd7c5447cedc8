"""What the plug-ins of the store suite share: a layout, and Stores under a suffix that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bluestar_store import Settings, Store, TableLayout
from bluestar_store.engines.aws import AwsConnection
from bluestar_store.engines.dynamo import DynamoEngine
from bluestar_store.protocols import Engine
from tests.engines.conftest import INDEXES, connection_to

MakeStore = Callable[..., Store]


class SharedEngine(DynamoEngine):
    """Over a connection that other tests use too: a botocore client takes longer to make than most tests run."""

    def __init__(self, connection: AwsConnection) -> None:
        super().__init__(connection, indexes=INDEXES)

    def close(self) -> None:
        """The connection is not ours."""


@pytest.fixture(scope="session")
def local_connection(dynamodb_local_url: str) -> Iterator[AwsConnection]:
    """To DynamoDB Local."""
    connection = connection_to(dynamodb_local_url)
    yield connection
    connection.close()


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> TableLayout:
    """Each layout in turn."""
    return TableLayout(request.param)


@pytest.fixture
def make_store() -> Iterator[MakeStore]:
    """Makes Stores with empty tables, from settings or over an `engine`; deletes and closes them after the test."""
    with ExitStack() as stack:

        def make(engine: Engine | None = None, **values: Any) -> Store:
            settings = Settings(**{"table_suffix": f"-{uuid.uuid4().hex[:12]}"} | values)
            store = stack.enter_context(Store(settings, engine) if engine else Store.open(settings))
            store.create_tables()
            stack.callback(store.engine.delete_tables, [spec.name for spec in store.tables.specs()])
            return store

        yield make
