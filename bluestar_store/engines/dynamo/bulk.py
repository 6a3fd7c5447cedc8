"""Bulk writes: several batches in flight over one client, fewer of them while DynamoDB throttles, none of them lost."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bluestar_store.engines.checks import checked_item
from bluestar_store.errors import ThrottledError, UnavailableError, UnprocessedItemsError
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, key_of
from bluestar_store.protocols.items import chunks
from bluestar_store.threads import Threads

if TYPE_CHECKING:
    from tenacity import Retrying

T = TypeVar("T")

BATCH_WRITE_ITEMS = 25
"""Items of one BatchWriteItem (AWS limit)."""


class Unfinished(Exception):
    """Something is left to do after this attempt."""


class Window:
    """How many batches may be in flight: half of it after a throttled answer, one more after a batch that was taken.

    Safe for threads.
    """

    def __init__(self, most: int) -> None:
        self._most = self.size = most
        self._lock = threading.Lock()

    def throttled(self) -> None:
        """DynamoDB did not take all of a batch."""
        with self._lock:
            self.size = max(1, self.size // 2)

    def taken(self) -> None:
        """DynamoDB has taken all of a batch."""
        with self._lock:
            self.size = min(self._most, self.size + 1)


@dataclass(frozen=True)
class _Batch:
    """Of two items with one key the later one; `given` counts both. `number`: its place in the caller's order."""

    number: int
    given: int
    items: dict[Key, Item]


class BulkWrite:
    """One `put_many` into one table: takes from the caller's items what may be in flight, and no more."""

    def __init__(
        self,
        call: Callable[..., dict[str, Any]],
        table: str,
        *,
        retrying: Callable[..., Retrying],
        threads: Threads,
        most: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        """`call` asks DynamoDB, as often as `retrying(given_up=...)` says; at most so many batches are in flight."""
        self._call, self._table, self._threads, self._most = call, table, threads, most
        self._given_up = threading.Event()
        self._retrying = retrying(given_up=self._given_up)
        self._progress = progress
        self._window = Window(most)
        self._flying: dict[Future[list[Item]], _Batch] = {}
        self._left: dict[int, list[Item]] = {}
        self._throttled: ThrottledError | None = None
        self._written = 0
        self._process = os.getpid()

    def run(self, items: Iterable[Item]) -> int:
        """Write all; returns how many were given. See `protocols.Engine.put_many`."""
        rest = iter(items)
        unsent: list[Item] = []
        try:
            for batch in self._batches(rest):
                # With two batches of one key in flight nobody knows which of the items stays.
                self._land(partial(self._is_apart, batch))
                if self._left:
                    unsent = list(batch.items.values())
                    break
                self._send(batch)
                self._land(self._has_room)  # before the next items are taken from the caller
                if self._left:
                    break
            self._land(lambda: False)
        except BaseException:
            self._given_up.set()
            raise
        finally:
            for future in self._flying:
                future.cancel()
            if self._process == os.getpid():
                wait(self._flying)
        if self._left:
            left = [item for _, found in sorted(self._left.items()) for item in found]
            message = f"{self._table}: {len(left)} items stayed unprocessed, however often they were sent"
            raise UnprocessedItemsError(message, [*left, *unsent], rest) from self._throttled
        return self._written

    def _batches(self, items: Iterator[Item]) -> Iterator[_Batch]:
        checked = (checked_item(self._table, item) for item in items)
        for number, given in enumerate(chunks(checked, BATCH_WRITE_ITEMS)):
            yield _Batch(number, len(given), {key_of(item): item for item in given})

    def _is_apart(self, batch: _Batch) -> bool:
        return all(batch.items.keys().isdisjoint(other.items) for other in self._flying.values())

    def _has_room(self) -> bool:
        return len(self._flying) < self._window.size

    def _send(self, batch: _Batch) -> None:
        if self._most == 1 or (not self._flying and batch.given < BATCH_WRITE_ITEMS):  # it is, or goes, alone
            self._landed(batch, self._put(batch))
        else:
            # In a copy of the context, so that a trace shows the call where it belongs.
            self._flying[self._threads.submit(partial(copy_context().run, self._put, batch))] = batch

    def _land(self, enough: Callable[[], bool]) -> None:
        """Wait for batches in flight until it is enough, or there are none. Raises what one of them raised."""
        while self._flying and not enough():
            if self._process != os.getpid():
                raise UnavailableError("a forked child cannot go on with a bulk write that its parent is at")
            done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
            for future in done:
                self._landed(self._flying.pop(future), future.result())

    def _landed(self, batch: _Batch, left: list[Item]) -> None:
        if left:
            self._left[batch.number] = left
            return
        self._written += batch.given
        if self._progress is not None:
            self._progress(batch.given)

    def _put(self, batch: _Batch) -> list[Item]:
        """Send it again and again; gives back what was not taken at last. Called in any thread."""
        left = batch.items
        try:
            for attempt in self._retrying:
                with attempt:
                    left = self._not_taken(left)
                    if left:
                        self._window.throttled()
                        raise Unfinished
        except Unfinished:
            return list(left.values())
        self._window.taken()
        return []

    def _not_taken(self, items: dict[Key, Item]) -> dict[Key, Item]:
        request = {self._table: [{"PutRequest": {"Item": item}} for item in items.values()]}
        try:
            answer = self._call("batch_write_item", self._table, RequestItems=request)
        except ThrottledError as error:  # none of it was taken
            self._throttled = error
            return items
        unprocessed = (answer.get("UnprocessedItems") or {}).get(self._table, ())
        keys = {key_of(put["PutRequest"]["Item"]) for put in unprocessed}
        return {key: item for key, item in items.items() if key in keys} if keys else {}
