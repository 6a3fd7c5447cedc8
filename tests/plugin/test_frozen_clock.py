"""The clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from bluestar_store.clock import Clock, SystemClock
from bluestar_store.testing import FrozenClock

NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)


def test_it_stands_still_at_the_same_time_in_every_run() -> None:
    one, other = FrozenClock(), FrozenClock()
    assert one.now() == one.now() == other.now()
    assert one.now().tzinfo is UTC
    assert one.monotonic() == one.monotonic()


def test_both_times_go_on_together() -> None:
    clock = FrozenClock(NOON)
    seconds = clock.monotonic()
    clock.advance(90)
    clock.advance(timedelta(minutes=1))
    clock.sleep(0.5)
    assert clock.now() == NOON + timedelta(seconds=150.5)
    assert clock.monotonic() == seconds + 150.5


def test_it_can_be_moved_to_a_time_of_any_zone() -> None:
    clock = FrozenClock(NOON)
    clock.move_to(datetime(2026, 4, 1, 16, tzinfo=timezone(timedelta(hours=2))))
    assert clock.now() == NOON + timedelta(hours=2)
    assert clock.now().tzinfo is UTC


def test_time_does_not_go_back() -> None:
    clock = FrozenClock(NOON)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="does not go back"):
        clock.move_to(NOON - timedelta(days=1))
    assert clock.now() == NOON


def test_a_time_without_a_zone_is_refused() -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="no time zone"):
        FrozenClock(naive)
    with pytest.raises(ValueError, match="no time zone"):
        FrozenClock(NOON).move_to(naive)


def test_listeners_are_told_how_much_time_passed() -> None:
    told: list[float] = []
    clock = FrozenClock(NOON)
    clock.on_advance(told.append)
    clock.advance(5)
    clock.move_to(NOON + timedelta(minutes=1))
    assert told == [5, 55]


def test_the_computers_clock_is_one_too() -> None:
    clock: Clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert clock.monotonic() <= clock.monotonic()
