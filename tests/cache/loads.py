"""A first tier alone, a source that counts, and threads that read at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from bluestar_store import (
    Settings,
)
from bluestar_store.cache.limits import CacheLimits, Counters
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.protocols import CacheKey


class Numbers:
    """A source that gives 1, 2, 3, ...; or does what a test wants first."""

    sensitive = False

    def __init__(self) -> None:
        self.loads = 0
        self.before: Callable[[], None] = lambda: None

    def load(self, cache_keys: Sequence[CacheKey]) -> Mapping[CacheKey, Any]:
        self.loads += 1
        value = self.loads
        self.before()
        return dict.fromkeys(cache_keys, value)

    def encode(self, cache_key: CacheKey, value: Any) -> bytes:
        return json.dumps(value).encode()

    def decode(self, cache_key: CacheKey, data: bytes) -> Any:
        return json.loads(data)

    def weigh(self, value: Any) -> int:
        return 8

    def settles(self, value: Any) -> bool:
        return False


@contextmanager
def one_cache(clock: Callable[[], float] = time.monotonic, **limits: Any) -> Iterator[TieredCache]:
    """The first tier alone, without a Store."""
    settings = CacheLimits.of(Settings(persistence_mode="memory"))
    cache = TieredCache(replace(settings, **limits), "test", {}, Counters(), clock=clock)
    try:
        yield cache
    finally:
        cache.close()


def at_once(count: int, read: Callable[[], Any]) -> list[Future[Any]]:
    """The answers of so many threads that start together."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        barrier.wait(10)
        return read()

    with ThreadPoolExecutor(count) as pool:
        return [pool.submit(run) for _ in range(count)]


def background(read: Callable[[], Any]) -> Future[Any]:
    """The answer of a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def threads_named(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())
