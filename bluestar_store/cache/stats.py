"""The statistics of a cache, and the listeners that are called as they grow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias


@dataclass(frozen=True)
class CacheStats:
    """Counts since the Store was opened, and the state now. A read of two levels counts twice.

    `hits_local`, `hits_redis`: values and absences found. `misses`: found in neither tier; `absences`: how many of
    those the engine does not have either. `loads`: calls to the engine, for one or more cache keys. `waits`: reads that
    waited for another thread's load; `lease_waits`: for another process's. `stale_served`: values past their time that
    were served because the engine failed. `fills_refused`: loaded values that were not stored, because of a write
    meanwhile. `undecodable`: values in Redis that this release cannot read. `unsigned`: values and messages without a
    valid signature by one of the keys in BLUESTAR_CACHE_KEY; always 0 without a key. `invalidations_out`,
    `invalidations_in`: messages to and from other processes. `unwritten`: announcements of writes, two a write, that
    Redis delivered as a message without storing the tombstone.
    `unannounced`: those that it could not deliver either: other processes may serve the value before the write until
    `pending` is 0 again, or for their cache_ttl_seconds. Both are logged once an outage, as warnings of
    `bluestar_store.cache`. `refreshes`: loads ahead of expiry. `outages`: how often Redis was taken out of the path.

    `redis`: "off" (no second tier, or none that may be used: `redis_error` says why), "closed" (in the path), "open"
    (out of it until it answers again). `channel`: whether invalidations of other processes are received. `pending`:
    announcements that wait for Redis. `bytes`: an estimate of the size of the first tier.
    """

    hits_local: int = 0
    hits_redis: int = 0
    absences: int = 0
    misses: int = 0
    loads: int = 0
    waits: int = 0
    lease_waits: int = 0
    stale_served: int = 0
    fills_refused: int = 0
    undecodable: int = 0
    unsigned: int = 0
    invalidations_out: int = 0
    invalidations_in: int = 0
    unwritten: int = 0
    unannounced: int = 0
    refreshes: int = 0
    outages: int = 0
    flushes: int = 0
    redis: str = "off"
    redis_error: str | None = None
    channel: bool = False
    pending: int = 0
    entries: int = 0
    bytes: int = 0


Listener: TypeAlias = Callable[[str, int], None]
"""Called with the name of a count (a field of CacheStats) and its growth; not for hits in the process."""

GAUGES = ("pending", "entries", "bytes", "channel")
"""Fields of CacheStats that may also fall."""
COUNTED = tuple(field.name for field in fields(CacheStats) if field.type == "int" and field.name not in GAUGES)


class Counters:
    """Counts, safe for threads. A listener that raises is removed: it must not fail a read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self.last_error: str | None = None
        self._listeners: tuple[Listener, ...] = ()

    def add(self, name: str, amount: int = 1) -> None:
        """Count something, and call the listeners."""
        if not amount:
            return
        with self._lock:
            self._counts[name] += amount
        for listener in self._listeners:
            try:
                listener(name, amount)
            except Exception:  # whatever a user's callback raises
                self.leave(listener)

    def forked(self) -> None:
        """Make a new lock: another thread of the parent may have held the old one."""
        self._lock = threading.Lock()

    def opened(self, reason: str) -> None:
        """Count an outage of Redis."""
        self.failed(reason)
        self.add("outages")

    def failed(self, reason: str) -> None:
        """Remember the last failure."""
        self.last_error = reason

    def listen(self, listener: Listener) -> None:
        """Add a listener."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

    def counts(self) -> dict[str, int]:
        """All counts, as of one moment."""
        with self._lock:
            return dict(self._counts)
