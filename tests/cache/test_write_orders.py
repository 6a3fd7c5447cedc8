"""One order of a load and a write at a time: no value from before the write is stored after it, in either tier."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from bluestar_store import Store, UnavailableError
from bluestar_store.cache.redis.tier import LookResult
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import CacheKey
from bluestar_store.testing import FaultEngine, Signal
from tests.cache.stores import rule, stores, until

CACHE_KEY = ("calculation-rule", "ACME", "match")


@pytest.fixture(params=["process", "redis"])
def redis_or_none(request: pytest.FixtureRequest) -> str | None:
    url: str | None = request.getfixturevalue("redis_url") if request.param == "redis" else None
    return url


@contextmanager
def stored(count: int, redis_url: str | None) -> Iterator[tuple[list[Store], FaultEngine]]:
    """Stores with their channels up, and a rule of 5 that none of them has read."""
    engine = FaultEngine(MemoryEngine())
    with stores(engine, count, redis_url) as opened:
        opened[0].calculation_rules.put(rule("FIRST", 1))
        for store in opened:
            percent(store, "FIRST")
            if redis_url is not None:
                until(lambda store=store: store.cache.stats().channel, "the channel is there")  # type: ignore[misc]
        opened[0].calculation_rules.put(rule("ACME", 5))
        if count > 1:  # what was said of it has been heard
            until(lambda: all(store.cache.stats().invalidations_in == 2 for store in opened[1:]), "the write is heard")
        engine.faults.forget()
        yield opened, engine


def percent(store: Store, plan: str = "ACME") -> int:
    return int(store.calculation_rules.get(plan, "match").max_pct or 0)


def put(store: Store, value: int) -> None:
    store.calculation_rules.put(rule("ACME", value))


def is_nowhere(store: Store) -> bool:
    """In neither tier, and with nobody's lease or tombstone in its place."""
    found = store.cache.explain(CACHE_KEY)
    return (found.tier, found.note) in {("nowhere", None), ("nowhere", "nothing in Redis")}


def is_cached(store: Store, engine: FaultEngine, value: int) -> bool:
    """Whether reads give the value, and all but the first come from the cache."""
    assert percent(store) == value
    engine.faults.forget()
    return percent(store) == value and engine.faults.calls == []


def started(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def done(thread: threading.Thread) -> None:
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("apart", [False, True], ids=["same-process", "another-process"])
def test_a_value_loaded_before_a_write_does_not_come_in_after_it(redis_url: str, apart: bool) -> None:
    with stored(2, redis_url) as ((one, other), engine):
        reader = other if apart else one
        with engine.faults.hold("get", after=True) as hold:
            found: list[int] = []
            thread = started(lambda: found.append(percent(reader)))
            hold.reached.wait()
            heard = reader.cache.stats().invalidations_in
            put(one, 6)
            if apart:  # between the two messages of a write, a load that comes home does not try to fill
                until(lambda: reader.cache.stats().invalidations_in == heard + 2, "the write is heard")
            hold.release()
            done(thread)
        assert found == [5]
        assert is_nowhere(reader)
        assert reader.cache.stats().fills_refused == 1
        assert is_cached(reader, engine, 6)


def test_a_value_loaded_before_a_write_does_not_come_in_after_it_without_redis() -> None:
    with stored(1, None) as ((store,), engine):
        with engine.faults.hold("get", after=True) as hold:
            thread = started(lambda: percent(store))
            hold.reached.wait()
            put(store, 6)
            hold.release()
            done(thread)
        assert is_nowhere(store)
        assert is_cached(store, engine, 6)


def test_a_value_loaded_before_an_invalidation_does_not_come_in_after_it(redis_or_none: str | None) -> None:
    with stored(1, redis_or_none) as ((store,), engine):
        with engine.faults.hold("get", after=True) as hold:
            thread = started(lambda: percent(store))
            hold.reached.wait()
            store.cache.invalidate("calculation-rule", {"plan_id": "ACME"})
            hold.release()
            done(thread)
        assert is_nowhere(store)
        assert is_cached(store, engine, 5)


def test_a_value_loaded_before_everything_is_forgotten_does_not_come_in_after_it() -> None:
    with stored(1, None) as ((store,), engine):
        with engine.faults.hold("get", after=True) as hold:
            thread = started(lambda: percent(store))
            hold.reached.wait()
            store.cache._cache.local.flush()  # as when the channel comes or goes
            hold.release()
            done(thread)
        assert is_nowhere(store)
        assert is_cached(store, engine, 5)


@pytest.mark.parametrize("early", [True, False], ids=["loaded-before-the-tombstone", "loaded-under-it"])
def test_a_value_that_comes_in_during_a_write_is_not_there_after_it(redis_or_none: str | None, early: bool) -> None:
    with stored(1, redis_or_none) as ((store,), engine), engine.faults.hold("write") as writing:
        if early:
            with engine.faults.hold("get", after=True) as loading:
                reader = started(lambda: percent(store))
                loading.reached.wait()
                writer = started(lambda: put(store, 6))
                writing.reached.wait()
                loading.release()
                done(reader)
        else:
            writer = started(lambda: put(store, 6))
            writing.reached.wait()
            assert percent(store) == 5
        if redis_or_none is not None:
            assert store.cache.explain(CACHE_KEY).note == "it is being written"
        writing.release()
        done(writer)
        assert is_nowhere(store)
        assert is_cached(store, engine, 6)


def test_a_value_loaded_during_a_write_does_not_come_in_after_it(redis_or_none: str | None) -> None:
    with stored(1, redis_or_none) as ((store,), engine), engine.faults.hold("write") as writing:
        writer = started(lambda: put(store, 6))
        writing.reached.wait()
        with engine.faults.hold("get", after=True) as loading:
            reader = started(lambda: percent(store))
            loading.reached.wait()
            writing.release()
            done(writer)
            loading.release()
            done(reader)
        assert is_nowhere(store)
        assert is_cached(store, engine, 6)


def test_a_hit_in_redis_from_before_a_write_does_not_come_into_the_process_after_it(redis_url: str) -> None:
    with stored(2, redis_url) as ((one, other), engine):
        assert percent(one) == 5
        remote = other.cache._cache.remote
        assert remote is not None
        look, looked, go_on = remote.get_or_lease, Signal(), Signal()

        def slow_look(cache_keys: Sequence[CacheKey]) -> LookResult | None:
            found = look(cache_keys)
            looked.set()
            go_on.wait()
            return found

        with patch.object(remote, "get_or_lease", slow_look):
            found: list[int] = []
            thread = started(lambda: found.append(percent(other)))
            looked.wait()
            heard = other.cache.stats().invalidations_in
            put(one, 6)
            until(lambda: other.cache.stats().invalidations_in == heard + 2, "the write is heard")
            go_on.set()
            done(thread)
        assert found == [5]
        assert is_nowhere(other)
        assert is_cached(other, engine, 6)


def test_who_comes_after_a_write_does_not_wait_for_a_load_from_before_it(redis_or_none: str | None) -> None:
    with stored(1, redis_or_none) as ((store,), engine), engine.faults.hold("get", after=True) as hold:
        thread = started(lambda: percent(store))
        hold.reached.wait()
        put(store, 6)
        assert percent(store) == 6
        assert is_cached(store, engine, 6)
        hold.release()
        done(thread)
        assert is_cached(store, engine, 6)


def test_a_writer_that_is_done_does_not_end_the_tombstone_of_another(redis_url: str) -> None:
    with stored(2, redis_url) as ((one, other), engine):
        with engine.faults.hold("write") as hold:
            slow = started(lambda: put(one, 6))
            hold.reached.wait()
            put(other, 7)
            for store in (one, other):
                assert percent(store) == 7
                assert store.cache.explain(CACHE_KEY).note == "it is being written"
                assert not is_cached(store, engine, 7)
            hold.release()
            done(slow)
        for store in (one, other):
            until(lambda store=store: is_cached(store, engine, 6), "all of the write is heard")  # type: ignore[misc]


def test_after_a_write_of_unknown_outcome_nothing_is_kept(redis_or_none: str | None) -> None:
    with stored(1, redis_or_none) as ((store,), engine):
        assert percent(store) == 5
        engine.faults.fail("write", UnavailableError, after=True, times=1)
        with pytest.raises(UnavailableError):
            put(store, 6)
        for _ in range(3):
            assert not is_cached(store, engine, 6)
        put(store, 7)  # the other one may still take place
        assert not is_cached(store, engine, 7)


def test_a_writer_that_dies_after_the_commit_leaves_nothing_behind(redis_url: str) -> None:
    with stored(2, redis_url) as ((one, other), engine):
        assert percent(other) == 5
        remote = one.cache._cache.remote
        assert remote is not None
        with patch.object(remote.publisher, "remove_tombstones"):
            put(one, 6)
        until(lambda: percent(other) == 6, "the first announcement is heard")
        assert not is_cached(other, engine, 6)
