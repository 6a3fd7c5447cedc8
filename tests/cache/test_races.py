"""Readers and a writer at once: whatever the order of things, no value from before a write is there after it.

60 contended rounds a variant, with --soak 20,000: enough to see a cache that does not check its loads (measured).
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from bluestar_store import PipelineStep, Store, UnavailableError
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import BeforeAttempt, Engine, Item, Page, Write
from bluestar_store.testing import FaultEngine
from tests.cache.stores import rule, stores

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

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        lag()
        super().write(*writes, before_attempt=before_attempt)
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
        cache.remote.publisher.remove_tombstones = lambda cache_keys, writer: None  # type: ignore[method-assign]
        cache._end_write = lambda cache_keys, writer: None  # type: ignore[method-assign]
        _race(race, rounds)
