"""What the plug-ins of the engine suite share: the tables of both layouts, under names that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import TableSpec
from bluestar_store.settings import TableLayout
from tests.engines.folders import OTHER, TABLE
from tests.engines.shared_tables import INDEXES, SharedTables, shared_tables_of


@pytest.fixture(params=list(TableLayout), ids=str)
def layout_specs(request: pytest.FixtureRequest) -> tuple[TableSpec, ...]:
    """The tables of a layout."""
    return Tables("bluestar-", f"-{uuid.uuid4().hex[:12]}", request.param).specs()


def connection_to(
    endpoint_url: str | None, *, max_attempts: int = 3, read_timeout_seconds: float = 20
) -> AwsConnection:
    """A connection as `Store.open` makes one, with short timeouts."""
    return AwsConnection(
        region="us-east-1",
        endpoint_url=endpoint_url,
        connect_timeout_seconds=2,
        read_timeout_seconds=read_timeout_seconds,
        max_attempts=max_attempts,
        pool_connections=16,
    )


@pytest.fixture(scope="session")
def local_connection(dynamodb_local_url: str) -> Iterator[AwsConnection]:
    """One connection to DynamoDB Local for all tests: a botocore client takes longer to make than most tests run."""
    connection = connection_to(dynamodb_local_url)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def shared_tables(local_connection: AwsConnection) -> Iterator[SharedTables]:
    """Tables on DynamoDB Local that are made once and emptied for each test."""
    with shared_tables_of(local_connection) as tables:
        yield tables


@pytest.fixture(scope="class")
def shared_moto_tables() -> Iterator[SharedTables]:
    """The same on moto, on a connection made inside the mock: one from before would not be intercepted."""
    with mock_aws():
        connection = connection_to(None)
        with shared_tables_of(connection) as tables:
            yield tables
        connection.close()


@pytest.fixture
def local_tables(local_connection: AwsConnection) -> Iterator[tuple[TableSpec, ...]]:
    """The eight tables on DynamoDB Local."""
    specs = Tables("bluestar-", f"-{uuid.uuid4().hex[:12]}", TableLayout.PER_TABLE).specs()
    engine = DynamoEngine(local_connection, indexes=INDEXES)
    engine.create_tables(specs)
    yield specs
    engine.delete_tables([spec.name for spec in specs])


@pytest.fixture
def engine(tmp_path: Path) -> FileEngine:
    """A file engine over a new folder with two tables; the suites give engines of their own."""
    engine = FileEngine(tmp_path / "store")
    engine.create_tables([TableSpec(TABLE), TableSpec(OTHER)])
    return engine
