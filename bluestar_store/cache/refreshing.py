"""Loads ahead of expiry, in the background, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from bluestar_store.errors import BlueStarError

MAX_WAITING = 1000
"""Refreshes that wait for their turn. One more is not made: the value expires, and the next read loads it."""


class Refresher:
    """One thread, started by the first refresh."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._closed = False

    def submit(self, refresh: Callable[[], None]) -> None:
        """Make a refresh soon, unless there are too many already."""
        with self._lock:
            if self._closed or self._waiting >= MAX_WAITING:
                return
            if self._executor is None:
                self._executor = ThreadPoolExecutor(1, thread_name_prefix="bluestar-refresh")
            self._waiting += 1
            self._executor.submit(self._run, refresh)

    def _run(self, refresh: Callable[[], None]) -> None:
        try:
            with suppress(BlueStarError):  # the read that finds the value expired will say so
                refresh()
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Drop what waits, and end the thread."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)
