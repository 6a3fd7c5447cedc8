"""Reads out of the process's memory are of one moment, whatever other threads write between two of their looks."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import pytest

from bluestar_store import (
    DEFAULT,
    GLOBAL,
    AchConfig,
    AsyncStore,
    CalculationRule,
    ClientConfig,
    NotFoundError,
    PipelineStep,
    Settings,
    Store,
    ValidationRule,
)
from bluestar_store.clock import SystemClock
from bluestar_store.engines.memory.engine import MemoryEngine

PLAN, OTHER, FREQ = "ACME", "OTHER", "Weekly"
Read: TypeAlias = Callable[[Any, str], Any]


class Interrupted(SystemClock):
    """A look into the memory that asks it for the time is held up there, while another thread does what is due."""

    def __init__(self) -> None:
        self.due: list[Callable[[], object]] = []

    def monotonic(self) -> float:
        """See Clock."""
        # Only there: elsewhere the caller holds a lock.
        looks = sys._getframe(1).f_code.co_name.startswith("peek")
        if self.due and looks and threading.current_thread() is threading.main_thread():
            thread = threading.Thread(target=self.due.pop(0))
            thread.start()
            thread.join()
        return SystemClock.monotonic()


@pytest.fixture
def clock() -> Interrupted:
    return Interrupted()


@pytest.fixture
def store(clock: Interrupted) -> Iterator[Store]:
    with Store(Settings(persistence_mode="memory"), MemoryEngine(), clock=clock) as store:
        store.create_tables()
        yield store


def shared(uow: Store, text: str) -> None:
    """What every plan inherits."""
    uow.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", description=text))
    uow.validation_rules.put(ValidationRule(category="SSN", plan_id=GLOBAL, number=1, message=text))
    uow.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq=FREQ, custodian=text))
    uow.ach_configs.put(AchConfig(plan_id=DEFAULT, pay_freq=FREQ, bank_id=text))
    uow.pipelines.replace(DEFAULT, FREQ, [PipelineStep(plan_id=DEFAULT, pay_freq=FREQ, step_order=1, agent=text)])


def copy_of(uow: Store, text: str) -> None:
    """What the plan has of its own instead."""
    uow.calculation_rules.put(CalculationRule(plan_id=PLAN, calc_type="match", description=text))
    uow.validation_rules.put(ValidationRule(category="SSN", plan_id=PLAN, number=2, message=text))
    uow.client_configs.put(ClientConfig(plan_id=PLAN, pay_freq=FREQ, custodian=text))
    uow.ach_configs.put(AchConfig(plan_id=PLAN, pay_freq=FREQ, bank_id=text))
    uow.pipelines.replace(PLAN, FREQ, [PipelineStep(plan_id=PLAN, pay_freq=FREQ, step_order=1, agent=text)])


def gone(uow: Store, plan_id: str, level: str) -> None:
    uow.calculation_rules.delete(CalculationRule(plan_id=level, calc_type="match"))
    uow.validation_rules.delete(ValidationRule(category="SSN", plan_id=level, number=1 + (plan_id == PLAN)))
    uow.client_configs.delete(ClientConfig(plan_id=plan_id, pay_freq=FREQ))
    uow.ach_configs.delete(AchConfig(plan_id=plan_id, pay_freq=FREQ))
    uow.pipelines.remove(plan_id, FREQ)


def rule(store: Any, plan_id: str) -> Any:
    return store.calculation_rules.get(plan_id, "match")


def every_rule(store: Any, plan_id: str) -> Any:
    return store.calculation_rules.all(plan_id)


def category(store: Any, plan_id: str) -> Any:
    return store.validation_rules.for_category("SSN", plan_id)


def config(store: Any, plan_id: str) -> Any:
    return store.client_configs.get(plan_id, FREQ)


def account(store: Any, plan_id: str) -> Any:
    return store.ach_configs.get(plan_id, FREQ)


def pipeline(store: Any, plan_id: str) -> Any:
    return store.pipelines.steps(plan_id, FREQ)


READS = [rule, every_rule, category, config, account, pipeline]


def blocking(store: Store, read: Read) -> Any:
    return read(store, PLAN)


def awaited(store: Store, read: Read) -> Any:
    async def main() -> Any:
        return await read(AsyncStore(store), PLAN)

    return asyncio.run(main())


def texts(found: Any) -> set[str]:
    """What was written, of all that was found."""
    if isinstance(found, CalculationRule | ClientConfig | AchConfig):
        found = [found]
    elif not isinstance(found, tuple):
        found = found.values()
    names = "description", "message", "custodian", "bank_id", "agent"
    return {text for one in found for name in names if (text := getattr(one, name, None)) is not None}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("how", [blocking, awaited])
def test_a_fallback_out_of_memory_is_of_one_moment(
    store: Store, clock: Interrupted, read: Read, how: Callable[[Store, Read], Any]
) -> None:
    with store.unit_of_work() as uow:
        shared(uow, "old")
    for plan_id in (PLAN, OTHER):
        read(store, plan_id)

    def write() -> None:
        with store.unit_of_work() as uow:
            copy_of(uow, "own")
            shared(uow, "new")
        read(store, OTHER)  # so that what is inherited is in memory again

    clock.due.append(write)
    after = {"own", "new"} if read is category else {"own"}
    assert texts(how(store, read)) in ({"old"}, after)
    assert not clock.due
    assert texts(how(store, read)) == after


@pytest.mark.parametrize("read", READS)
def test_what_moves_between_a_plan_and_what_it_inherits_is_never_missing(
    store: Store, clock: Interrupted, read: Read
) -> None:
    """It moves to the plan between two looks, and back before the next: an absence that came again proves nothing."""
    with store.unit_of_work() as uow:
        shared(uow, "there")
    for plan_id in (PLAN, OTHER):
        read(store, plan_id)

    def move(here: str) -> None:
        with store.unit_of_work() as uow:
            if here == PLAN:
                copy_of(uow, "there")
                gone(uow, DEFAULT, GLOBAL)
            else:
                shared(uow, "there")
                gone(uow, PLAN, PLAN)
        with suppress(NotFoundError):
            read(store, OTHER if here == PLAN else PLAN)

    clock.due += [lambda: move(PLAN), lambda: move(DEFAULT)]
    assert texts(read(store, PLAN)) == {"there"}
    while clock.due:
        clock.due.pop(0)()
        assert texts(read(store, PLAN)) == {"there"}


@pytest.mark.parametrize("read", [rule, config, account])
def test_a_fallback_that_is_in_memory_is_answered_out_of_it(store: Store, read: Read) -> None:
    with store.unit_of_work() as uow:
        shared(uow, "there")
    read(store, PLAN)
    loads = store.cache.stats().loads
    first = read(store, PLAN)
    assert read(store, PLAN) is first
    assert read(store, OTHER).inherited_by == OTHER
    assert store.cache.stats().loads == loads + 1  # OTHER's
