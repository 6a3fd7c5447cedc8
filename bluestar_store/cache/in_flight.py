"""What is under way in this process: loads, one of a cache key at a time, and the writes that keep values out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from bluestar_store.protocols import CacheKey, FailedRead

E = TypeVar("E", bound=Exception)

MAX_KEYS_WRITTEN = 10_000
"""Cache keys under write at once; when there are more, every key counts as under write."""


class Loaded:
    """A value, until when this process may keep it (by the cache's clock; None: not at all), and its size in bytes.

    Values with the same `moment` were current at the same time.
    """

    __slots__ = ("moment", "until", "value", "weight")

    def __init__(self, value: Any, moment: object, until: float | None = None, weight: int = 0) -> None:
        self.value, self.moment, self.until, self.weight = value, moment, until, weight

    def replaced_by(self, value: Any) -> Loaded:
        """Another value in its place, which is not kept."""
        return Loaded(value, self.moment)


class Bypassed:
    """The moment of values that were loaded without asking Redis about writers: consistent only within one load."""


class InFlightLoad:
    """One load of a cache key. The thread that began it leads; others wait for its value or its error.

    One is made for every load, so it has nothing that only waiting threads need.
    """

    loaded: Loaded | None = None
    error: Exception | None = None
    successor: InFlightLoad | None = None
    """The load that replaced this one, because its leader was interrupted or took too long."""
    running: threading.Lock | None = None
    """Held until the load is finished; None as long as nobody waits."""

    def expected(self) -> InFlightLoad:
        """This load, for a thread that will wait for it. Called under the cache's lock, so before the load finishes."""
        if self.running is None:
            self.running = threading.Lock()  # an Event takes twenty times as long to make
            self.running.acquire()
        return self

    def finish(self, loaded: Loaded) -> None:
        """Give the value to the waiting threads."""
        self.loaded = loaded
        self.release_waiters()

    def fail(self, error: BaseException) -> None:
        """Give the error to the waiting threads; after an interruption, which is no Exception, one of them loads."""
        if isinstance(error, Exception):
            self.error = error
        self.release_waiters()

    def release_waiters(self) -> None:
        """Wake the waiting threads. Without a value and an error, one of them becomes the leader."""
        if self.running is not None:
            self.running.release()

    def wait(self, timeout_seconds: float) -> Loaded | None:
        """The loaded value; None when the leader was interrupted or the timeout passed. Raises the load's error."""
        if self.running is not None and self.running.acquire(timeout=timeout_seconds):
            self.running.release()  # for the next waiting thread
        if self.error is not None:
            raise copy_of(self.error)
        if self.loaded is not None and isinstance(self.loaded.value, FailedRead):
            return self.loaded.replaced_by(FailedRead(copy_of(self.loaded.value.error)))
        return self.loaded


def copy_of(error: E) -> E:
    """A copy of an error for one thread, with its traceback, cause and notes.

    One object raised in many threads would collect the traceback of each, and notes added by one would show in all.
    Made without the class's `__init__`, whose parameters may differ from `args`.
    """
    one = type(error).__new__(type(error), *error.args)
    one.args = error.args
    one.__dict__.update(error.__dict__)
    if hasattr(error, "__notes__"):
        one.__notes__ = list(error.__notes__)
    one.__cause__, one.__context__ = error.__cause__, error.__context__
    one.__suppress_context__ = error.__suppress_context__
    return one.with_traceback(error.__traceback__)


class InFlightWrites:
    """Cache keys that writers are changing: what is loaded of them is not kept. Safe for threads.

    Holds this process's writes, those that other processes announced, and those of unknown outcome. The tombstones in
    Redis say the same to processes that missed the announcement; this is for when Redis has lost them.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Empty, with a new lock: in a forked child another thread of the parent may have held the old one."""
        self._lock = threading.Lock()
        self._ends: dict[CacheKey, dict[bytes, float]] = {}
        """When each writer's hold on a key ends, at the latest."""
        self._announced: dict[bytes, float] = {}
        """When each writer of another process was announced."""
        self._begun = 0
        """Holds since the last `_tidy`: of one key there may be many."""
        self._all_until = 0.0

    def begin(
        self, cache_keys: Collection[CacheKey], writer: bytes, seconds: float, *, announced: bool = False
    ) -> None:
        """A writer changes the keys: for so many seconds unless `end` comes first; `announced` by another process."""
        now = self._clock()
        with self._lock:
            for cache_key in cache_keys:
                self._ends.setdefault(cache_key, {})[writer] = now + seconds
                self._begun += 1
            if announced and cache_keys:
                self._announced[writer] = now
            if self._begun > MAX_KEYS_WRITTEN:
                self._tidy(now)

    def end(self, cache_keys: Iterable[CacheKey], writer: bytes) -> None:
        """The writer is done with the keys. Other writers' holds stay."""
        with self._lock:
            for cache_key in cache_keys:
                writers = self._ends.get(cache_key)
                if writers is not None:
                    writers.pop(writer, None)
                    if not writers:
                        del self._ends[cache_key]
            self._announced.pop(writer, None)

    def end_announced(self, before: float) -> None:
        """End the writes of other processes that were announced before a time: their end may have been missed.

        Only for when Redis still has every tombstone that it was given.
        """
        with self._lock:
            over = {writer for writer, at in self._announced.items() if at < before}
            for cache_key, writers in list(self._ends.items()):
                kept = {writer: until for writer, until in writers.items() if writer not in over}
                if kept:
                    self._ends[cache_key] = kept
                else:
                    del self._ends[cache_key]
            for writer in over:
                del self._announced[writer]

    def cover(self, cache_key: CacheKey) -> bool:
        """Whether a writer may be changing the key."""
        if cache_key not in self._ends and not self._all_until:
            return False
        now = self._clock()
        with self._lock:
            writers = self._ends.get(cache_key, {})
            if any(until > now for until in writers.values()):
                return True
            self._ends.pop(cache_key, None)
            return now < self._all_until

    def _tidy(self, now: float) -> None:
        """Drop what is over; when too many are left, cover every key until the last of them ends."""
        kept = {key: {w: until for w, until in writers.items() if until > now} for key, writers in self._ends.items()}
        self._ends = {cache_key: writers for cache_key, writers in kept.items() if writers}
        self._begun = sum(map(len, self._ends.values()))
        if self._begun > MAX_KEYS_WRITTEN:
            self._all_until = max(max(writers.values()) for writers in self._ends.values())
            self._ends.clear()
            self._begun = 0
        writers_left = {writer for writers in self._ends.values() for writer in writers}
        self._announced = {writer: at for writer, at in self._announced.items() if writer in writers_left}
