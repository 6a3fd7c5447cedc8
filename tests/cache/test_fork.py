"""Forked children and threads: a child starts anew beside its parent, and a Store has only the threads it needs."""

from __future__ import annotations

import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import RuleNotFoundError, Store
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import FaultEngine
from tests.cache.stores import rule, stores, until
from tests.redis_servers import RedisProcess

CHILD_SECONDS = 10.0
"""A child that takes longer hangs."""


def in_child(run: Callable[[], Any]) -> Any:
    """What `run` returns in a forked child; an AssertionError with the child's traceback when it fails or hangs."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                answer = (True, run())
            except BaseException:
                answer = (False, traceback.format_exc())
            with os.fdopen(write_end, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(write_end)
    timer = threading.Timer(CHILD_SECONDS, os.kill, (pid, 9))
    timer.start()
    try:
        with os.fdopen(read_end, "rb") as pipe:
            data = pipe.read()
    finally:
        timer.cancel()
        os.waitpid(pid, 0)
    if not data:
        raise AssertionError(f"the child hung for {CHILD_SECONDS} seconds, or died")
    done, found = pickle.loads(data)  # noqa: S301  # our own child's
    if not done:
        raise AssertionError(found)
    return found


@contextmanager
def warm_store(redis_url: str | None) -> Iterator[tuple[Store, FaultEngine]]:
    """A Store that has read a rule, with its channel up when there is a Redis."""
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 1, redis_url) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        get(store)
        if redis_url is not None:
            until(lambda: store.cache.stats().channel, "the channel is there")
        get(store)
        engine.faults.forget()
        yield store, engine


def get(store: Store, plan: str = "ACME") -> int:
    found = store.calculation_rules.get(plan, "match").max_pct
    assert found is not None
    return int(found)


@pytest.fixture(params=["process", "redis"])
def redis_or_none(request: pytest.FixtureRequest) -> str | None:
    if request.param == "process":
        return None
    url: str = request.getfixturevalue("redis_url")
    return url


# ------------------------------------------------------------------------------------------------------------- forking


def test_a_child_starts_with_an_empty_first_tier(redis_or_none: str | None) -> None:
    with warm_store(redis_or_none) as (store, engine):
        assert get(store) == 5
        assert engine.faults.counts == {}

        def child() -> tuple[int, int, int, int]:
            entries = store.cache.stats().entries
            return entries, get(store), store.cache.stats().entries, engine.faults.counts["get"]

        before, found, after, gets = in_child(child)
        assert (before, found) == (0, 5)
        assert after >= 1
        assert gets == (1 if redis_or_none is None else 0)
        assert store.cache.stats().entries == 2
        assert get(store) == 5
        assert engine.faults.counts == {}


def test_a_child_has_no_thread_until_it_reads_and_then_its_own(redis_url: str) -> None:
    with warm_store(redis_url) as (store, _):

        def child() -> tuple[list[str], list[str], bool]:
            before = [thread.name for thread in threading.enumerate()]
            get(store)
            after = [thread.name for thread in threading.enumerate()]
            until(lambda: store.cache.stats().channel, "the child's channel is there")
            return before, after, store.cache._cache._listener is not None

        before, after, kept = in_child(child)
        assert not any("bluestar" in name for name in before)
        assert "bluestar-cache" in after
        assert kept


def test_a_child_has_connections_of_its_own_and_leaves_the_parents_alone(redis_process: RedisProcess) -> None:
    client = redis_process.client()

    def clients() -> dict[str, str]:
        """Every connection but the test's own, by id, with its address."""
        mine = client.client_id()
        return {one["id"]: one["addr"] for one in client.client_list() if int(one["id"]) != mine}

    with warm_store(redis_process.url) as (store, _):
        parents = clients()
        assert len(parents) >= 2  # the channel, and for commands as many as were needed at once

        def child() -> dict[str, str]:
            get(store)
            until(lambda: store.cache.stats().channel, "the child's channel is there")
            own = redis_process.client()
            try:
                mine = own.client_id()
                found = {one["id"]: one["addr"] for one in own.client_list() if int(one["id"]) != mine}
            finally:
                own.close()
            store.close()
            return found

        during = in_child(child)
        assert parents.keys() < during.keys()
        childs = during.keys() - parents.keys()
        until(lambda: not childs & clients().keys(), "the child's connections are gone")
        assert parents.items() <= clients().items()
        store.calculation_rules.put(rule("ACME", 6))
        assert get(store) == 6
        stats = store.cache.stats()
        assert stats.channel
        assert stats.outages == 0
        assert parents.items() <= clients().items()
    client.close()


def test_parent_and_child_work_at_the_same_time(redis_url: str) -> None:
    with warm_store(redis_url) as (store, _):
        stop = threading.Event()
        failures: list[BaseException] = []

        def working() -> None:
            number = 0
            try:
                while not stop.is_set():
                    number += 1
                    store.calculation_rules.put(rule(f"P{number}", 7))
                    assert get(store, f"P{number}") == 7
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=working, daemon=True)
        thread.start()

        def child() -> int:
            for number in range(200):
                store.calculation_rules.put(rule(f"C{number}", 8))
                assert get(store, f"C{number}") == 8
            return store.cache.stats().outages

        try:
            assert in_child(child) == 0
        finally:
            stop.set()
            thread.join(10)
        assert failures == []
        assert store.cache.stats().outages == 0


def test_a_write_of_the_child_is_seen_by_the_parent(redis_url: str, tmp_path: Path) -> None:
    with stores(FileEngine(tmp_path), 1, redis_url) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        get(store)
        until(lambda: store.cache.stats().channel, "the channel is there")
        assert get(store) == 5

        def child() -> None:
            store.sessions.outside.committed = store.sessions.committed = FileEngine(
                tmp_path
            )  # its lock may not be inherited
            store.calculation_rules.put(rule("ACME", 4))

        in_child(child)
        until(lambda: get(store) == 4, "the parent sees it")
        store.calculation_rules.put(rule("ACME", 3))
        assert get(store) == 3


def _of_cache(store: Store) -> Iterator[tuple[str, Any]]:
    """Every lock below a cache, by its name, with the object that has it."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("access", store.sessions), ("cache", store.cache._cache)]
    while waiting:
        name, one = waiting.pop()
        if id(one) in seen or not type(one).__module__.startswith("bluestar_store"):
            continue
        seen.add(id(one))
        for field, value in getattr(one, "__dict__", {}).items():
            if isinstance(value, type(threading.Lock())):
                yield f"{name}.{field}", value
            elif not field.endswith(("engine", "tables")):
                waiting.append((f"{name}.{field}", value))


def test_locks_that_other_threads_hold_at_the_fork_do_not_hang_the_child(redis_or_none: str | None) -> None:
    hung = []
    with warm_store(redis_or_none) as (store, _):
        locks = dict(_of_cache(store))
        assert len(locks) >= 4

        def child() -> int:
            threading.Timer(6, os._exit, (1,)).start()  # rather than hang
            store.calculation_rules.put(rule("ACME", 4))
            store.calculation_rules.all("ACME")
            found = get(store)
            store.cache.stats()
            store.close()
            return found

        for name, lock in locks.items():
            with lock:
                try:
                    assert in_child(child) == 4
                except AssertionError as error:
                    print(error)
                    hung.append(name)
        # Past the cache: the child's copy of the memory engine went its own way under the same name.
        assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 5
    assert hung == []


def test_a_load_under_way_at_the_fork_is_not_waited_for_in_the_child(redis_or_none: str | None) -> None:
    with warm_store(redis_or_none) as (store, engine), engine.faults.hold("get") as hold:

        def load() -> None:
            with suppress(RuleNotFoundError):
                get(store, "OMEGA")

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        hold.reached.wait()

        def child() -> bool:
            with pytest.raises(RuleNotFoundError):
                get(store, "OMEGA")
            return True

        begun = time.monotonic()
        assert in_child(child)
        assert time.monotonic() - begun < CHILD_SECONDS / 2
        hold.release()
        thread.join(10)


def test_closing_in_the_child_leaves_the_parent_working(redis_or_none: str | None) -> None:
    with warm_store(redis_or_none) as (store, engine):
        in_child(lambda: store.close())
        assert get(store) == 5
        assert engine.faults.counts == {}
        store.calculation_rules.put(rule("ACME", 6))
        assert get(store) == 6
        assert store.cache.stats().outages == 0
        assert store.cache.stats().channel == (redis_or_none is not None)


def test_a_child_of_a_closed_store_starts_nothing(redis_url: str) -> None:
    with warm_store(redis_url) as (store, _):
        store.close()

        def child() -> list[str]:
            get(store)
            return [thread.name for thread in threading.enumerate()]

        assert not any("bluestar" in name for name in in_child(child))


# ------------------------------------------------------------------------------------------------------------- threads


def ours() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("bluestar"))


def test_no_thread_runs_before_the_first_cached_read_and_none_after_close(redis_url: str) -> None:
    assert ours() == []
    with ExitStack() as stack:
        (store,) = stack.enter_context(stores(FaultEngine(MemoryEngine()), 1, redis_url))
        assert ours() == []
        store.calculation_rules.put(rule("ACME", 5))
        store.holds.open("ACME")
        store.cache.stats()
        assert ours() == []
        get(store)
        assert ours() == ["bluestar-cache"]
        get(store)
        store.calculation_rules.all("ACME")
        assert ours() == ["bluestar-cache"]
        store.close()
        assert ours() == []
        store.close()
        assert ours() == []


def test_without_redis_reading_starts_no_thread() -> None:
    with stores(MemoryEngine(), 1, None) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        get(store)
        assert ours() == []


def test_close_ends_the_threads_of_a_store_whose_redis_hangs(redis_process: RedisProcess) -> None:
    with stores(MemoryEngine(), 1, redis_process.url, redis_timeout_ms=50) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        get(store)
        redis_process.suspend()
        try:
            store.calculation_rules.put(rule("ACME", 6))
            assert get(store) == 6
            begun = time.monotonic()
            store.close()
            assert time.monotonic() - begun < CHILD_SECONDS
            assert ours() == []
        finally:
            redis_process.resume()


def test_a_store_that_is_closed_keeps_nothing_that_nobody_would_tell_it_to_forget() -> None:
    with stores(MemoryEngine(), 2, None) as (one, other):
        for store in (one, other):
            del store.cache._cache.peers  # as they are without the test's doing
        other.calculation_rules.put(rule("ACME", 5))
        one.close()
        assert get(one) == 5
        other.calculation_rules.put(rule("ACME", 6))
        assert get(one) == 6


def test_close_waits_for_a_refresh_and_starts_no_other(redis_or_none: str | None) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 1, redis_or_none, cache_ttl_seconds=1) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        get(store)
        with engine.faults.hold("get") as hold:
            until(lambda: get(store) and hold.reached.is_set(), "a refresh begins")
            closer = threading.Thread(target=store.close, daemon=True)
            closer.start()
            hold.release()
            closer.join(10)
            assert not closer.is_alive()
        assert ours() == []
