"""The figures of a cache: limits, how long what is loaded may live by them, and counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bluestar_store import Settings
from bluestar_store.cache.limits import JITTER, CacheLimits, Counters
from bluestar_store.cache.read_through import EngineLoader
from bluestar_store.errors import UnavailableError
from bluestar_store.protocols import FailedRead
from tests.cache.first_tier import LIMITS, A, B, C, Setup, Values


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.reads.close()


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


def test_a_lifetime_is_shortened_by_chance_and_absences_have_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [LIMITS.lifetime_seconds(value) for value in ("v", 0, "", None, ())] == [100, 100, 100, 10, 10]
    monkeypatch.setattr("random.random", lambda: 0.5)
    assert LIMITS.lifetime_seconds("v") == 100 * (1 - JITTER / 2)


def test_nothing_is_kept_without_room() -> None:
    assert LIMITS.keeps
    assert replace(LIMITS, max_entries=1, max_bytes=1).keeps
    assert not replace(LIMITS, max_entries=0).keeps
    assert not replace(LIMITS, max_bytes=0).keeps


def test_a_heartbeat_comes_twice_within_the_time_that_is_trusted_without_one() -> None:
    assert replace(LIMITS, heartbeat_seconds=2, degraded_ttl_seconds=5).beat_seconds == 2
    assert replace(LIMITS, heartbeat_seconds=4, degraded_ttl_seconds=5).beat_seconds == 2.5
    assert replace(LIMITS, heartbeat_seconds=1, degraded_ttl_seconds=5).trust_seconds == 2.5
    assert replace(LIMITS, heartbeat_seconds=4, degraded_ttl_seconds=5).trust_seconds == 5
    assert replace(LIMITS, heartbeat_seconds=0.5, degraded_ttl_seconds=1).trust_seconds == 1


def test_limits_are_what_the_settings_say() -> None:
    said = Settings(
        persistence_mode="memory",
        cache_ttl_seconds=300,
        cache_absence_ttl_seconds=60,
        cache_degraded_ttl_seconds=7,
        cache_stale_if_error_seconds=11,
        cache_max_entries=12,
        cache_max_bytes=13000,
        cache_heartbeat_seconds=0.7,
        redis_timeout_ms=150,
        connect_timeout_seconds=1,
        read_timeout_seconds=2,
        max_attempts=7,
        conflict_attempts=3,
    )
    found = CacheLimits.of(said)
    assert (found.ttl_seconds, found.absence_ttl_seconds, found.degraded_ttl_seconds) == (300, 60, 7)
    assert (found.stale_if_error_seconds, found.max_entries, found.max_bytes) == (11, 12, 13000)
    assert (found.redis_timeout_seconds, found.heartbeat_seconds) == (0.15, 0.7)
    attempt = 7 * 3 + (1 + 2 + 4 + 8 + 16 + 20)
    assert found.load_seconds == attempt + 20
    assert found.block_seconds == 3 * (5 * (attempt + 2) + 20)
    once = CacheLimits.of(said.model_copy(update={"conflict_attempts": 1, "cache_ttl_seconds": 3}))
    assert once.block_seconds == 2 * (5 * (attempt + 2) + 20)
    assert (once.absence_ttl_seconds, once.degraded_ttl_seconds) == (3, 3)


def test_values_of_one_load_are_of_one_moment_and_live_from_before_it(setup: Setup) -> None:
    source = Values(a="v", b=None, c=FailedRead(UnavailableError("broken")))

    def slowly() -> None:
        setup.clock.now += 30

    source.before = slowly
    loaded = setup.loader.load([A, B, C], source, max_age_seconds=math.inf)
    assert [loaded[key].until for key in (A, B, C)] == [1100, 1010, None]
    assert [loaded[key].weight for key in (A, B, C)] == [8, 8, 0]
    assert loaded[A].moment is loaded[B].moment is loaded[C].moment
    assert setup.loader.load([A], source, max_age_seconds=0)[A].moment is not loaded[A].moment
    assert [setup.count(name) for name in ("misses", "loads", "absences")] == [4, 2, 1]


def test_values_live_as_long_as_the_loader_says_at_most(setup: Setup) -> None:
    loader = EngineLoader(LIMITS, setup.counters, setup.clock, 7)
    assert loader.load([A], Values(), max_age_seconds=0)[A].until == 1007


def test_a_cache_without_room_keeps_nothing_that_it_loads() -> None:
    setup = Setup(replace(LIMITS, max_entries=0))
    assert setup.loader.load([A], Values(), max_age_seconds=0)[A].until is None


# --------------------------------------------------------------------------------------------------------------- counts


def test_counts_grow_and_listeners_are_told_by_how_much() -> None:
    counters, told = Counters(), list[tuple[str, int]]()
    counters.listen(lambda name, amount: told.append((name, amount)))
    counters.add("loads")
    counters.add("misses", 3)
    counters.add("misses", 0)
    counters.add("misses", 2)
    assert told == [("loads", 1), ("misses", 3), ("misses", 2)]
    found = counters.counts()
    assert (found["loads"], found["misses"], found["waits"]) == (1, 5, 0)
    found["loads"] = 9
    assert counters.counts()["loads"] == 1


def test_a_listener_that_raises_is_not_called_again() -> None:
    counters, told = Counters(), list[str]()

    def raising(name: str, amount: int) -> None:
        told.append("raising")
        raise ZeroDivisionError

    counters.listen(raising)
    counters.listen(lambda name, amount: told.append(name))
    counters.add("loads")
    counters.add("waits")
    assert told == ["raising", "loads", "waits"]


def test_an_outage_is_counted_with_its_reason() -> None:
    counters = Counters()
    counters.failed("a reason")
    assert (counters.last_error, counters.counts()["outages"]) == ("a reason", 0)
    counters.opened("another")
    assert (counters.last_error, counters.counts()["outages"]) == ("another", 1)


def test_a_forked_child_counts_with_a_lock_of_its_own() -> None:
    counters = Counters()
    counters.add("loads")
    lock = counters._lock
    counters.forked()
    assert counters._lock is not lock
    assert counters.counts()["loads"] == 1
