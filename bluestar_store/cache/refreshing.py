"""Loads ahead of expiry, in the background, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from bluestar_store.errors import BlueStarError
from bluestar_store.threads import Threads

MAX_WAITING = 1000
"""Refreshes that wait for their turn. One more is not made: the value expires, and the next read loads it."""


class Refresher:
    """One thread, started by the first refresh. Where none can be had, whoever asks for a refresh makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = Threads(1, "bluestar-refresh")
        self._waiting = 0
        self._closed = False

    def submit(self, refresh: Callable[[], None]) -> None:
        """Make a refresh soon, unless there are too many already."""
        with self._lock:
            if self._closed or self._waiting >= MAX_WAITING:
                return
            self._waiting += 1
        self._threads.submit(lambda: self._run(refresh))

    def _run(self, refresh: Callable[[], None]) -> None:
        try:
            if not self._closed:
                with suppress(BlueStarError):  # the read that finds the value expired will say so
                    refresh()
        finally:
            with self._lock:
                self._waiting -= 1

    def close(self) -> None:
        """Drop what waits, and end the thread."""
        with self._lock:
            self._closed = True
        self._threads.close()
