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

from bluestar_store import AsyncStore, InvalidWriteError, Settings, Store
from bluestar_store.repositories.base import WOULD_BLOCK, in_process
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
