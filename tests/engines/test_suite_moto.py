"""The engine suite on the dynamo engine over moto, and what moto cannot show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bluestar_store import ConflictError
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Item, Put, TableSpec
from bluestar_store.settings import TableLayout
from bluestar_store.testing import EngineSuite
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import INDEXES, SharedTables


class TestMoto(EngineSuite):
    isolated_transactions = False
    exact_limits = False
    exact_equality = False

    @pytest.fixture
    def specs(self, shared_moto_tables: SharedTables) -> tuple[TableSpec, ...]:
        """One layout: in which the engine works alike is asked on DynamoDB Local."""
        shared_moto_tables.emptied(TableLayout.PER_TABLE)
        return shared_moto_tables.specs(TableLayout.PER_TABLE)

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], shared_moto_tables: SharedTables) -> DynamoEngine:
        return DynamoEngine(shared_moto_tables.connection, indexes=INDEXES)

    @pytest.fixture
    def door(self, engine: DynamoEngine) -> ClientDoor:
        return ClientDoor(engine.connection.connection.client)

    def test_transactions_of_several_threads_lose_none_of_each_others_items(
        self, engine: DynamoEngine, specs: tuple[TableSpec, ...]
    ) -> None:
        """moto copies its tables for each, and would put the copy back when a transaction is refused."""
        table, names = specs[0].name, [f"{thread}-{number}" for thread in range(4) for number in range(25)]
        engine.write(Put(table, item(Key("TAKEN", "A"))))

        def put(name: str) -> None:
            engine.write(Put(table, item(Key(name, "A")), ABSENT))
            with pytest.raises(ConflictError):
                engine.write(Put(table, item(Key(name, "B"))), Put(table, item(Key("TAKEN", "A")), ABSENT))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, names))
        written = [Key(name, "A") for name in names]
        assert list(engine.get(table, written)) == written


def item(key: Key) -> Item:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}}
