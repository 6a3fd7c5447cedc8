"""Units of work that are awaited: all or nothing, whatever is cancelled, and nothing of them is lost without a word."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from bluestar_store import (
    AsyncStore,
    BatchStatus,
    CalculationRule,
    InvalidWriteError,
    PlanHold,
    PlanOnHoldError,
    RuleNotFoundError,
    VersionConflictError,
)
from bluestar_store.testing import FaultEngine, Hold
from bluestar_store.unit_of_work import unit_of_work
from tests.aio.stores import async_store, cancelled, reached
from tests.cache.stores import rule


class Oops(Exception):
    """What a block raises."""


async def written(store: AsyncStore, plan_id: str) -> bool:
    try:
        return (await store.calculation_rules.get(plan_id, "match", fresh=True)).plan_id == plan_id
    except RuleNotFoundError:
        return False


def test_it_is_one_write_of_all_or_nothing() -> None:
    async def run(store: AsyncStore, engine: FaultEngine) -> None:
        batch = await store.batches.start("ACME", "Weekly", 2026, "b1")
        engine.faults.forget()
        async with store.unit_of_work() as uow:
            assert uow is store
            await uow.batches.advance(batch, status=BatchStatus.ON_HOLD)
            await uow.holds.place("ACME", reason="Missing data")
            await asyncio.gather(*(uow.audit.append("b1", actor="VALIDATOR", action=f"a{n}") for n in range(10)))
            assert (await uow.batches.get("b1")).status is BatchStatus.ON_HOLD
            assert store.store.holds.open("ACME")
            assert "write" not in engine.faults.counts
        assert engine.faults.counts["write"] == 1
        assert len((await store.batches.history("b1")).audit) == 10
        assert await store.audit.verify("b1") == ()
        with pytest.raises(PlanOnHoldError):
            await store.batches.advance(await store.batches.get("b1"), status=BatchStatus.RUNNING)

    with async_store() as (store, engine):
        asyncio.run(run(store, engine))


def test_a_block_that_raises_leaves_nothing_and_a_conflict_is_raised_at_its_end() -> None:
    async def block(store: AsyncStore, outdated: CalculationRule | None) -> None:
        async with store.unit_of_work() as uow:
            await uow.calculation_rules.put(rule("BETA", 1))
            if outdated is None:
                raise Oops
            await uow.calculation_rules.delete(outdated)

    async def run(store: AsyncStore) -> None:
        with pytest.raises(Oops):
            await block(store, None)
        assert not await written(store, "BETA")
        read = await store.calculation_rules.get("ACME", "match")
        await store.calculation_rules.put(read.model_copy(update={"formula": "a"}))
        with pytest.raises(VersionConflictError):
            await block(store, read)
        assert not await written(store, "BETA")

    with async_store() as (store, _):
        asyncio.run(run(store))


def test_units_join_whichever_side_opened_them() -> None:
    async def run(store: AsyncStore) -> None:
        with suppress(Oops):
            async with store.unit_of_work(), store.store.unit_of_work(), store.unit_of_work() as uow:
                await uow.calculation_rules.put(rule("BETA", 1))
                raise Oops
        assert not await written(store, "BETA")
        with store.store.unit_of_work():
            await store.calculation_rules.put(rule("BETA", 1))
            assert not await asyncio.create_task(written(store, "GAMMA"))
        assert await written(store, "BETA")

    with async_store() as (store, _):
        asyncio.run(run(store))


def test_the_decorator_is_for_coroutine_functions() -> None:
    with async_store() as (store, _):

        @unit_of_work(store)
        async def both(fail: bool) -> str:
            """Writes two."""
            await store.calculation_rules.put(rule("BETA", 1))
            await store.calculation_rules.put(rule("GAMMA", 2))
            if fail:
                raise Oops
            return "done"

        def plain() -> None: ...

        async def run() -> list[bool]:
            return [await written(store, "BETA"), await written(store, "GAMMA")]

        with pytest.raises(Oops):
            asyncio.run(both(True))
        assert asyncio.run(run()) == [False, False]
        assert asyncio.run(both(False)) == "done"
        assert asyncio.run(run()) == [True, True]
        assert both.__doc__ == "Writes two."
        with pytest.raises(TypeError, match="no coroutine function"):
            unit_of_work(store)(plain)  # type: ignore[type-var]  # that is the point


def test_the_commit_waits_for_a_call_that_was_cancelled_within() -> None:
    """Else a hold could come without its guard, which is counted after it."""

    async def block(store: AsyncStore, hold: Hold) -> None:
        async with store.unit_of_work() as uow:
            put = asyncio.create_task(uow.holds.put(PlanHold(plan_id="ACME", hold_id="h1", reason="r")))
            await reached(hold)
            await cancelled(put)

    async def run(store: AsyncStore, engine: FaultEngine) -> None:
        with engine.faults.hold("query") as hold:  # the count
            task = asyncio.create_task(block(store, hold))
            await reached(hold)
            done, _ = await asyncio.wait({task}, timeout=0.2)
            assert not done
        await task
        (write,) = (call for call in engine.faults.calls if call.name == "write")
        assert {one.key.sk for one in write.arguments["writes"]} == {"HOLD#h1", "HOLDS"}

    with async_store() as (store, engine):
        asyncio.run(run(store, engine))


def test_what_outlives_its_unit_is_refused_rather_than_lost() -> None:
    async def later(store: AsyncStore, go: asyncio.Event) -> None:
        await go.wait()
        await store.calculation_rules.put(rule("BETA", 1))

    async def later_blocking(store: AsyncStore, go: asyncio.Event) -> None:
        await go.wait()
        store.store.calculation_rules.put(rule("BETA", 1))

    async def run(store: AsyncStore) -> None:
        go = asyncio.Event()
        for fails in (False, True):
            tasks: list[asyncio.Task[None]] = []
            with suppress(Oops):
                async with store.unit_of_work() as uow:
                    await uow.calculation_rules.put(rule("GAMMA", 2))
                    tasks = [asyncio.create_task(one(store, go)) for one in (later, later_blocking)]
                    if fails:
                        raise Oops
            go.set()
            for task in tasks:
                with pytest.raises(InvalidWriteError, match="this unit of work is over"):
                    await task
            assert not await written(store, "BETA")
            assert await written(store, "GAMMA")

    with async_store() as (store, _):
        asyncio.run(run(store))


def test_what_comes_while_its_unit_is_being_sent_is_refused_rather_than_lost() -> None:
    async def later(store: AsyncStore, go: asyncio.Event) -> None:
        await go.wait()
        with pytest.raises(InvalidWriteError):
            await store.calculation_rules.put(rule("BETA", 1))
        with pytest.raises(InvalidWriteError):
            store.store.calculation_rules.put(rule("BETA", 1))
        with pytest.raises(InvalidWriteError):
            store.store.holds.place("ACME", "r")

    async def block(store: AsyncStore, go: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
        async with store.unit_of_work() as uow:
            await uow.calculation_rules.put(rule("GAMMA", 2))
            tasks.append(asyncio.create_task(later(store, go)))

    async def run(store: AsyncStore, engine: FaultEngine) -> None:
        go, tasks = asyncio.Event(), list[asyncio.Task[None]]()
        with engine.faults.hold("write") as hold:
            task = asyncio.create_task(block(store, go, tasks))
            await reached(hold)
            go.set()
            await tasks[0]
        await task
        assert await written(store, "GAMMA")
        assert not await written(store, "BETA")
        assert not await store.holds.open("ACME")

    with async_store() as (store, engine):
        asyncio.run(run(store, engine))
