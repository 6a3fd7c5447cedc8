"""Many who miss one key at once: one of them loads, the others get what it got."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from bluestar_store import (
    AccessDeniedError,
    BlueStarError,
    ItemDecodeError,
    RuleNotFoundError,
    Store,
    UnavailableError,
    VersionConflictError,
)
from bluestar_store.cache.in_flight import copy_of
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.errors import EngineError
from bluestar_store.keys import Key
from bluestar_store.protocols import CacheKey, Item, Put
from bluestar_store.testing import FaultEngine, Signal
from tests.cache.loads import Numbers, at_once, background, one_cache
from tests.cache.stores import one_store, rule, stores, until

THREADS = 64
CACHE_KEY: CacheKey = ("calculation-rule", "ACME", "match")


class Interrupted(BaseException):
    """What a thread is stopped by, like KeyboardInterrupt; pytest itself reacts to that one."""


# ----------------------------------------------------------------------------------------------------- in one process


@pytest.mark.parametrize("remote", [False, True], ids=["process", "redis"])
def test_many_threads_on_a_cold_key_make_one_engine_read(remote: bool, request: pytest.FixtureRequest) -> None:
    with one_store(request.getfixturevalue("redis_url") if remote else None) as (store, engine):
        for number in range(20):
            store.calculation_rules.put(rule(f"P{number}", number))
            engine.faults.forget()
            answers = at_once(THREADS, lambda plan=f"P{number}": store.calculation_rules.get(plan, "match").max_pct)  # type: ignore[misc]
            assert {answer.result() for answer in answers} == {number}
            assert engine.faults.counts == {"get": 1}


def test_many_threads_where_the_process_keeps_nothing_make_one_engine_read(redis_url: str) -> None:
    with one_store(redis_url, cache_max_entries=0) as (store, engine):
        store.calculation_rules.put(rule("ACME", 6))
        engine.faults.forget()
        for _ in range(10):
            answers = at_once(THREADS, lambda: store.calculation_rules.get("ACME", "match").max_pct)
            assert {answer.result() for answer in answers} == {6}
        assert engine.faults.counts == {"get": 1}


def test_many_threads_at_what_may_not_be_kept_share_what_one_loads() -> None:
    with one_store() as (store, engine):
        store.calculation_rules.put(rule("GLOBAL", 6))
        store.cache._cache.local.begin_write([CACHE_KEY], b"0123456789abcdef", 100)
        engine.faults.forget()
        with engine.faults.hold("get", after=True) as hold:
            leader = background(lambda: store.calculation_rules.get("ACME", "match").max_pct)
            hold.reached.wait()
            others = [background(lambda: store.calculation_rules.get("ACME", "match").max_pct) for _ in range(THREADS)]
            until(lambda: store.cache.stats().waits == THREADS, "all wait")
            hold.release()
            assert {one.result(10) for one in [leader, *others]} == {6}
        assert engine.faults.counts == {"get": 1}


def test_all_who_wait_get_what_the_leader_gets() -> None:
    with one_store() as (store, engine), engine.faults.hold("get", after=True) as hold:
        leader = background(lambda: store.calculation_rules.get("ACME", "match"))
        hold.reached.wait()
        others = [background(lambda: store.calculation_rules.get("ACME", "match")) for _ in range(THREADS)]
        until(lambda: store.cache.stats().waits == THREADS, "all wait")
        hold.release()
        for one in (leader, *others):
            with pytest.raises(RuleNotFoundError):
                one.result(10)
        assert engine.faults.counts == {"get": 1}


@pytest.mark.parametrize("error", [AccessDeniedError, UnavailableError])
def test_all_who_wait_get_the_leaders_error_and_the_next_read_loads(error: type[EngineError]) -> None:
    with one_store() as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        engine.faults.forget()
        with engine.faults.hold("get") as hold:
            engine.faults.fail("get", error, times=1)
            leader = background(lambda: store.calculation_rules.get("ACME", "match"))
            hold.reached.wait()
            others = [background(lambda: store.calculation_rules.get("ACME", "match")) for _ in range(THREADS)]
            until(lambda: store.cache.stats().waits == THREADS, "all wait")
            hold.release()
            for one in (leader, *others):
                with pytest.raises(error):
                    one.result(10)
        assert engine.faults.counts == {"get": 1}
        assert store.calculation_rules.get("ACME", "match").max_pct == 5


@pytest.mark.parametrize("error", [AccessDeniedError, UnavailableError, ItemDecodeError])
def test_each_who_waits_raises_an_error_of_its_own(error: type[BlueStarError]) -> None:
    with one_store() as (store, engine):
        broken = {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}, "max_pct": {"S": "much"}}
        engine.write(Put(store.tables.name(store.calculation_rules.mapper), broken))
        with engine.faults.hold("get", after=error is ItemDecodeError) as hold:
            if issubclass(error, EngineError):
                engine.faults.fail("get", error, times=1)
            reads = [background(lambda: store.calculation_rules.get("ACME", "match"))]
            hold.reached.wait()
            reads += [background(lambda: store.calculation_rules.get("ACME", "match")) for _ in range(THREADS)]
            until(lambda: store.cache.stats().waits == THREADS, "all wait")
            hold.release()
            raised = [one.exception(10) for one in reads]
        assert {type(one) for one in raised} == {error}
        assert len({str(one) for one in raised}) == 1
        assert len({id(one) for one in raised}) == len(raised)
        assert max(len(traceback.extract_tb(one.__traceback__)) for one in raised if one) < 40


def test_an_error_of_ones_own_is_the_same_error() -> None:
    first = VersionConflictError("rule", 1, 2)
    first.add_note("seen by the leader")
    again = copy_of(first)
    again.add_note("seen by another")
    assert (str(again), again.expected, again.found) == (str(first), 1, 2)
    assert first.__notes__ == ["seen by the leader"]


def test_a_thread_that_missed_while_the_leader_finished_takes_its_value() -> None:
    with one_store() as (store, engine):
        local = store.cache._cache.local
        begin, missed, finished = local.begin, Signal(), Signal()

        def late_begin(cache_keys: Iterable[CacheKey], settles: Callable[[Any], bool]) -> Any:
            if threading.current_thread() is not threading.main_thread():
                missed.set()
                finished.wait()
            return begin(cache_keys, settles)

        local.begin = late_begin  # type: ignore[method-assign]
        store.calculation_rules.put(rule("ACME", 5))
        engine.faults.forget()
        late = background(lambda: store.calculation_rules.get("ACME", "match").max_pct)
        missed.wait()
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        finished.set()
        assert late.result(10) == 5
        assert engine.faults.counts == {"get": 1}


def test_a_leader_that_is_interrupted_is_replaced_by_one_who_waits() -> None:
    source, begun, go_on = Numbers(), Signal(), Signal()

    def interrupted() -> None:
        if source.loads == 1:
            begun.set()
            go_on.wait()
            raise Interrupted

    source.before = interrupted
    with one_cache() as cache:
        leader = background(lambda: cache.fetch([CACHE_KEY], source, fresh=False))
        begun.wait()
        others = [background(lambda: cache.fetch([CACHE_KEY], source, fresh=False)) for _ in range(THREADS)]
        until(lambda: cache.stats().waits == THREADS, "all wait")
        go_on.set()
        with pytest.raises(Interrupted):
            leader.result(10)
        assert {other.result(10)[CACHE_KEY] for other in others} == {2}
        assert source.loads == 2


def test_a_leader_that_hangs_is_replaced_once_and_what_it_brings_late_is_not_kept() -> None:
    source, begun, go_on = Numbers(), Signal(), Signal()

    def hanging() -> None:
        if source.loads == 1:
            begun.set()
            go_on.wait()

    source.before = hanging
    with one_cache(load_seconds=0.2) as cache:
        leader = background(lambda: cache.fetch([CACHE_KEY], source, fresh=False))
        begun.wait()
        others = [background(lambda: cache.fetch([CACHE_KEY], source, fresh=False)) for _ in range(THREADS)]
        assert {other.result(10)[CACHE_KEY] for other in others} == {2}
        assert source.loads == 2
        assert cache.peek(CACHE_KEY) == 2
        go_on.set()
        assert leader.result(10)[CACHE_KEY] == 1
        assert cache.peek(CACHE_KEY) == 2


# -------------------------------------------------------------------------------------------------- in some processes


def test_one_process_loads_for_all(redis_url: str) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 4, redis_url) as opened:
        opened[0].calculation_rules.put(rule("ACME", 5))
        engine.faults.forget()
        with engine.faults.hold("get", after=True) as hold:
            answers = [background(lambda store=store: read_rule(store)) for store in opened]  # type: ignore[misc]
            hold.reached.wait()
            until(lambda: sum(store.cache.stats().lease_waits for store in opened) >= 3, "the others wait")
            hold.release()
            assert [answer.result(10) for answer in answers] == [5] * 4
        assert engine.faults.counts == {"get": 1}


def test_of_a_process_that_hangs_one_other_takes_the_place_also_when_loads_are_slow(redis_url: str) -> None:
    engine = FaultEngine(SlowEngine())
    with stores(engine, 4, redis_url) as opened:
        opened[0].calculation_rules.put(rule("ACME", 5))
        engine.faults.forget()
        with engine.faults.hold("get") as hold:
            leader = background(lambda: read_rule(opened[0]))
            hold.reached.wait()
            answers = [background(lambda store=store: read_rule(store)) for store in opened[1:]]  # type: ignore[misc]
            assert [answer.result(10) for answer in answers] == [5] * 3
            counts = engine.faults.counts
            hold.release()
            assert leader.result(10) == 5
        assert counts == {"get": 2}


def test_a_fresh_read_is_not_undone_by_an_older_load(redis_url: str) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_url) as (one, other):
        own = one.calculation_rules.put(rule("ACME", 5))
        assert own.origin is not None
        with engine.faults.hold("get", after=True) as hold:
            slow = background(lambda: read_rule(one))
            hold.reached.wait()
            theirs = {**own.origin.item, "max_pct": {"N": "9"}}
            engine.write(Put(one.tables.name(one.calculation_rules.mapper), theirs))  # behind the library's back
            assert other.calculation_rules.get("ACME", "match", fresh=True).max_pct == 9
            hold.release()
            slow.result(10)
        assert read_rule(other) == 9
        until(lambda: read_rule(one) == 9, "the older load is forgotten")


class SlowEngine(MemoryEngine):
    """As far away as a throttled table."""

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        found = super().get(table, keys, consistent=consistent)
        time.sleep(0.15)
        return found

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        found = super().get_isolated(table, keys)
        time.sleep(0.15)
        return found


def read_rule(store: Store) -> object:
    return store.calculation_rules.get("ACME", "match").max_pct
