"""Readers and a writer at once: whatever the order of things, no value from before a write is there after it."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch

import pytest

from bluestar_store import PipelineStep, Store, UnavailableError
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.engines.memory import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Page, Write
from tests.cache.fault_engine import FaultEngine
from tests.cache.stores import rule, stores

T = TypeVar("T")

READERS = 3
ROUNDS = 2000
ROUNDS_A_KEY = 4
PROPAGATION_SECONDS = 1.0
"""What is older for longer than this in another process is stale; in the writer's own process nothing may be."""
LAG_SECONDS = 0.0003


def lag() -> None:
    """A little of the time that a real engine takes, in which the other threads get on."""
    time.sleep(random.random() * LAG_SECONDS)


class LaggingEngine(MemoryEngine):
    """Answers come some time after they were true, and writes take some time on both sides of the commit."""

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        found = super().get(table, keys, consistent=consistent)
        lag()
        return found

    def query(self, table: str, pk: str, sk_prefix: str = "", **options: Any) -> Page:
        found = super().query(table, pk, sk_prefix, **options)
        lag()
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
    return store.calculation_rules.delete(rule(plan, 1))


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

    def run(self, rounds: int) -> None:
        """Every other key is cold when its first round begins, in both tiers; in later rounds all are warm."""
        start, written, checked = (threading.Barrier(READERS + 1) for _ in range(3))
        state: dict[str, Any] = {}
        failures: list[BaseException] = []

        def reading(number: int) -> None:
            store = self.readers[number]
            try:
                for count in range(rounds):
                    start.wait(30)
                    key, warm = state["key"], state["warm"]
                    if warm:
                        self.case.read(store, key, False)
                    state["ready"].wait(30)
                    for turn in range(3):
                        self.case.read(store, key, self.fresh and (number + count + turn) % 3 == 0)
                    written.wait(30)
                    self._check(store, key, state["answer"])
                    checked.wait(30)
            except BaseException as error:
                failures.append(error)
                for barrier in (start, written, checked, state["ready"]):
                    barrier.abort()
                raise

        threads = [threading.Thread(target=reading, args=(number,), daemon=True) for number in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            for count in range(rounds):
                first = count % self.rounds_a_key == 0
                if first:
                    self.keys.append(f"P{count}")
                    self.case.write(self.truth, self.keys[-1], 0)
                key = self.keys[-1]
                ready = threading.Barrier(READERS + 1)
                state.update(key=key, warm=not first or len(self.keys) % 2, ready=ready)
                start.wait(30)
                ready.wait(30)
                if self.writer is not None:
                    lag()
                    self.before_write()
                    with suppress(UnavailableError):
                        self.case.write(self.writer, key, count + 1)
                state["answer"] = self.case.read(self.truth, key, True)
                written.wait(30)
                checked.wait(30)
        except threading.BrokenBarrierError:
            pass
        finally:
            for thread in threads:
                thread.join(30)
        assert failures == []
        for key in self.keys:  # what lies in a tier that the last reads did not reach
            answer = self.case.read(self.truth, key, True)
            for store in dict.fromkeys(self.readers):
                self._check(store, key, answer)

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
    return ROUNDS * (10 if soak else 1)


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
        engine.forget()
        yield Race(case, readers, opened[0], truth, within, **options), engine


TIERS = [
    pytest.param(1, False, id="process"),
    pytest.param(1, True, id="redis-threads"),
    pytest.param(READERS, True, id="redis-processes"),
]


def _url(request: pytest.FixtureRequest, wanted: bool) -> str | None:
    return request.getfixturevalue("redis_url") if wanted else None


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_without_a_writer_each_key_is_read_from_the_engine_once(
    name: str, count: int, remote: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing(name, count, _url(request, remote)) as (race, engine):
        race.writer = None
        race.run(rounds // 4)
        stats = [store.cache.stats() for store in dict.fromkeys(race.readers)]
        assert sum(one.hits_local for one in stats) > rounds
        assert sum(one.loads for one in stats) - len(stats) <= len(race.keys)
        assert (sum(one.hits_redis for one in stats) > 0) == (count > 1)
        assert race.stale == 0


@pytest.mark.parametrize("fresh", [False, True], ids=["cached", "fresh-among-them"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("count", "remote"), TIERS)
def test_nothing_is_stale_after_a_write(
    name: str, count: int, remote: bool, fresh: bool, rounds: int, request: pytest.FixtureRequest
) -> None:
    with racing(name, count, _url(request, remote), fresh=fresh) as (race, _):
        begun = time.monotonic()
        race.run(rounds)
        stats = [store.cache.stats() for store in dict.fromkeys(race.readers)]
        print(f"{rounds} rounds in {time.monotonic() - begun:.1f} s, slowest {race.slowest_seconds * 1000:.1f} ms")
        print(stats)
        assert race.stale == 0
        assert sum(one.hits_local for one in stats) > 0
