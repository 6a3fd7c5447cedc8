"""What the plug-ins of the store suite share: a layout, and Stores under a suffix that no other test uses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bluestar_store import Settings, Store, TableLayout
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.protocols import Engine
from tests.engines.conftest import local_connection, shared_moto_tables, shared_tables
from tests.engines.shared_tables import INDEXES, SharedTables

__all__ = ["layout", "local_connection", "make_store", "shared_moto_tables", "shared_tables"]

MakeStore = Callable[..., Store]


class SharedEngine(DynamoEngine):
    """Over a connection that other tests use too: a botocore client takes longer to make than most tests run."""

    def __init__(self, connection: AwsConnection) -> None:
        super().__init__(connection, indexes=INDEXES)

    def close(self) -> None:
        """The connection is not ours."""


@contextmanager
def store_on(tables: SharedTables, layout: TableLayout) -> Iterator[Store]:
    """A Store over the empty tables of a layout."""
    settings = Settings(table_suffix=tables.emptied(layout), table_layout=layout)
    with Store(settings, SharedEngine(tables.connection)) as store:
        yield store


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
