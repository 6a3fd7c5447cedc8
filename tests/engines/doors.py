"""Side doors: items put and read without the engine under test."""

from __future__ import annotations

from typing import Any

from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.mapping.wire import copied
from bluestar_store.protocols import Item, key_of
from tests.adversarial_engine import AdversarialEngine


class MemoryDoor:
    """Straight into the tables in process."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine

    def put(self, table: str, item: Item) -> None:
        self._engine._items.tables[table].set(key_of(item), copied(item))

    def get(self, table: str, key: Key) -> Item | None:
        found = self._engine._items.tables[table].get(key)
        return copied(found) if found is not None else None


class AdversarialDoor(MemoryDoor):
    """The same, and nothing about it is late."""

    def __init__(self, engine: AdversarialEngine) -> None:
        super().__init__(engine)
        self._late = engine

    def put(self, table: str, item: Item) -> None:
        self._late.put_many(table, [item])
        self._late.settle()


class ClientDoor:
    """A boto client without any of our code."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, table: str, item: Item) -> None:
        self._client.put_item(TableName=table, Item=item)

    def get(self, table: str, key: Key) -> Item | None:
        wire = {"PK": {"S": key.pk}, "SK": {"S": key.sk}}
        found: Item | None = self._client.get_item(TableName=table, Key=wire, ConsistentRead=True).get("Item")
        return found
