"""Which unit of work a call is part of, in threads, tasks and copies of contexts. Forks: see test_forks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial

import pytest

from bluestar_store import AsyncStore, CalculationRule, InvalidWriteError, RuleNotFoundError, Settings, Store
from bluestar_store.repositories.calculation_rules import CalculationRuleRepository
from bluestar_store.repositories.in_process import WOULD_BLOCK, in_process
from tests.cache.stores import rule


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode="memory")) as opened:
        opened.create_tables()
        yield opened


def plans(store: Store) -> set[str]:
    return set(store.plans())


class DroppedError(Exception):
    """Ends a unit of which nothing is to be written."""


@contextmanager
def dropped(store: Store) -> Iterator[None]:
    with suppress(DroppedError), store.unit_of_work():
        yield
        raise DroppedError


def in_thread(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()


def test_another_thread_is_no_part_of_the_unit_and_sees_nothing_of_it(store: Store) -> None:
    seen: list[set[str]] = []
    with dropped(store):
        store.calculation_rules.put(rule("ACME", 4))
        in_thread(lambda: store.calculation_rules.put(rule("BETA", 5)))
        in_thread(lambda: seen.append(plans(store)))
        assert plans(store) == {"ACME", "BETA"}
    assert seen == [{"BETA"}]
    assert plans(store) == {"BETA"}


def test_threads_that_are_given_copies_of_the_context_are_parts_of_the_unit(store: Store) -> None:
    with dropped(store):
        for plan in ("ACME", "BETA"):
            in_thread(partial(copy_context().run, store.calculation_rules.put, rule(plan, 4)))
        assert plans(store) == {"ACME", "BETA"}
    assert plans(store) == set()


def test_a_copy_of_the_context_is_refused_when_its_unit_is_over(store: Store) -> None:
    with store.unit_of_work():
        context = copy_context()
        context.run(store.calculation_rules.put, rule("ACME", 4))
    assert plans(store) == {"ACME"}
    for call in (lambda: store.calculation_rules.put(rule("BETA", 4)), lambda: store.holds.for_plan("ACME")):
        with pytest.raises(InvalidWriteError, match="is over"):
            context.run(call)
    assert plans(store) == {"ACME"}


def test_a_unit_that_is_left_in_another_context_than_it_was_entered_in_writes_nothing(store: Store) -> None:
    unit = store.unit_of_work()
    in_thread(unit.__enter__)
    store.calculation_rules.put(rule("BETA", 4))  # no part of it
    with pytest.raises(InvalidWriteError, match="entered in another context"):
        unit.__exit__(None, None, None)
    assert plans(store) == {"BETA"}


def test_an_inner_unit_that_raises_is_the_outer_ones_end_also_in_a_copy_of_the_context(store: Store) -> None:
    def fails() -> None:
        with store.unit_of_work():
            store.calculation_rules.put(rule("BETA", 4))
            raise ZeroDivisionError

    def goes_on() -> None:
        with store.unit_of_work():
            store.calculation_rules.put(rule("ACME", 4))
            with suppress(ZeroDivisionError):
                copy_context().run(fails)

    with pytest.raises(InvalidWriteError, match="ZeroDivisionError"):
        goes_on()
    assert plans(store) == set()


def test_units_of_two_stores_in_one_context_are_apart(store: Store) -> None:
    with Store.open(Settings(persistence_mode="memory")) as other:
        other.create_tables()
        with dropped(store):
            store.calculation_rules.put(rule("ACME", 4))
            other.calculation_rules.put(rule("BETA", 4))
        assert (plans(store), plans(other)) == (set(), {"BETA"})


def test_a_cancelled_task_leaves_nothing_of_its_unit_and_none_open() -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            written, never = asyncio.Event(), asyncio.Event()

            async def work() -> None:
                async with store.unit_of_work() as uow:
                    await uow.calculation_rules.put(rule("ACME", 4))
                    written.set()
                    await never.wait()

            task = asyncio.create_task(work())
            await written.wait()
            await store.calculation_rules.put(rule("BETA", 4))  # of this task, which is no part of that one's unit
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await store.plans() == ("BETA",)
            await store.calculation_rules.put(rule("CORP", 4))
            assert await store.plans() == ("BETA", "CORP")

    asyncio.run(run())


def test_tasks_that_are_awaited_within_the_block_are_parts_of_its_unit() -> None:
    async def run() -> None:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            with suppress(DroppedError):
                async with store.unit_of_work() as uow:
                    puts = [uow.calculation_rules.put(rule(plan, 4)) for plan in ("ACME", "BETA")]
                    await asyncio.gather(*map(asyncio.create_task, puts))
                    assert await uow.plans() == ("ACME", "BETA")
                    raise DroppedError
            assert await store.plans() == ()

    asyncio.run(run())


def test_many_units_at_once_are_each_whole(store: Store) -> None:
    begin = threading.Barrier(4)

    def work(number: int) -> None:
        begin.wait(10)
        with store.unit_of_work():
            for kind in ("match", "vesting"):
                store.calculation_rules.put(rule(f"P{number}", 4).model_copy(update={"calc_type": kind}))
            if number % 2:
                raise ZeroDivisionError

    with ThreadPoolExecutor(4) as pool:
        failed = [type(done.exception()) for done in [pool.submit(work, number) for number in range(4)]]
    assert failed == [type(None), ZeroDivisionError] * 2
    assert plans(store) == {"P0", "P2"}
    assert all(len(store.calculation_rules.all(plan)) == 2 for plan in ("P0", "P2"))


def test_a_read_that_may_not_wait_answers_that_it_would_and_reads_nothing(store: Store) -> None:
    store.calculation_rules.put(rule("ACME", 4))
    get = in_process(store.calculation_rules.get)
    assert get is not None
    assert get("ACME", "match") is WOULD_BLOCK
    found = store.calculation_rules.get("ACME", "match")
    assert get("ACME", "match") is found
    assert get("ACME", "match", fresh=True) is WOULD_BLOCK
    with store.unit_of_work():  # which reads past the cache
        assert get("ACME", "match") is WOULD_BLOCK


def test_only_reads_through_the_cache_can_be_asked_without_waiting(store: Store) -> None:
    assert in_process(store.calculation_rules.put) is None
    assert in_process(store.plans) is None


class Cautious(CalculationRuleRepository):
    """A repository of somebody else's, which takes every error for a rule that is not there."""

    def get(self, plan_id: str, calc_type: str, *, fresh: bool = False) -> CalculationRule:
        try:
            return super().get(plan_id, calc_type, fresh=fresh)
        except Exception:
            return rule("NOBODY", 0)

    def needed(self, plan_id: str, calc_type: str, *, fresh: bool = False) -> CalculationRule:
        try:
            return super().get(plan_id, calc_type, fresh=fresh)
        except Exception as error:
            raise LookupError(plan_id) from error


@pytest.mark.parametrize("name", ["get", "needed"])
def test_a_repository_that_catches_every_error_still_would_block(store: Store, name: str) -> None:
    store.calculation_rules.put(rule("ACME", 4))
    get = in_process(getattr(Cautious(store), name))
    assert get is not None
    assert [get("ACME", "match"), get("ACME", "match")] == [WOULD_BLOCK] * 2
    found = store.calculation_rules.get("ACME", "match")
    assert [get("ACME", "match"), get("BETA", "match")] == [found, WOULD_BLOCK]


def test_an_error_of_a_read_that_need_not_wait_is_raised(store: Store) -> None:
    get = in_process(Cautious(store).needed)
    assert get is not None
    with suppress(RuleNotFoundError):
        store.calculation_rules.get("ACME", "match")
    with pytest.raises(LookupError):
        get("ACME", "match")


def test_a_unit_is_not_committed_while_a_block_of_another_task_is_half_done(store: Store) -> None:
    ends = asyncio.Event()

    async def part(awaited: AsyncStore) -> None:
        async with awaited.unit_of_work():
            await awaited.calculation_rules.put(rule("ACME", 4))
            await ends.wait()
            await awaited.calculation_rules.put(rule("BETA", 4))

    async def main() -> None:
        awaited = AsyncStore(store)
        begun: list[asyncio.Task[None]] = []
        with pytest.raises(InvalidWriteError, match="still open"):  # noqa: PT012  # the end of the block
            async with awaited.unit_of_work():
                begun.append(asyncio.create_task(part(awaited)))
                while not await awaited.plans():
                    await asyncio.sleep(0)
        ends.set()
        with pytest.raises(InvalidWriteError, match="is over"):
            await begun[0]
        await awaited.aclose()

    asyncio.run(main())
    assert plans(store) == set()


def test_generators_whose_blocks_end_out_of_order_are_told_so(store: Store) -> None:
    def work(plan: str) -> Iterator[None]:
        with store.unit_of_work():
            store.calculation_rules.put(rule(plan, 4))
            yield

    outer, inner = work("ACME"), work("BETA")
    next(outer)
    next(inner)
    for one, told in ((outer, "still open"), (inner, "is over")):
        with pytest.raises(InvalidWriteError, match=told):
            next(one)
    assert plans(store) == set()
