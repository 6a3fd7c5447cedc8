"""How long, how much and how late: the settings of a cache, in one value."""

from __future__ import annotations

import random
from dataclasses import dataclass

from bluestar_store.lazy import cached_property
from bluestar_store.settings import Settings

AHEAD = 0.2
"""The last part of a value's life in which a read has it refreshed in the background."""
JITTER = 0.1
"""Lives are shorter by up to this part, so that what came in together does not expire together."""
ASKS, ASK_PAUSE_SECONDS = 5, 2.0
"""Calls about one transaction whose outcome is unknown, and the longest pause between two (see `engines`)."""
LONGEST_BACKOFF_SECONDS = 20.0
"""The longest pause between two of botocore's tries of a call; the first ones are 1, 2, 4, ... at most."""
BEAT_SLACK_SECONDS = 0.5
"""By which a heartbeat may be late, on a busy machine, before the process asks."""
SLACK_SECONDS = 20.0
"""For what a call takes besides waiting, in all."""


@dataclass(frozen=True)
class CacheLimits:
    """See `Settings` for each.

    `block_seconds`, for which a writer's tombstone counts, is longer than a commit can take: as many transactions as
    conflicts may make necessary, each asked about as often as its outcome may be unknown. And half of it is longer than
    one transaction can take: a writer bars its items anew before it sends when more than half has passed.
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
    flight_seconds: float
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
            flight_seconds=attempt + SLACK_SECONDS,
        )

    @cached_property
    def beat_seconds(self) -> float:
        """Between two heartbeats."""
        return min(self.heartbeat_seconds, self.degraded_ttl_seconds / 2)

    @cached_property
    def trust_seconds(self) -> float:
        """How long after a heartbeat that was heard the process answers from memory without asking."""
        return min(2 * self.beat_seconds + BEAT_SLACK_SECONDS, max(self.degraded_ttl_seconds, 2 * self.beat_seconds))

    @cached_property
    def keeps(self) -> bool:
        """Whether the process keeps anything."""
        return self.max_entries > 0 and self.max_bytes > 0

    def lifetime_seconds(self, value: object) -> float:
        """How long a value is good, jittered; an absence not as long."""
        seconds = self.absence_ttl_seconds if _is_absence(value) else self.ttl_seconds
        return seconds * (1 - JITTER * random.random())  # noqa: S311  # spreads load, guards nothing


def _is_absence(value: object) -> bool:
    return value is None or value == ()
