"""A few threads, made when there is work for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bluestar_store.forking import remember

T = TypeVar("T")


class Threads:
    """Runs calls in so many threads, which are made by the first call. Safe for threads and for fork."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: its parent's threads are not there, and its lock may be held by one of them."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have it called soon, in its turn."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
            return self._executor.submit(call)

    def close(self) -> None:
        """End the threads, when all that was submitted is done; a later call makes new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
