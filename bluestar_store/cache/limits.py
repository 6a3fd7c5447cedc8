"""The figures of a cache: the limits that its settings give, and the statistics that it counts."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeAlias

from bluestar_store.lazy import cached_property
from bluestar_store.settings import Settings

AHEAD = 0.2
"""The last part of a value's lifetime, in which a read refreshes it in the background."""
JITTER = 0.1
"""Lifetimes are shortened by up to this part, so that values stored together do not expire together."""
ASKS, ASK_PAUSE_SECONDS = 5, 2.0
"""Calls to find out the unknown outcome of one transaction, and the longest pause between two (see `engines`)."""
LONGEST_BACKOFF_SECONDS = 20.0
"""The longest pause between two of botocore's tries of a call; the first ones are 1, 2, 4, ... at most."""
BEAT_SLACK_SECONDS = 0.5
"""How late a heartbeat may be, on a busy machine, before reads ask Redis."""
SLACK_SECONDS = 20.0
"""For the work of a call, besides its waiting."""


@dataclass(frozen=True)
class CacheLimits:
    """See `Settings` for most of them.

    `block_seconds` is the lifetime of a writer's tombstone. It is longer than a commit can take: all transactions that
    conflicts may make necessary, each with the calls to find out its outcome. Half of it is longer than one transaction
    can take, because a writer renews its tombstones before it sends when more than half has passed. `load_seconds` is
    longer than a load can take: waiting threads take over after it.
    """

    ttl_seconds: float
    absence_ttl_seconds: float
    degraded_ttl_seconds: float
    stale_if_error_seconds: float
    max_entries: int
    max_bytes: int
    redis_timeout_seconds: float
    heartbeat_seconds: float
    block_seconds: float
    load_seconds: float
    lease_wait_seconds: float = 0.5

    @classmethod
    def of(cls, settings: Settings) -> CacheLimits:
        """The limits that the settings mean."""
        call = settings.connect_timeout_seconds + settings.read_timeout_seconds
        pauses = sum(min(2.0**n, LONGEST_BACKOFF_SECONDS) for n in range(settings.max_attempts - 1))
        attempt = settings.max_attempts * call + pauses
        transaction = ASKS * (attempt + ASK_PAUSE_SECONDS) + SLACK_SECONDS
        return cls(
            ttl_seconds=settings.cache_ttl_seconds,
            absence_ttl_seconds=min(settings.cache_absence_ttl_seconds, settings.cache_ttl_seconds),
            degraded_ttl_seconds=min(settings.cache_degraded_ttl_seconds, settings.cache_ttl_seconds),
            stale_if_error_seconds=settings.cache_stale_if_error_seconds,
            max_entries=settings.cache_max_entries,
            max_bytes=settings.cache_max_bytes,
            redis_timeout_seconds=settings.redis_timeout_ms / 1000,
            heartbeat_seconds=settings.cache_heartbeat_seconds,
            block_seconds=max(settings.conflict_attempts, 2) * transaction,
            load_seconds=attempt + SLACK_SECONDS,
        )

    @cached_property
    def beat_seconds(self) -> float:
        """Between two heartbeats."""
        return min(self.heartbeat_seconds, self.degraded_ttl_seconds / 2)

    @cached_property
    def trust_seconds(self) -> float:
        """How long after a heartbeat that came back the process answers from memory without asking Redis."""
        return min(2 * self.beat_seconds + BEAT_SLACK_SECONDS, max(self.degraded_ttl_seconds, 2 * self.beat_seconds))

    @cached_property
    def keeps(self) -> bool:
        """Whether the first tier stores anything."""
        return self.max_entries > 0 and self.max_bytes > 0

    def lifetime_seconds(self, value: object) -> float:
        """The lifetime of a value or an absence, with jitter."""
        seconds = self.absence_ttl_seconds if _is_absence(value) else self.ttl_seconds
        return seconds * (1 - JITTER * random.random())  # noqa: S311  # spreads load, guards nothing


def _is_absence(value: object) -> bool:
    return value is None or value == ()


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
