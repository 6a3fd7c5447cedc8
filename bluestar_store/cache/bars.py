"""Which units writers are at: what is read of them is kept nowhere until the write is known to be over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable

from bluestar_store.protocols import CacheKey

MAX_BARRED = 10_000
"""Units that are barred at once; when there are more, all are."""


class Bars:
    """This process's own writes, those that others told of, and those whose outcome nobody knows. Safe for threads.

    The tombstones in Redis say the same to who was not there to hear it; this is for when Redis has lost them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """None, and with a lock of its own: a forked child cannot trust its parent's."""
        self._lock = threading.Lock()
        self._barred: dict[CacheKey, dict[bytes, float]] = {}
        self._heard: dict[bytes, float] = {}
        self._put = 0
        """Bars since they were tidied last: of one unit there may be many."""
        self._all_until = 0.0

    def put(self, units: Collection[CacheKey], writer: bytes, seconds: float, *, heard: bool = False) -> None:
        """Bar the units for so long, unless the writer lifts it before; `heard` of another process."""
        now = self._clock()
        with self._lock:
            for unit in units:
                self._barred.setdefault(unit, {})[writer] = now + seconds
                self._put += 1
            if heard and units:
                self._heard[writer] = now
            if self._put > MAX_BARRED:
                self._tidy(now)

    def lift(self, units: Iterable[CacheKey], writer: bytes) -> None:
        """The writer is done with the units; other writers' bars stay."""
        with self._lock:
            for unit in units:
                writers = self._barred.get(unit)
                if writers is not None:
                    writers.pop(writer, None)
                    if not writers:
                        del self._barred[unit]
            self._heard.pop(writer, None)

    def lift_heard(self, before: float) -> None:
        """Forget what others told before that time: that they are done was perhaps not heard.

        For when Redis still has all that it was told.
        """
        with self._lock:
            over = {writer for writer, at in self._heard.items() if at < before}
            for unit, writers in list(self._barred.items()):
                kept = {writer: until for writer, until in writers.items() if writer not in over}
                if kept:
                    self._barred[unit] = kept
                else:
                    del self._barred[unit]
            for writer in over:
                del self._heard[writer]

    def stand(self, unit: CacheKey) -> bool:
        """Whether a writer may be at the unit."""
        if unit not in self._barred and not self._all_until:
            return False
        now = self._clock()
        with self._lock:
            writers = self._barred.get(unit, {})
            if any(until > now for until in writers.values()):
                return True
            self._barred.pop(unit, None)
            return now < self._all_until

    def _tidy(self, now: float) -> None:
        """Forget what is over; when that leaves too many, bar everything until the last of them is over."""
        kept = {
            unit: {w: until for w, until in writers.items() if until > now} for unit, writers in self._barred.items()
        }
        self._barred = {unit: writers for unit, writers in kept.items() if writers}
        self._put = sum(map(len, self._barred.values()))
        if self._put > MAX_BARRED:
            self._all_until = max(max(writers.values()) for writers in self._barred.values())
            self._barred.clear()
            self._put = 0
        writers_left = {writer for writers in self._barred.values() for writer in writers}
        self._heard = {writer: at for writer, at in self._heard.items() if writer in writers_left}
