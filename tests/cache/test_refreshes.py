"""Values in use are loaded again ahead of their expiry, once and in the background."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from bluestar_store import (
    IrsLimits,
    LimitsNotFoundError,
    UnavailableError,
)
from bluestar_store.protocols import FailedRead
from bluestar_store.testing import FrozenClock, Signal
from tests.cache.loads import Numbers, one_cache, threads_named
from tests.cache.stores import one_store, until

CACHE_KEY = ("calculation-rule", "ACME", "match")


def test_a_hot_value_is_refreshed_ahead_of_expiry_once_and_in_the_background() -> None:
    clock, source, go_on = FrozenClock(), Numbers(), Signal()
    with one_cache(clock.monotonic, ttl_seconds=100.0) as cache:
        assert cache.fetch([CACHE_KEY], source, fresh=False)[CACHE_KEY] == 1

        def slowly() -> None:
            go_on.wait()

        source.before = slowly
        clock.advance(60)
        assert cache.peek(CACHE_KEY) == 1
        assert threads_named("bluestar-refresh") == 0
        clock.advance(25)  # lives are 90 to 100 seconds; the last fifth is due
        for _ in range(5):
            assert cache.fetch([CACHE_KEY], source, fresh=False)[CACHE_KEY] == 1
        until(lambda: source.loads == 2, "the refresh begins")
        assert cache.peek(CACHE_KEY) == 1
        go_on.set()
        until(lambda: cache.peek(CACHE_KEY) == 2, "the refreshed value is there")
        assert cache.stats().refreshes == 1
        assert source.loads == 2
        assert threads_named("bluestar-refresh") == 1
    assert threads_named("bluestar-refresh") == 0


def test_a_refresh_that_a_write_overtakes_is_not_kept() -> None:
    clock, source, begun, go_on = FrozenClock(), Numbers(), Signal(), Signal()
    with one_cache(clock.monotonic, ttl_seconds=100.0) as cache:
        cache.fetch([CACHE_KEY], source, fresh=False)

        def slowly() -> None:
            begun.set()
            go_on.wait()

        source.before = slowly
        clock.advance(85)
        cache.fetch([CACHE_KEY], source, fresh=False)
        begun.wait()
        with cache.writing([CACHE_KEY]):
            pass
        go_on.set()
        until(lambda: cache.stats().loads == 2 and not cache.local._in_flight, "the refresh is done")
        assert cache.fetch([CACHE_KEY], source, fresh=False)[CACHE_KEY] == 3


def test_a_refresh_that_fails_leaves_the_value_until_it_expires() -> None:
    clock, source = FrozenClock(), Numbers()

    def failing() -> None:
        raise UnavailableError("no engine")

    with one_cache(clock.monotonic, ttl_seconds=100.0) as cache:
        cache.fetch([CACHE_KEY], source, fresh=False)
        source.before = failing
        clock.advance(85)
        for _ in range(3):
            assert cache.fetch([CACHE_KEY], source, fresh=False)[CACHE_KEY] == 1
            until(lambda: source.loads == 2, "the refresh was tried")
        assert cache.peek(CACHE_KEY) == 1
        clock.advance(20)
        answer = cache.fetch([CACHE_KEY], source, fresh=False)[CACHE_KEY]
        assert isinstance(answer, FailedRead)
        assert isinstance(answer.error, UnavailableError)


@pytest.mark.parametrize("there", [True, False], ids=["value", "absence"])
def test_what_redis_has_too_is_refreshed_from_the_engine(redis_url: str, there: bool) -> None:
    # An absence's life is a fifth.
    times: dict[str, Any] = {"cache_ttl_seconds": 2 if there else 10, "cache_absence_ttl_seconds": 2}
    with one_store(redis_url, **times) as (store, engine):
        if there:
            store.irs_limits.put(IrsLimits(year=2026))
        engine.faults.forget()

        def read() -> bool:
            with suppress(LimitsNotFoundError):
                store.irs_limits.get(2026)
            return store.cache.stats().channel

        until(read, "the channel is there")
        read()
        count = engine.faults.counts["get"]

        def refreshed() -> bool:
            read()
            return store.cache.stats().refreshes > 0 and engine.faults.counts["get"] > count

        until(refreshed, "it is refreshed, from the engine")
