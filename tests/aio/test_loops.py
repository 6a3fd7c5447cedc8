"""Event loops and threads: many reads at once, a full pool, several loops, a closed store, a forked child."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from bluestar_store import AsyncStore, RuleNotFoundError, Settings, Store
from bluestar_store.testing import FaultEngine
from tests.aio.stores import Remote, async_store, async_stores, reached
from tests.cache.stores import rule
from tests.cache.test_fork import in_child

ENOUGH_SECONDS = 20.0


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """In a loop of its own; an error when it hangs."""
    return asyncio.run(asyncio.wait_for(main, ENOUGH_SECONDS))


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_many_cold_reads_of_one_key_are_one_load(threads: int) -> None:
    async def cold(store: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("get") as hold:
            reads = [asyncio.create_task(store.calculation_rules.get("ACME", "match")) for _ in range(100)]
            await reached(hold)  # the leader stands; the threads are full of those who wait for it
        assert {found.max_pct for found in await asyncio.gather(*reads)} == {4}
        assert engine.faults.counts["get"] == 1

    with async_store(parallel_calls=threads) as (store, engine):
        run(cold(store, engine))


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_full_pool_gets_everything_done(threads: int) -> None:
    """Reads that wait for one another, reads that use threads of their own, and commits, all at once."""

    async def write(store: AsyncStore, number: int) -> None:
        async with store.unit_of_work() as uow:
            await asyncio.gather(*(uow.audit.append("b1", action=f"{number}-{n}", actor="A") for n in range(3)))

    async def all_at_once(store: AsyncStore) -> None:
        await asyncio.gather(
            *(store.calculation_rules.get(f"P{n % 3}", "none") for n in range(30)),
            *(store.calculation_rules.all("ACME", fresh=n % 2 == 0) for n in range(20)),
            *(store.plan_snapshot("ACME", "Weekly", 2026) for _ in range(10)),
            *(write(store, n) for n in range(10)),
            *(store.audit.append("b1", action=f"alone-{n}", actor="A") for n in range(10)),
            return_exceptions=True,
        )
        assert await store.audit.verify("b1") == ()
        assert len(await store.audit.entries("b1")) == 40

    with async_store(Remote(), parallel_calls=threads) as (store, _):
        run(all_at_once(store))


def test_no_more_threads_than_the_setting_says() -> None:
    async def many(store: AsyncStore) -> int:
        await asyncio.gather(*(store.holds.open(f"P{n}") for n in range(50)))
        return sum(thread.name.startswith("bluestar-async") for thread in threading.enumerate())

    with async_store(parallel_calls=3) as (store, _):
        assert 1 <= run(many(store)) <= 3
        run(store.aclose())
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("bluestar-async")]


def test_one_store_serves_several_loops_one_after_the_other_and_at_once() -> None:
    async def work(store: AsyncStore, plan_id: str) -> None:
        for number in range(20):
            async with store.unit_of_work() as uow:
                await uow.holds.place(plan_id, "r", hold_id=f"h{number}")
            await store.calculation_rules.get("ACME", "match", fresh=number % 5 == 0)
        assert len(await store.holds.open(plan_id)) == 20

    with async_store() as (store, _):
        run(work(store, "P0"))
        run(work(store, "P1"))
        failed: list[BaseException] = []

        def in_thread(plan_id: str) -> None:
            try:
                run(work(store, plan_id))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=in_thread, args=(f"P{n}",)) for n in range(2, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


def test_a_store_that_was_closed_answers_as_a_store_does() -> None:
    async def twice() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            await store.calculation_rules.put(rule("ACME", 4))
        await store.aclose()
        assert (await store.calculation_rules.get("ACME", "match")).max_pct == 4
        await store.aclose()

    run(twice())


def test_the_store_that_it_was_made_round_stays_open() -> None:
    async def use(store: Store) -> None:
        async with AsyncStore(store) as awaited:
            await awaited.calculation_rules.get("ACME", "match")
            assert awaited.store is store

    with async_store() as (given, engine):
        run(use(given.store))
        assert engine.faults.counts["close"] == 0
        assert given.store.cache.stats().entries > 0


def test_the_one_that_open_made_is_closed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Store] = []
    monkeypatch.setattr(Store, "close", lambda store: closed.append(store))

    async def use() -> Store:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            return store.store

    assert closed == [run(use())]


def test_it_waits_for_what_was_begun_before_it_closes() -> None:
    async def close(store: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("write") as hold:
            put = asyncio.create_task(store.calculation_rules.put(rule("BETA", 1)))
            await reached(hold)
            closing = asyncio.create_task(store.aclose())
            done, _ = await asyncio.wait({closing}, timeout=0.1)
            assert not done
        await closing
        assert (await put).max_pct == 1

    with async_store() as (store, engine):
        run(close(store, engine))


def test_a_forked_child_has_threads_of_its_own() -> None:
    async def read(store: AsyncStore) -> int:
        return int((await store.calculation_rules.get("ACME", "match", fresh=True)).max_pct or 0)

    with async_store() as (store, _):
        assert run(read(store)) == 4
        assert in_child(lambda: run(read(store))) == 4
        assert run(read(store)) == 4


def test_redis_is_told_of_what_is_written_and_forgets_what_it_is_told_to(redis_url: str) -> None:
    async def both(store: AsyncStore, other: AsyncStore) -> None:
        assert (await other.calculation_rules.get("ACME", "match")).max_pct == 4
        assert await other.cache.held() == {"calculation-rule": 2}
        assert (await store.cache.explain(("calculation-rule", "ACME", "match"))).tier == "redis"
        assert await store.cache.invalidate("calculation-rule", {"plan_id": "ACME"}) == 1
        assert other.cache.stats().redis == "closed"  # the circuit
        await store.cache.clear()
        assert await other.cache.held() == {}
        with pytest.raises(RuleNotFoundError):
            await other.calculation_rules.get("ACME", "none")

    with async_stores(2, redis_url) as ((store, other), _):
        run(both(store, other))
