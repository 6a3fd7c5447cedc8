"""The engine that faults are injected into passes calls on, counts them, holds them and fails them as told."""

from __future__ import annotations

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.errors import (
    AccessDeniedError,
    CacheError,
    ThrottledError,
    UnavailableError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.persistence import ICacheBackend, MemoryRulesStore
from bluestar_store.protocols import ABSENT, Engine, Item, Put, TableSpec
from bluestar_store.testing import (
    CACHE_CALLS,
    ENGINE_CALLS,
    READS,
    WRITES,
    Call,
    FaultCache,
    FaultEngine,
    Faults,
    FrozenClock,
)

TABLE = "tools"
KEY, OTHER = Key("A", "1"), Key("A", "2")


def item(key: Key, value: str) -> Item:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}, "value": {"S": value}}


@pytest.fixture
def engine() -> FaultEngine:
    """A memory engine with KEY in its table, behind faults; counts are at nought."""
    engine = FaultEngine(MemoryEngine())
    engine.create_tables([TableSpec(TABLE)])
    engine.write(Put(TABLE, item(KEY, "old")))
    engine.faults.forget()
    return engine


def value(engine: Engine, key: Key = KEY) -> str | None:
    found = engine.get(TABLE, [key])
    return found[key]["value"]["S"] if key in found else None


def asks_for_other(call: Call) -> bool:
    return OTHER in call.arguments["keys"]


def test_calls_are_passed_on_and_counted_by_name(engine: FaultEngine) -> None:
    assert engine.get(TABLE, iter([KEY, OTHER]), consistent=True) == {KEY: item(KEY, "old")}
    assert engine.query(TABLE, "A").items == [item(KEY, "old")]
    assert engine.put_many(TABLE, iter([item(OTHER, "new")])) == 1
    assert engine.faults.counts == {"get": 1, "query": 1, "put_many": 1}
    assert engine.faults.calls[0] == Call("get", {"table": TABLE, "keys": (KEY, OTHER), "consistent": True})


def test_calls_of_many_threads_are_all_counted(engine: FaultEngine) -> None:
    with ThreadPoolExecutor(8) as executor:
        assert set(executor.map(lambda _: value(engine), range(400))) == {"old"}
    assert engine.faults.counts == {"get": 400}


@pytest.mark.parametrize(("after", "seen"), [(False, "new"), (True, "old")])
def test_a_held_read_sees_the_items_as_of_where_it_was_held(engine: FaultEngine, after: bool, seen: str) -> None:
    with engine.faults.hold("get", after=after) as hold, ThreadPoolExecutor(1) as executor:
        read = executor.submit(value, engine)
        hold.reached.wait()
        engine.write(Put(TABLE, item(KEY, "new")))
        assert not read.done()
        hold.release()
        assert read.result() == seen
    assert value(engine) == "new"  # one call was to be held


def test_a_hold_can_be_for_certain_calls_alone(engine: FaultEngine) -> None:
    with engine.faults.hold("get", which=asks_for_other) as hold, ThreadPoolExecutor(1) as executor:
        assert value(engine) == "old"
        assert not hold.reached.is_set()
        read = executor.submit(value, engine, OTHER)
        hold.reached.wait()
        hold.release()
        assert read.result() is None


def test_a_hold_that_nothing_reaches_is_an_error(engine: FaultEngine) -> None:
    with engine.faults.hold("write") as hold, pytest.raises(TimeoutError):
        hold.reached.wait(0.01)


def test_a_failure_before_the_call_leaves_everything_as_it_was(engine: FaultEngine) -> None:
    engine.faults.fail("write", ThrottledError, times=1)
    with pytest.raises(ThrottledError):
        engine.write(Put(TABLE, item(KEY, "new")))
    assert value(engine) == "old"
    engine.write(Put(TABLE, item(KEY, "new")))  # one failure was asked for


def test_a_failure_after_the_call_has_applied_it(engine: FaultEngine) -> None:
    engine.faults.fail("write", UnavailableError, after=True)
    with pytest.raises(UnavailableError):
        engine.write(Put(TABLE, item(OTHER, "new"), ABSENT))
    assert value(engine, OTHER) == "new"


def test_failures_last_until_cleared_and_are_counted(engine: FaultEngine) -> None:
    engine.faults.fail("get", AccessDeniedError, which=asks_for_other)
    for _ in range(3):
        with pytest.raises(AccessDeniedError):
            value(engine, OTHER)
    assert value(engine) == "old"
    assert engine.faults.counts == {"get": 4}
    engine.faults.clear()
    assert value(engine, OTHER) is None


def test_a_call_may_be_held_and_then_fail(engine: FaultEngine) -> None:
    hold = engine.faults.hold("write", after=True)
    engine.faults.fail("write", UnavailableError, after=True, times=1)
    with hold, ThreadPoolExecutor(1) as executor:
        write = executor.submit(engine.write, Put(TABLE, item(KEY, "new")))
        hold.reached.wait()
        assert value(engine) == "new"
        hold.release()
        assert isinstance(write.exception(), UnavailableError)


def test_a_name_that_engines_do_not_have_is_refused(engine: FaultEngine) -> None:
    with pytest.raises(ValueError, match="gett"):
        engine.faults.hold("gett")


def test_a_rule_for_several_calls_counts_them_together(engine: FaultEngine) -> None:
    engine.faults.fail(READS, ThrottledError, times=2)
    for read in (lambda: value(engine), lambda: engine.query(TABLE, "A"), lambda: engine.scan(TABLE)):
        if engine.faults.counts.total() < 2:
            with pytest.raises(ThrottledError):
                read()
        else:
            read()
    engine.write(Put(TABLE, item(OTHER, "x")))
    assert engine.faults.counts.total() == 4


def test_an_error_of_the_tests_own_is_raised_as_it_is(engine: FaultEngine) -> None:
    error = VersionConflictError("somewhere", 1, 2)
    engine.faults.fail("write", error, times=1)
    with pytest.raises(VersionConflictError) as raised:
        engine.write(Put(TABLE, item(OTHER, "x")))
    assert raised.value is error


def test_a_delay_is_waited_for_by_the_clock_that_was_given() -> None:
    clock = FrozenClock()
    engine = FaultEngine(MemoryEngine(), Faults(ENGINE_CALLS, sleep=clock.sleep))
    begun = clock.now()
    engine.faults.delay(WRITES, 2.5, times=1)
    engine.create_tables([TableSpec(TABLE)])
    for _ in range(2):
        engine.put_many(TABLE, [item(KEY, "x")])
    assert (clock.now() - begun).total_seconds() == 2.5


def test_a_delay_without_a_clock_takes_real_time(engine: FaultEngine) -> None:
    engine.faults.delay("get", 0.05)
    begun = time.monotonic()
    value(engine)
    assert time.monotonic() - begun >= 0.05


def test_engines_may_share_their_faults() -> None:
    faults = Faults(ENGINE_CALLS)
    engines = [FaultEngine(MemoryEngine(), faults) for _ in range(2)]
    faults.fail("create_tables", UnavailableError)
    for one in engines:
        with pytest.raises(UnavailableError):
            one.create_tables([TableSpec(TABLE)])
    assert faults.counts == {"create_tables": 2}


def test_what_the_engine_behind_has_besides_is_had_through_it() -> None:
    engine = FaultEngine(MemoryEngine())
    assert engine.copy().location == engine.location
    with pytest.raises(AttributeError, match="connection"):
        engine.connection  # noqa: B018 the access is the point
    assert copy.copy(engine).location == engine.location


class TestCache:
    @pytest.fixture
    def cache(self, bluestar_cache: FaultCache) -> FaultCache:
        return bluestar_cache

    def test_it_is_a_cache_backend(self, cache: FaultCache) -> None:
        assert isinstance(cache, ICacheBackend)
        cache.setex("key", 60, "text")
        assert cache.get("key") == "text"
        cache.delete("key")
        assert cache.get("key") is None
        assert [(call.name, call.arguments["key"]) for call in cache.faults.calls] == [
            ("setex", "key"),
            ("get", "key"),
            ("delete", "key"),
            ("get", "key"),
        ]

    def test_its_texts_expire_by_the_frozen_clock(self, cache: FaultCache, bluestar_clock: FrozenClock) -> None:
        cache.setex("key", 60, "text")
        bluestar_clock.advance(61)
        assert cache.get("key") is None

    def test_a_read_of_a_rule_does_not_fail_with_it(self, cache: FaultCache) -> None:
        rule = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6}
        rules = MemoryRulesStore({"calculation-rules": [rule]}, cache=cache)
        cache.faults.fail(CACHE_CALLS, CacheError)
        assert rules.get_calculation_rule("ACME", "match")["max_pct"] == 6
        assert cache.faults.counts["get"] == 1

    def test_its_delays_take_the_frozen_clocks_time(self, cache: FaultCache, bluestar_clock: FrozenClock) -> None:
        begun = bluestar_clock.now()
        cache.faults.delay("get", 30)
        cache.get("key")
        assert (bluestar_clock.now() - begun).total_seconds() == 30
