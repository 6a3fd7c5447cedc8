"""Cancelling what awaits a call: the call is made whole or not at all, and no lease of the cache is left behind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from bluestar_store import AsyncStore, PipelineStep, RuleNotFoundError
from bluestar_store.models.holds import HOLD_GUARD
from bluestar_store.testing import FaultEngine
from tests.aio.stores import async_store, async_stores, cancelled, reached
from tests.cache.stores import rule

ROUNDS = 60


async def unit(store: AsyncStore) -> None:
    """A hold, an entry of the audit trail, and a pipeline, all or nothing."""
    steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2, 3)]
    async with store.unit_of_work() as uow:
        await uow.holds.place("ACME", "r", hold_id="h1")
        await uow.audit.append("b1", action="hold", actor="A")
        await uow.pipelines.replace("ACME", "Weekly", steps)


def unit_is_done(store: AsyncStore) -> bool:
    """Whether it was; an AssertionError when it was in part."""
    sync = store.store
    held = [hold.hold_id for hold in sync.holds.open("ACME")]
    guard = sync.engine.get(sync.tables.name(HOLD_GUARD), [HOLD_GUARD.keys.build({"plan_id": "ACME"})])
    counted = [int(item["open_holds"]["N"]) for item in guard.values() if "open_holds" in item]
    entries = [entry.action for entry in sync.audit.entries("b1")]
    steps = sync.pipelines.steps("ACME", "Weekly", fallback=False, fresh=True)
    done = bool(held)
    assert (held, counted, entries) == ((["h1"], [1], ["hold"]) if done else ([], [], []))
    assert len(steps) == (3 if done else 0)
    assert sync.audit.verify("b1") == ()
    return done


async def start(store: AsyncStore) -> None:
    await store.batches.start("ACME", "Weekly", 2026, "b1")


def start_is_done(store: AsyncStore) -> bool:
    found = store.store.batches.for_plan("ACME").batches
    if not found:
        return False
    assert store.store.batches.verify_rules(found[0]).unchanged
    assert store.store.batches.history("b1").rules is not None
    return True


async def replace(store: AsyncStore) -> None:
    await store.pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1)])


def replace_is_done(store: AsyncStore) -> bool:
    return bool(store.store.pipelines.steps("ACME", "Weekly", fallback=False, fresh=True))


Work = tuple[Callable[[AsyncStore], Awaitable[None]], Callable[[AsyncStore], bool]]
WORKS: dict[str, Work] = {
    "unit": (unit, unit_is_done),
    "start": (start, start_is_done),
    "replace": (replace, replace_is_done),
}


def calls_of(work: Work) -> list[str]:
    """The engine's calls that the work takes."""
    with async_store() as (store, engine):
        asyncio.run(_all_of(work[0], store))
        return [call.name for call in engine.faults.calls]


async def _all_of(work: Callable[[AsyncStore], Awaitable[None]], store: AsyncStore) -> None:
    await work(store)
    await store.aclose()


async def _cancelled_at(
    work: Work, store: AsyncStore, engine: FaultEngine, number: int, name: str, after: bool
) -> None:
    """Cancel it while the engine is at its call of this number among those of this name."""
    numbers = itertools.count()
    with engine.faults.hold(name, after=after, which=lambda call: next(numbers) == number) as hold:
        task: asyncio.Task[Any] = asyncio.ensure_future(work[0](store))
        await reached(hold)
        await cancelled(task)
    await store.aclose()  # waits for the threads


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", WORKS)
def test_at_every_call_of_the_engine_it_is_made_whole_or_not_at_all(name: str, after: bool) -> None:
    work = WORKS[name]
    names = calls_of(work)
    for number, call in enumerate(names):
        with async_store() as (store, engine):
            asyncio.run(_cancelled_at(work, store, engine, names[:number].count(call), call, after))
            done = work[1](store)
            # A unit is dropped by what is cancelled within its block; a call of its own, once begun, is made.
            assert done == (call == "write" or name != "unit"), (number, call)


async def cancelled_after(work: Work, store: AsyncStore, turns: int) -> None:
    """Cancel it after so many turns of the event loop; a turn gives threads some time."""
    task: asyncio.Task[Any] = asyncio.ensure_future(work[0](store))
    for turn in range(turns):
        await asyncio.sleep(0.0002 if turn % 3 else 0)
    await cancelled(task)
    await store.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_at_any_other_moment_too(name: str) -> None:
    seen = set()
    for turns in range(ROUNDS):
        with async_store() as (store, _):
            asyncio.run(cancelled_after(WORKS[name], store, turns))
            seen.add(WORKS[name][1](store))
    assert seen == {False, True}


def test_a_call_whose_turn_had_not_come_is_not_made() -> None:
    async def run(store: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("get") as hold:
            busy = asyncio.create_task(store.irs_limits.get(2026))  # the only thread
            await reached(hold)
            waiting = [
                asyncio.create_task(store.calculation_rules.put(rule("BETA", 1))),
                asyncio.create_task(unit_written_before(store)),
            ]
            for _ in range(5):
                await asyncio.sleep(0)
            for task in waiting:
                await cancelled(task)
                assert task.cancelled()
        await busy
        with pytest.raises(RuleNotFoundError):
            await store.calculation_rules.get("BETA", "match", fresh=True)
        assert engine.faults.counts["write"] == 0

    async def unit_written_before(store: AsyncStore) -> None:
        async with store.unit_of_work():
            store.store.calculation_rules.put(rule("BETA", 2))  # in the loop's thread: the commit only has to wait

    with async_store(parallel_calls=1) as (store, engine):
        asyncio.run(run(store, engine))


# ------------------------------------------------------------------------------------------------------- with a Redis


async def _read_cancelled(store: AsyncStore, read: Callable[[], Awaitable[object]], turns: int) -> None:
    task: asyncio.Task[Any] = asyncio.ensure_future(read())
    for turn in range(turns):
        await asyncio.sleep(0.0002 if turn % 3 else 0)
    await cancelled(task)
    await store.aclose()


def _reads(store: AsyncStore, plan_id: str) -> list[Callable[[], Awaitable[object]]]:
    return [
        partial(store.calculation_rules.get, plan_id, "match"),
        partial(store.calculation_rules.all, plan_id),
        partial(store.pipelines.steps, plan_id, "Weekly"),
        partial(store.calculation_rules.get, plan_id, "match", fresh=True),
    ]


@pytest.mark.slow
def test_wherever_a_read_is_cancelled_other_processes_load_at_once(redis_url: str) -> None:
    with async_stores(2, redis_url) as ((store, other), _):
        for turns in range(ROUNDS):
            plan_id = f"P{turns}"
            store.store.calculation_rules.put(rule(plan_id, turns))
            number = turns % 4
            asyncio.run(_read_cancelled(store, _reads(store, plan_id)[number], turns // 2))
            asyncio.run(_answered(_reads(other, plan_id)[number]))
            assert other.cache.stats().lease_waits == 0
        assert other.cache.stats().hits_redis > 0


async def _answered(read: Callable[[], Awaitable[object]]) -> None:
    await read()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_read_that_is_cancelled_while_it_has_the_lease_fills_what_it_leased(redis_url: str, after: bool) -> None:
    async def run(store: AsyncStore, other: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("get", after=after) as hold:
            read = asyncio.create_task(store.calculation_rules.get("ACME", "match"))
            await reached(hold)
            await cancelled(read)
        await store.aclose()
        engine.faults.forget()
        assert (await other.calculation_rules.get("ACME", "match")).max_pct == 4
        assert engine.faults.calls == []
        assert other.cache.stats().lease_waits == 0

    with async_stores(2, redis_url) as ((store, other), engine):
        asyncio.run(run(store, other, engine))


def test_a_write_that_is_cancelled_while_it_is_sent_leaves_nothing_barred(redis_url: str) -> None:
    async def run(store: AsyncStore, other: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("write") as hold:
            put = asyncio.create_task(store.calculation_rules.put(rule("BETA", 1)))
            await reached(hold)
            await cancelled(put)
        await store.aclose()
        assert (await other.calculation_rules.get("BETA", "match")).max_pct == 1
        engine.faults.forget()
        assert (await store.calculation_rules.get("BETA", "match")).max_pct == 1
        assert engine.faults.calls == []  # what the other one loaded was taken into Redis

    with async_stores(2, redis_url) as ((store, other), engine):
        asyncio.run(run(store, other, engine))
