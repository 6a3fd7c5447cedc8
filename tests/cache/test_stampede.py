"""Many who miss one key at once: one of them loads, the others get what it got."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from bluestar_store import RuleNotFoundError, Settings, Store, UnavailableError
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.local import Entry
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.engines.memory import MemoryEngine
from bluestar_store.errors import AccessDeniedError, EngineError
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Put, Unit
from tests.cache.fault_engine import FaultEngine, Signal
from tests.cache.stores import Clock, one_store, rule, stores, until

THREADS = 64
UNIT: Unit = ("calculation-rule", "ACME", "match")


class Interrupted(BaseException):
    """What a thread is stopped by, like KeyboardInterrupt; pytest itself reacts to that one."""


class Numbers:
    """A source that gives 1, 2, 3, ...; or does what a test wants first."""

    sensitive = False

    def __init__(self) -> None:
        self.loads = 0
        self.before: Callable[[], None] = lambda: None

    def load(self, units: Sequence[Unit]) -> Mapping[Unit, Any]:
        self.loads += 1
        value = self.loads
        self.before()
        return dict.fromkeys(units, value)

    def encode(self, unit: Unit, value: Any) -> bytes:
        return json.dumps(value).encode()

    def decode(self, unit: Unit, data: bytes) -> Any:
        return json.loads(data)

    def weigh(self, value: Any) -> int:
        return 8


@contextmanager
def one_cache(clock: Callable[[], float] = time.monotonic, **limits: Any) -> Iterator[TieredCache]:
    """The first tier alone, without a Store."""
    settings = CacheLimits.of(Settings(persistence_mode="memory"))
    cache = TieredCache(replace(settings, **limits), "test", {}, Counters(), clock=clock)
    try:
        yield cache
    finally:
        cache.close()


def at_once(count: int, read: Callable[[], Any]) -> list[Future[Any]]:
    """The answers of so many threads that start together."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        barrier.wait(10)
        return read()

    with ThreadPoolExecutor(count) as pool:
        return [pool.submit(run) for _ in range(count)]


def background(read: Callable[[], Any]) -> Future[Any]:
    """The answer of a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


# ----------------------------------------------------------------------------------------------------- in one process


@pytest.mark.parametrize("remote", [False, True], ids=["process", "redis"])
def test_many_threads_on_a_cold_key_make_one_engine_read(remote: bool, request: pytest.FixtureRequest) -> None:
    with one_store(request.getfixturevalue("redis_url") if remote else None) as (store, engine):
        for number in range(20):
            store.calculation_rules.put(rule(f"P{number}", number))
            engine.forget()
            answers = at_once(THREADS, lambda plan=f"P{number}": store.calculation_rules.get(plan, "match").max_pct)  # type: ignore[misc]
            assert {answer.result() for answer in answers} == {number}
            assert engine.counts == {"get": 1}


def test_all_who_wait_get_what_the_leader_gets() -> None:
    with one_store() as (store, engine), engine.hold("get", after=True) as hold:
        store.calculation_rules.put(rule("ACME", 5), expected=0) if False else None
        leader = background(lambda: store.calculation_rules.get("ACME", "match"))
        hold.reached.wait()
        others = [background(lambda: store.calculation_rules.get("ACME", "match")) for _ in range(THREADS)]
        until(lambda: store.cache.stats().waits == 2 * THREADS or None, "all wait") if False else None
        until(lambda: store.cache.stats().waits >= THREADS, "all wait")
        hold.release()
        for one in (leader, *others):
            with pytest.raises(RuleNotFoundError):
                one.result(10)
        assert engine.counts == {"get": 1}
