"""A clock that stands still until a test moves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
"""Where a frozen clock stands when a test does not say: the same in every run."""


class FrozenClock:
    """See `bluestar_store.clock.Clock`. Safe for threads."""

    def __init__(self, at: datetime = START) -> None:
        """ValueError for a time without a zone."""
        self._now, self._seconds = _utc(at), 1000.0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[float], None]] = []

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds; only how they grow means something."""
        return self._seconds

    def advance(self, by: float | timedelta) -> None:
        """Let time pass: seconds, or a timedelta. ValueError for less than none: time does not go back."""
        passed = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if passed < timedelta(0):
            raise ValueError(f"time does not go back: {by}")
        with self._lock:
            self._now += passed
            self._seconds += passed.total_seconds()
        for listener in self._listeners:
            listener(passed.total_seconds())

    def move_to(self, at: datetime) -> None:
        """Let time pass until then. ValueError for a time without a zone, and for one that has been."""
        self.advance(_utc(at) - self._now)

    def sleep(self, seconds: float) -> None:
        """In place of `time.sleep`: takes no time, and moves the clock."""
        self.advance(seconds)

    def on_advance(self, listener: Callable[[float], None]) -> None:
        """Tell a function of the seconds whenever some have passed."""
        self._listeners.append(listener)

    def __repr__(self) -> str:
        return f"FrozenClock({self._now.isoformat()})"


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone: give an aware datetime, such as datetime(2026, 1, 15, tzinfo=UTC)")
    return at.astimezone(UTC)
