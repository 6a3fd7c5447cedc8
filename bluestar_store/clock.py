"""The time as the library tells it: one seam for what it writes and for what it lets expire."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a Store asks for the time."""

    def now(self) -> datetime:
        """The time of day, aware and in UTC: what the library writes as `created` and the like."""

    def monotonic(self) -> float:
        """Seconds since some moment, never less than before: what a cache's times are counted in."""


class SystemClock:
    """The computer's."""

    def now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
