"""The engine without a server: DynamoDB's semantics in process, gone when the process ends."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from bluestar_store.engines.checks import (
    check_isolated,
    check_key,
    check_keys,
    check_limit,
    check_question,
    check_specs,
    checked_item,
    checked_places,
)
from bluestar_store.engines.memory.tables import Image, ItemTables, Table
from bluestar_store.forking import remember
from bluestar_store.keys import Key
from bluestar_store.protocols import BeforeAttempt, Item, Page, Place, Segment, TableSpec, TableStatus, Write, key_of
from bluestar_store.redaction.tracebacks import without_locals

BULK_ITEMS = 1000
"""Items that `put_many` takes over at once."""


class MemoryEngine:
    """See `protocols.Engine`. The file engine is this one made durable: it overrides the three hooks."""

    parallel_calls = 1

    def __init__(self) -> None:
        self._lock = threading.RLock()
        remember(self)
        self._items = ItemTables(self.location)
        self._data_id = f"memory-{uuid.uuid4().hex}"

    def forked(self) -> None:
        """In a forked child, which has a copy of the items: a lock that no thread of its parent's holds."""
        self._lock = threading.RLock()

    def copy(self) -> MemoryEngine:
        """Another engine, with the same tables and items: what is written to one of them the other does not see.

        Takes microseconds for each partition: the items themselves are shared, which no write ever changes in place.
        """
        other = MemoryEngine()
        with self._reading() as items:
            other._items.tables = {name: table.copy() for name, table in items.tables.items()}
        return other

    @property
    def settles_at_once(self) -> bool:
        """True; a subclass that reads in a way of its own has to say it anew."""
        own = type(self)
        return (own.get, own.query, own.scan) == (MemoryEngine.get, MemoryEngine.query, MemoryEngine.scan)

    @property
    def location(self) -> str:
        """Where the items are."""
        return "this process's memory"

    @property
    def data_id(self) -> str:
        """Another one for each engine: they have nothing in common."""
        return self._data_id

    @contextmanager
    def _reading(self) -> Iterator[ItemTables]:
        """Hook: the tables, current and locked for reading."""
        with self._lock:
            yield self._items

    @contextmanager
    def _writing(self) -> Iterator[ItemTables]:
        """Hook: the tables, current and locked against every other writer."""
        with self._lock:
            yield self._items

    def _commit(self, images: Sequence[Image]) -> None:
        """Hook: make the images durable, then visible. Called inside `_writing`."""
        self._items.apply(images)

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`; every read is consistent."""
        wanted = check_keys(table, keys)
        with self._reading() as items:
            return items.get(table, wanted)

    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        """See `protocols.ReadsPlaces`; every read is consistent."""
        for table, key in places:
            check_key(table, key)
        with self._reading() as items:
            return items.get_places(places)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`; every read is isolated."""
        wanted = check_isolated(table, keys)
        with self._reading() as items:
            return items.get(table, wanted)

    def query(
        self,
        table: str,
        pk: str,
        sk_prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
    ) -> Page:
        """See `protocols.Engine`."""
        check_question(table, pk, sk_prefix, limit)
        with self._reading() as items:
            return items.query(table, pk, sk_prefix, index, newest_first, limit, cursor)

    def scan(
        self,
        table: str,
        *,
        sk_prefix: str = "",
        lacking: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
        segment: Segment | None = None,
    ) -> Page:
        """See `protocols.Engine`."""
        check_limit(limit)
        with self._reading() as items:
            return items.scan(table, sk_prefix, lacking, limit, cursor, segment)

    @without_locals
    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.AnnouncesAttempts`."""
        ready = checked_places(writes)
        with self._writing() as items:
            if before_attempt is not None:
                before_attempt()
            self._commit(items.resolve(ready))

    @without_locals
    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """See `protocols.Engine`."""
        count = 0
        bulk: list[Item] = []

        def flush() -> None:
            with self._writing() as tables:
                tables.table(table)
                self._commit(tables.checked([Image(table, key_of(item), item) for item in bulk]))
            if progress is not None and bulk:
                progress(len(bulk))
            bulk.clear()

        for item in items:
            bulk.append(checked_item(table, item))
            count += 1
            if len(bulk) == BULK_ITEMS:
                flush()
        flush()
        return count

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        """See `protocols.Engine`."""
        check_specs(specs)
        with self._writing() as items:
            made = [spec for spec in specs if spec.name not in items.tables]
            for spec in made:
                self._keep_table(Table(spec))
            if upgrade:
                for spec in specs:
                    table = items.tables[spec.name]
                    if not set(spec.indexes) <= set(table.spec.indexes):
                        indexes = dict.fromkeys((*table.spec.indexes, *spec.indexes))
                        self._keep_table(Table(TableSpec(spec.name, tuple(indexes)), table.partitions))
            return [spec.name for spec in made]

    def _keep_table(self, table: Table) -> None:
        """Hook: take over a table whose specification is new. Called inside `_writing`."""
        self._items.tables[table.spec.name] = table

    def describe(self, spec: TableSpec) -> TableStatus:
        """See `protocols.Engine`."""
        with self._reading() as items:
            table = items.tables.get(spec.name)
            if table is None:
                return TableStatus(spec.name, exists=False)
            indexes = frozenset(index.name for index in table.spec.indexes)
            return TableStatus(spec.name, exists=True, item_count=table.count(), indexes=indexes)

    def delete_tables(self, names: Sequence[str]) -> None:
        """See `protocols.Engine`."""
        with self._writing() as items:
            for name in names:
                items.tables.pop(name, None)

    def close(self) -> None:
        """Nothing to let go of."""
