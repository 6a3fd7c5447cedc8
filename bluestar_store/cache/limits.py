"""How long, how much and how late: the settings of a cache, in one value."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cached_property

from bluestar_store.settings import Settings

AHEAD = 0.2
"""The last part of a value's life in which a read has it refreshed in the background."""
JITTER = 0.1
"""Lives are shorter by up to this part, so that what came in together does not expire together."""
BACKOFF_SECONDS = 20.0
"""What one try of a transaction may take for pauses, besides its calls."""


@dataclass(frozen=True)
class CacheLimits:
    """See `Settings` for each; `block_seconds` is longer than a commit can take."""

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
        attempt = settings.max_attempts * call + BACKOFF_SECONDS
        return cls(
            ttl_seconds=settings.cache_ttl_seconds,
            absence_ttl_seconds=min(settings.cache_absence_ttl_seconds, settings.cache_ttl_seconds),
            degraded_ttl_seconds=min(settings.cache_degraded_ttl_seconds, settings.cache_ttl_seconds),
            stale_if_error_seconds=settings.cache_stale_if_error_seconds,
            max_entries=settings.cache_max_entries,
            max_bytes=settings.cache_max_bytes,
            redis_timeout_seconds=settings.redis_timeout_ms / 1000,
            heartbeat_seconds=settings.cache_heartbeat_seconds,
            block_seconds=settings.conflict_attempts * attempt,
            flight_seconds=attempt,
        )

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
