"""Readers and a writer at once: whatever the order of things, no value from before a write is there after it.

100 contended rounds a variant, with --soak 20,000: enough to see a cache that does not check its loads (measured).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pytest

from bluestar_store import PipelineStep, Store, UnavailableError
from bluestar_store.cache.redis.tier import LookResult
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import CacheKey, Engine, Item, Page, Write
from bluestar_store.testing import FaultEngine, Signal
from tests.cache.stores import rule, stores, until

READERS = 3
ROUNDS, SOAK_ROUNDS = 60, 20_000
ROUNDS_A_KEY = 4
LEAST_READS = 3
PROPAGATION_SECONDS = 1.0
"""What is older for longer than this in another process is stale; in the writer's own process nothing may be."""
LAG_SECONDS = 0.0003


def lag(times: int = 1) -> None:
    """A little of the time that a real engine takes, in which the other threads get on."""
    time.sleep(random.random() * LAG_SECONDS * times)


def reply_lag() -> None:
    """Every fourth answer may be under way for longer than a whole write."""
    lag(random.choice((1, 1, 1, 10)))


class LaggingEngine(MemoryEngine):
    """Answers come some time after they were true, and writes take some time on both sides of the commit."""

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        found = super().get(table, keys, consistent=consistent)
        reply_lag()
        return found

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        found = super().get_isolated(table, keys)
        reply_lag()
        return found

    def query(self, table: str, pk: str, sk_prefix: str = "", **options: Any) -> Page:
        found = super().query(table, pk, sk_prefix, **options)
        reply_lag()
        return found

    def write(self, *writes: Write) -> None:
        lag()
        super().write(*writes)
        lag()


@dataclass(frozen=True)
class Case:
    """What is read and written in a round; `name` is a plan that no other key of the run has."""

    read: Callable[[Store, str, bool], object]
    write: Callable[[Store, str, int], object]
    begin: Callable[[Store], object] = lambda store: None


def put_rule(store: Store, plan: str, value: int) -> object:
    return store.calculation_rules.put(rule(plan, value % 90))


def put_or_delete_rule(store: Store, plan: str, value: int) -> object:
    """Odd: the plan has a rule of its own; even: it falls back."""
    if value % 2:
        return put_rule(store, plan, value)
    store.calculation_rules.delete(rule(plan, 1))
    return None


def replace_pipeline(store: Store, plan: str, value: int) -> object:
    steps = [PipelineStep(plan_id=plan, pay_freq="Weekly", step_order=100 * n) for n in range(1, 2 + value % 3)]
    return store.pipelines.replace(plan, "Weekly", steps)


CASES = {
    "rule": Case(lambda store, plan, fresh: store.calculation_rules.get(plan, "match", fresh=fresh).max_pct, put_rule),
    "fallback": Case(
        lambda store, plan, fresh: store.calculation_rules.get(plan, "match", fresh=fresh).max_pct,
        put_or_delete_rule,
        lambda store: put_rule(store, "GLOBAL", 0),
    ),
    "partition": Case(
        lambda store, plan, fresh: store.calculation_rules.all(plan, fresh=fresh)["match"].max_pct,
        put_or_delete_rule,
        lambda store: put_rule(store, "GLOBAL", 0),
    ),
    "pipeline": Case(
        lambda store, plan, fresh: [
            (step.step_order, step.revision) for step in store.pipelines.steps(plan, "Weekly", fresh=fresh)
        ],
        replace_pipeline,
    ),
}


@dataclass
class Race:
    """Rounds of readers against one writer, and what came of them."""

    case: Case
    readers: list[Store]
    writer: Store | None
    truth: Store
    within_seconds: float
    fresh: bool = False
    rounds_a_key: int = ROUNDS_A_KEY
    before_write: Callable[[], object] = lambda: None
    stale: int = 0
    slowest_seconds: float = 0.0
    keys: list[str] = field(default_factory=list)
    over: int = 0
    """The rounds whose write is over."""

    def run(self, rounds: int) -> None:
        """Every other key is cold when its first round begins, in both tiers; in later rounds all are warm.

        Reads go on until the write is over, and a little longer: of few, all would be done before it begins.
        """
        start, written = threading.Barrier(READERS + 1), threading.Barrier(READERS + 1)
        self._prepare(0)
        answers: list[object] = []
        failures: list[BaseException] = []

        def reading(number: int) -> None:
            store = self.readers[number]
            try:
                for count in range(rounds):
                    key = self.keys[count // self.rounds_a_key]
                    if count % self.rounds_a_key or count // self.rounds_a_key % 2:
                        self.case.read(store, key, False)
                    start.wait(30)
                    turns = 0
                    while turns < LEAST_READS or self.over <= count:
                        self.case.read(store, key, self.fresh and (number + count + turns) % 3 == 0)
                        turns += 1
                    written.wait(30)
                    self._check(store, key, answers[count])
            except BaseException as error:
                failures.append(error)
                start.abort()
                written.abort()
                raise

        threads = [threading.Thread(target=reading, args=(number,), daemon=True) for number in range(READERS)]
        for thread in threads:
            thread.start()
        with suppress(threading.BrokenBarrierError):
            for count in range(rounds):
                key = self.keys[count // self.rounds_a_key]
                self.before_write()
                start.wait(30)
                if self.writer is not None:
                    lag()
                    with suppress(UnavailableError):
                        self.case.write(self.writer, key, count + 1)
                self.over = count + 1
                answers.append(self.case.read(self.truth, key, True))
                self._prepare(count + 1)
                written.wait(30)
        for thread in threads:
            thread.join(30)
        assert failures == []
        for key in self.keys:  # what lies in a tier that the last reads did not reach
            answer = self.case.read(self.truth, key, True)
            for store in dict.fromkeys(self.readers):
                self._check(store, key, answer)

    def _prepare(self, count: int) -> None:
        """Before a round that begins with a new key."""
        if count % self.rounds_a_key == 0:
            self.keys.append(f"P{count}")
            self.case.write(self.truth, self.keys[-1], 0)

    def _check(self, store: Store, key: str, answer: object) -> None:
        begun = time.monotonic()
        while (found := self.case.read(store, key, False)) != answer:
            if time.monotonic() - begun > self.within_seconds:
                self.stale += 1
                print(f"stale: {key} is {found}, not {answer}")
                return
            time.sleep(0.0002)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)


@pytest.fixture(autouse=True)
def _threads_take_turns_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def rounds(soak: bool) -> int:
    return SOAK_ROUNDS if soak else ROUNDS


@contextmanager
def uncached(engine: Engine, like: Store) -> Iterator[Store]:
    """A Store that says what the engine has, and tells nobody when it writes."""
    settings = like.settings.model_copy(update={"redis_url": None, "cache_max_entries": 0})
    with Store(settings, engine) as store:
        cache = store.cache._cache
        cache.peers = lambda: [cache]  # type: ignore[method-assign]
        yield store


@contextmanager
def racing(name: str, count: int, redis_url: str | None, **options: Any) -> Iterator[tuple[Race, FaultEngine]]:
    """`count` 1: all readers and the writer share one Store; more: a Store each for the readers, and one more."""
    engine = FaultEngine(LaggingEngine())
    with ExitStack() as stack:
        opened = stack.enter_context(stores(engine, count if count == 1 else count + 1, redis_url))
        truth = stack.enter_context(uncached(engine.inner, opened[0]))
        case = CASES[name]
        case.begin(truth)
        for store in opened:  # until the channel is up, what is kept lives shortly
            case.write(truth, "FIRST", 1)
            case.read(store, "FIRST", False)
        readers = opened * READERS if count == 1 else opened[1:]
        within = 0.0 if count == 1 else PROPAGATION_SECONDS
        engine.faults.forget()
        yield Race(case, readers, opened[0], truth, within, **options), engine


TIERS = [
    pytest.param(1, False, id="process"),
    pytest.param(1, True, id="redis-threads"),
    pytest.param(READERS, True, id="redis-processes"),
]


def _url(request: pytest.FixtureRequest, wanted: bool) -> str | None:
    if not wanted:
        return None
    url: str = request.getfixturevalue("redis_url")
    return url


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_without_a_writer_each_key_is_read_from_the_engine_once(
    name: str, count: int, remote: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing(name, count, _url(request, remote)) as (race, _):
        race.writer = None
        race.run(rounds)
        stats = [store.cache.stats() for store in dict.fromkeys(race.readers)]
        assert sum(one.hits_local for one in stats) > rounds
        assert sum(one.loads for one in stats) - len(stats) <= len(race.keys)
        assert (sum(one.hits_redis for one in stats) > 0) == (count > 1)
        assert race.stale == 0


def _race(race: Race, rounds: int) -> None:
    """Run, and expect nothing stale, and that the caches were caches all the while."""
    begun = time.monotonic()
    race.run(rounds)
    stats = [store.cache.stats() for store in dict.fromkeys(race.readers)]
    seconds, slowest = time.monotonic() - begun, race.slowest_seconds * 1000
    print(f"{rounds} rounds in {seconds:.1f} s, {race.stale} stale, the slowest seen after {slowest:.1f} ms")
    print(stats)
    assert race.stale == 0
    assert sum(one.hits_local for one in stats) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_nothing_is_stale_after_a_write(
    name: str, count: int, remote: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing(name, count, _url(request, remote)) as (race, _):
        _race(race, rounds)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_nothing_is_stale_with_fresh_reads_among_the_others(
    count: int, remote: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing("rule", count, _url(request, remote), fresh=True) as (race, _):
        _race(race, rounds)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_nothing_is_stale_when_nobody_knows_whether_the_write_took_place(
    count: int, remote: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing("rule", count, _url(request, remote), rounds_a_key=2) as (race, engine):

        def lose_the_reply() -> None:
            engine.faults.clear()
            engine.faults.fail("write", UnavailableError, after=True, times=1)

        race.before_write = lose_the_reply
        _race(race, rounds)


@pytest.mark.slow
def test_nothing_is_stale_when_the_writer_dies_after_the_commit(redis_url: str, rounds: int) -> None:
    with racing("rule", READERS, redis_url, rounds_a_key=2) as (race, _):
        assert race.writer is not None
        cache = race.writer.cache._cache
        assert cache.remote is not None
        cache.remote.remove_tombstones = lambda cache_keys, writer: None  # type: ignore[method-assign]
        cache._end_write = lambda cache_keys, writer: None  # type: ignore[method-assign]
        _race(race, rounds)


# ---------------------------------------------------------------------------------------- one order of things at a time

CACHE_KEY = ("calculation-rule", "ACME", "match")


@pytest.fixture(params=["process", "redis"])
def redis_or_none(request: pytest.FixtureRequest) -> str | None:
    return _url(request, request.param == "redis")


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
        with patch.object(remote, "remove_tombstones"):
            put(one, 6)
        until(lambda: percent(other) == 6, "the first announcement is heard")
        assert not is_cached(other, engine, 6)
