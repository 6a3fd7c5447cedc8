"""Clocks: the time that is written, and the time by which things expire. Tests inject their own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Protocol, runtime_checkable


class Clock(Protocol):
    """The clock of a Store."""

    def now(self) -> datetime:
        """The time of day, aware and in UTC; it is stored as `created` and the like."""

    def monotonic(self) -> float:
        """Seconds since some moment, never less than before, those included that the computer slept.

        What a cache's times are counted in: a value grows old while nobody runs, too.
        """


@runtime_checkable
class Sleeping(Protocol):
    """An optional part of a Clock."""

    def sleep(self, seconds: float) -> None:
        """Wait for so long by this clock."""


def sleep_of(clock: Clock) -> Callable[[float], None]:
    """How to wait by a clock: by its own `sleep`, else by the computer's time."""
    return clock.sleep if isinstance(clock, Sleeping) else time.sleep


def continuous_counter() -> Callable[[], float]:
    """The system's counter of seconds that goes on while the computer sleeps; on Windows, Python's own does."""
    if sys.platform == "linux" and hasattr(time, "CLOCK_BOOTTIME"):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if sys.platform == "darwin" and hasattr(time, "CLOCK_MONOTONIC_RAW"):
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC_RAW)  # mach_continuous_time
    return time.monotonic


class SystemClock:
    """The computer's."""

    def now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)

    monotonic = staticmethod(continuous_counter())


class Continuous:
    """Seconds since some moment, those included that the process was stopped, the computer slept or was frozen.

    `time.monotonic` does not count sleep, on Linux and macOS; and a virtual machine that was frozen as a whole knows
    only by the time of day, once that is set, that time has passed. So what the time of day gains counts too, and what
    it loses does not.
    """

    def __init__(
        self, counter: Callable[[], float] | None = None, time_of_day: Callable[[], float] = time.time
    ) -> None:
        self._counter, self._time_of_day = counter or continuous_counter(), time_of_day
        self._gained = self._time_of_day() - self._counter()

    def __call__(self) -> float:
        """The seconds."""
        counted = self._counter()
        self._gained = max(self._gained, self._time_of_day() - counted)
        return counted + self._gained


continuous = Continuous()
"""This process's."""
