"""The settings of a cache, and the times that follow from them, in one value."""

from __future__ import annotations

import random
from dataclasses import dataclass

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
