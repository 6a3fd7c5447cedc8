"""What a unit of work does with what it staged: when it is sent, sent again, refused and waited for.

In memory, with an engine that lets others write just before each of a unit's writes; each rule is one that a change of
one operator breaks (see tests/mutants).
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from contextvars import copy_context

import pytest

from bluestar_store import AsyncStore, InvalidWriteError, Settings, Store, VersionConflictError
from bluestar_store.errors import (
    AlreadyExistsError,
    ConflictError,
    RuleNotFoundError,
    UnavailableError,
)
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Item, Put
from bluestar_store.store import sessions_of
from tests.cache.stores import rule
from tests.store_suite.side_door import in_thread
from tests.stores.busy_engine import MATCH, BusyEngine, meddle, rules_table

OVER = (
    "this unit of work is over: what was started within it belongs to it (asyncio.create_task copies the context); "
    "await it before the block ends, or start it outside"
)
FORKED = (
    "this unit of work was begun by the process that this one was forked from, which commits it or not: "
    "nothing of it is written here; a forked child begins units of its own"
)
HALF_DONE = (
    "a block within this unit of work raised ZeroDivisionError and may have done half of its work: nothing of the unit "
    "is written"
)
STILL_OPEN = (
    "a block within this unit of work is still open and may have done half of its work: nothing of the unit is "
    "written; await the task that it is in, or end it, before the block around it ends"
)


@pytest.fixture
def engine() -> BusyEngine:
    return BusyEngine()


@pytest.fixture
def store(engine: BusyEngine) -> Iterator[Store]:
    with Store(Settings(persistence_mode="memory"), engine) as opened:
        opened.create_tables()
        yield opened


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause could be, in seconds; nobody waits."""
    longest: list[float] = []

    def uniform(least: float, most: float) -> float:
        assert least == 0
        return most

    monkeypatch.setattr(random, "uniform", uniform)
    monkeypatch.setattr(time, "sleep", longest.append)
    return longest


def percent(store: Store) -> int:
    return int(store.calculation_rules.get("ACME", "match", fresh=True).max_pct or 0)


# ------------------------------------------------------------------------------------------------------ sent again


def test_a_unit_that_wrote_nothing_is_not_sent(store: Store, engine: BusyEngine) -> None:
    with store.unit_of_work():
        store.plans()
    assert engine.sent == []


def test_a_unit_is_sent_once_where_nobody_is_in_its_way(store: Store, engine: BusyEngine, pauses: list[float]) -> None:
    with store.unit_of_work():
        store.calculation_rules.put(rule("ACME", 4))
        store.calculation_rules.put(rule("BETA", 5))
    assert (len(engine.sent), pauses) == (1, [])


def test_what_expects_nothing_is_sent_a_hundred_times_with_pauses_that_grow_to_half_a_second(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    meddle(store, engine, 99, version=0)
    store.calculation_rules.put(rule("ACME", 4))
    assert (len(engine.sent), percent(store)) == (100, 4)
    assert pauses == [pytest.approx(min(0.002 * 1.5**attempt, 0.5)) for attempt in range(1, 100)]


def test_who_met_others_a_hundred_times_is_told_of_the_last(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    meddle(store, engine, 100, version=0)
    with pytest.raises(VersionConflictError):
        store.calculation_rules.put(rule("ACME", 4))
    assert (len(engine.sent), len(pauses)) == (100, 99)


def test_another_programs_attributes_are_expected_as_they_were_read_by_three_tries(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    store.calculation_rules.put(rule("ACME", 3))
    meddle(store, engine, 1, note=0)
    store.calculation_rules.put(rule("ACME", 4))
    engine.sent.clear()
    meddle(store, engine, 50, note=0)
    store.calculation_rules.put(rule("ACME", 5))
    assert (len(engine.sent), percent(store)) == (4, 5)


def test_a_try_that_ignores_other_programs_attributes_still_expects_the_version(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    store.calculation_rules.put(rule("ACME", 3))
    engine.sent.clear()
    meddle(store, engine, 6, version=0, note=0)
    assert store.calculation_rules.put(rule("ACME", 4)).version == engine.meddled[-1] + 1
    assert len(engine.sent) == 7


def test_a_creation_that_met_another_is_not_tried_again(store: Store, engine: BusyEngine, pauses: list[float]) -> None:
    meddle(store, engine, 1, max_pct=0)
    with pytest.raises(AlreadyExistsError), store.unit_of_work():  # noqa: PT012  # as it is committed
        store.calculation_rules.put(rule("ACME", 4), ABSENT)
        store.calculation_rules.put(rule("BETA", 4), ABSENT)
    assert (len(engine.sent), pauses) == (1, [])


@pytest.mark.parametrize("place", [None, ("elsewhere", MATCH)], ids=["of no item", "of an item that it does not write"])
def test_a_conflict_that_is_none_of_the_units_own_is_told_at_once(
    store: Store, engine: BusyEngine, pauses: list[float], place: tuple[str, Key] | None
) -> None:
    error = ConflictError("theirs")
    error.place = place

    def refuse() -> None:
        raise error

    engine.before = refuse
    with pytest.raises(ConflictError, match="theirs"):
        store.calculation_rules.put(rule("ACME", 4))
    assert (len(engine.sent), pauses) == (1, [])


def test_no_other_error_is_tried_again(store: Store, engine: BusyEngine, pauses: list[float]) -> None:
    def refuse() -> None:
        raise UnavailableError("down")

    engine.before = refuse
    with pytest.raises(UnavailableError):
        store.calculation_rules.put(rule("ACME", 4))
    assert (len(engine.sent), pauses) == (1, [])


def test_steps_run_again_in_their_order_and_each_sees_those_before_it(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    meddle(store, engine, 3, note=0)
    with store.unit_of_work():
        store.calculation_rules.put(rule("ACME", 4))
        store.audit.append("b", action="first")
        store.calculation_rules.put(rule("ACME", 5))
        store.audit.append("b", action="second")
    assert len(engine.sent) == 4
    assert (percent(store), [str(entry.action) for entry in store.audit.entries("b")]) == (5, ["first", "second"])


def test_the_engine_of_a_unit_writes_what_its_caller_asked_for_and_tells_of_its_conflicts(
    store: Store, engine: BusyEngine, pauses: list[float]
) -> None:
    item: Item = {"PK": {"S": MATCH.pk}, "SK": {"S": MATCH.sk}, "max_pct": {"N": "9"}}
    with sessions_of(store).unit() as session:
        session.engine.write(Put(rules_table(store), item, ABSENT))
        assert session.engine.get(rules_table(store), [MATCH])[MATCH] == item
        assert engine.sent == []
    assert percent(store) == 9
    meddle(store, engine, 1, max_pct=0)
    other = item | {"SK": {"S": "CALC#cap"}}
    with pytest.raises(AlreadyExistsError), sessions_of(store).unit() as session:  # noqa: PT012  # as it is committed
        session.engine.write(Put(rules_table(store), other, ABSENT))
        session.engine.write(Put(rules_table(store), item, ABSENT))
    assert (len(engine.sent), pauses) == (2, [])
    assert set(store.calculation_rules.all("ACME", fresh=True)) == {"match"}


# ----------------------------------------------------------------------------------------------------- who is refused


def test_what_a_refused_call_staged_is_gone_and_what_was_staged_before_it_is_not(
    store: Store, engine: BusyEngine
) -> None:
    with store.unit_of_work():
        store.calculation_rules.put(rule("BETA", 4))
        with pytest.raises(AlreadyExistsError):
            store.check(rule("ACME", 4), rule("BETA", 4))  # refused for the second
        store.calculation_rules.put(rule("CORP", 4))
        meddle(store, engine, 1, max_pct=0)
    assert (len(engine.sent), set(store.plans())) == (1, {"ACME", "BETA", "CORP"})


@pytest.mark.parametrize("dropped", [False, True])
def test_who_is_in_a_unit_that_is_over_is_told_where_to_await(store: Store, dropped: bool) -> None:
    with suppress(ZeroDivisionError), store.unit_of_work():
        context = copy_context()
        if dropped:
            raise ZeroDivisionError
    for call in (
        lambda: store.calculation_rules.put(rule("ACME", 4)),
        lambda: store.calculation_rules.get("ACME", "match"),
        lambda: store.unit_of_work().__enter__(),
        lambda: store.check(rule("ACME", 4)),
    ):
        with pytest.raises(InvalidWriteError) as caught:
            context.run(call)
        assert str(caught.value) == OVER


def test_who_is_in_a_unit_of_its_parent_process_is_told_to_begin_its_own(
    store: Store, engine: BusyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = store.unit_of_work()
    unit.__enter__()
    store.calculation_rules.put(rule("ACME", 4))
    parent, own = os.getpid(), os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: own)
    for call in (
        lambda: store.calculation_rules.put(rule("BETA", 4)),
        lambda: store.calculation_rules.get("BETA", "match"),
        lambda: store.unit_of_work().__enter__(),
    ):
        with pytest.raises(InvalidWriteError) as caught:
            call()
        assert str(caught.value) == FORKED
    monkeypatch.setattr(os, "getpid", lambda: parent)
    unit.__exit__(None, None, None)
    assert (len(engine.sent), store.plans()) == (1, ("ACME",))


def test_a_unit_whose_block_raised_tells_what_and_why(store: Store, engine: BusyEngine) -> None:
    failed = ZeroDivisionError("first")

    def half(error: Exception) -> None:
        with store.unit_of_work():
            raise error

    with pytest.raises(InvalidWriteError) as commit, store.unit_of_work():  # noqa: PT012  # as it is committed
        for error in (failed, KeyError("second")):
            with pytest.raises(type(error)):
                half(error)
        with pytest.raises(InvalidWriteError) as call:
            store.calculation_rules.put(rule("ACME", 4))
    for caught in (commit, call):
        assert (str(caught.value), caught.value.__cause__) == (HALF_DONE, failed)
    assert engine.sent == []


def test_a_unit_is_not_sent_before_the_last_of_the_blocks_within_it_has_ended(store: Store, engine: BusyEngine) -> None:
    def work(plan: str) -> Iterator[None]:
        with store.unit_of_work():
            store.calculation_rules.put(rule(plan, 4))
            yield

    outer, first, second = work("ACME"), work("BETA"), work("CORP")
    for one in (outer, first, second):
        next(one)
    assert next(first, "ended") == "ended"
    with pytest.raises(InvalidWriteError) as caught:
        next(outer)
    assert str(caught.value) == STILL_OPEN
    with pytest.raises(InvalidWriteError, match="is over"):
        next(second)
    assert engine.sent == []


def test_blocks_that_ended_well_are_in_the_way_of_no_commit(store: Store, engine: BusyEngine) -> None:
    with store.unit_of_work():
        for plan in ("ACME", "BETA"):
            with store.unit_of_work():
                store.calculation_rules.put(rule(plan, 4))
    assert (len(engine.sent), store.plans()) == (1, ("ACME", "BETA"))


# --------------------------------------------------------------------------------------------------------- waited for


def test_the_commit_waits_for_every_call_that_other_threads_make_within_the_unit(
    store: Store, engine: BusyEngine
) -> None:
    """One of two reads goes on when the unit was sent without it; or else after a tenth of a second."""
    begun = threading.Event()
    came_too_late: list[bool] = []

    def hold(keys: list[Key]) -> None:
        if "CLIENT#HELD" in {key.pk for key in keys}:
            begun.set()
            came_too_late.append(engine.was_sent.wait(0.1))

    async def main() -> None:
        async with AsyncStore(store) as awaited:
            async with awaited.unit_of_work():
                await awaited.calculation_rules.put(rule("ACME", 4))
                held = asyncio.create_task(awaited.calculation_rules.get("HELD", "match"))
                await asyncio.to_thread(begun.wait, 10)
                await awaited.calculation_rules.get("ACME", "match")
            with pytest.raises(RuleNotFoundError):
                await held

    engine.before_read = hold
    asyncio.run(main())
    assert (came_too_late, len(engine.sent)) == ([False], 1)


def test_a_call_that_another_thread_begins_while_the_unit_is_sent_is_refused(store: Store, engine: BusyEngine) -> None:
    refused: list[InvalidWriteError] = []

    def late() -> None:
        with pytest.raises(InvalidWriteError) as caught:
            store.calculation_rules.put(rule("BETA", 5))
        refused.append(caught.value)

    with store.unit_of_work():
        context = copy_context()
        engine.before = lambda: in_thread(lambda: context.run(late))
        store.calculation_rules.put(rule("ACME", 4))
    assert [str(error) for error in refused] == [OVER]
    assert store.plans() == ("ACME",)
