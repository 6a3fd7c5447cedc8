"""What every repository of a Store shares: the engine, the table names, the cache, and a few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from bluestar_store.forking import remember
from bluestar_store.models.kind import Kind
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import Cache, Engine, Item, pages

T = TypeVar("T")


class Access:
    """The way to the items."""

    def __init__(
        self,
        engine: Engine,
        tables: Tables,
        cache: Cache,
        actor: str | None = None,
        *,
        indexes_complete: bool = False,
        share_sensitive: bool = False,
    ) -> None:
        self.engine, self.tables, self.cache, self.actor = engine, tables, cache, actor
        self.indexes_complete, self.share_sensitive = indexes_complete, share_sensitive
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: its parent's threads are not there, and its lock may be held by one of them."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def table(self, kind: Kind[Any]) -> str:
        """The table's name on disk."""
        return self.tables.name(kind)

    def partition(self, kind: Kind[Any], pk: str) -> list[Item]:
        """All of a kind's items in a partition, in the order of their raw sort keys, read consistently."""
        return list(self.partition_items(self.table(kind), pk, kind.keys.sort.prefix))

    def partition_items(self, table: str, pk: str, prefix: str) -> Iterator[Item]:
        """All items of a partition whose sort keys begin with the prefix, page after page, read consistently."""
        for items in pages(lambda cursor: self.engine.query(table, pk, prefix, cursor=cursor, consistent=True)):
            yield from items

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The answers of independent reads, made at once where that saves time; the first error is raised.

        A call must not use `together` itself: the threads are few, and it would wait for itself.
        """
        if len(calls) < 2 or self.engine.parallel_calls < 2:
            return [call() for call in calls]
        executor = self._threads()
        futures = [executor.submit(call) for call in calls[1:]]
        try:
            return [calls[0](), *(future.result() for future in futures)]
        finally:
            for future in futures:
                future.cancel()

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.engine.parallel_calls, thread_name_prefix="bluestar-read")
            return self._executor

    def close(self) -> None:
        """End the threads, the cache and the engine."""
        with self._lock:
            if self._executor is not None:
                self._executor.shutdown()
            self._executor = None
        self.cache.close()
        self.engine.close()
