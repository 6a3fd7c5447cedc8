"""The recheck of marked tables: within its time, a page at a time, beside the answers of others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from bluestar_store import AccessDeniedError, Store, TableLayout, UnavailableError
from bluestar_store.engines.memory import tables
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import ItemKeys, Key
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.index_marks import index_label
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Delete
from bluestar_store.repositories import index_reader as index_reader
from bluestar_store.repositories import recheck
from bluestar_store.testing import Call, FrozenClock
from tests.own_kinds import KINDS, PAY_CALENDAR
from tests.store_suite.side_door import wire
from tests.stores.marked_tables import LISTS, PAGE, Marked, Waiting, fill, marked, waiting

__all__ = ["marked", "waiting"]  # fixtures


@pytest.mark.parametrize("name", LISTS)
def test_nor_does_it_fail_however_long_nobody_started_a_batch(marked: Marked, waiting: Waiting, name: str) -> None:
    for days in (1, 2, 365):  # nothing aside is ever done
        marked.pass_time(days=days)
        assert marked.scans(lambda: LISTS[name](marked.store)) == 0


def test_lists_and_starts_alone_renew_a_mark_that_is_late_beside_their_answers(
    marked: Marked, waiting: Waiting
) -> None:
    marked.put(VALIDATION_RULE, wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x"))
    marked.pass_time(hours=63)
    for asked in (marked.store.categories, marked.start):
        assert marked.scans(asked) == 0
        assert len(waiting) > 0
        assert marked.scans(waiting.work) <= recheck.PAGES_AT_ONCE * len(LISTS)
        assert marked.store.categories() == ("NEW", "OTHER", "SSN")
        marked.pass_time(hours=63)


def test_lists_alone_keep_the_recheck_within_its_time(marked: Marked) -> None:
    fill(marked)
    for _ in range(4):
        marked.pass_time(hours=1)
        marked.store.categories()
        marked.put(VALIDATION_RULE, wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x"))
        for _ in range(10):
            marked.pass_time(hours=2)
            marked.store.categories()
        marked.pass_time(hours=2)
        assert "NEW" in marked.store.categories()
        table = marked.store.tables.name(VALIDATION_RULE)
        marked.engine.write(Delete(table, Key("CATEGORY#NEW#CLIENT#ACME", "RULE#001")))


def test_a_page_that_a_process_read_which_knows_fewer_kinds_does_not_count_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "PAGE_ITEMS", PAGE)
    fewer = Marked(MemoryEngine(), FrozenClock(), TableLayout.SINGLE)
    home = fewer.store.tables.name(BATCH_STATE)
    more = Store(fewer.store.settings, fewer.engine, kinds=KINDS, clock=fewer.clock)
    more.create_tables()
    fewer.put(BATCH_STATE, *(wire(f"CLIENT#P{n:03d}", "CALC#match") for n in range(5 * PAGE)))
    more.create_tables(upgrade=True)
    theirs = Key("CLIENT#ACME", "PAYDAYS#2026")  # on the first page
    fewer.put(BATCH_STATE, wire(*theirs))
    written = fewer.clock.now()
    (index,) = PAY_CALENDAR.index_names
    found, checked = False, None
    for turn in range(60):  # each time another one reads the next page
        fewer.pass_time(minutes=80)
        for store in (more, fewer.store) if turn % 2 else (fewer.store, more):
            store.index_marks.forget()
            recheck.Recheck(store.sessions, store.index_marks).catch_up()
        more.index_marks.forget()
        checked = more.index_marks.checked(PAY_CALENDAR, index)
        found = "bs_kind" in fewer.engine.get(home, [theirs])[theirs]
        assert checked is not None
        assert found or checked <= written
    assert found
    assert checked is not None
    assert checked > written


@pytest.mark.parametrize("pages", [3, 10, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rarer", [2, 5])
def test_processes_that_know_different_kinds_keep_the_recheck_of_all_of_them_within_its_time(
    monkeypatch: pytest.MonkeyPatch, pages: int, rarer: int
) -> None:
    monkeypatch.setattr(tables, "PAGE_ITEMS", PAGE)
    bonus = replace(
        PAY_CALENDAR,
        name="bonus-calendar",
        keys=ItemKeys.of("CLIENT#{plan_id:DEFAULT}", "BONUSDAYS#{year:04d}"),
        rule_list="bonus_calendars",
    )
    plain = Marked(MemoryEngine(), FrozenClock(), TableLayout.SINGLE)
    plain.store.create_tables()
    plain.put(BATCH_STATE, *(wire(f"CLIENT#P{n:04d}", "CALC#match") for n in range(pages * PAGE)))
    plain.store.create_tables(upgrade=True)  # neither index was ever looked at
    home = plain.store.tables.name(BATCH_STATE)
    settings, engine, clock = plain.store.settings, plain.engine, plain.clock
    stores = [Store(settings, engine, kinds=(kind,), clock=clock) for kind in (PAY_CALENDAR, bonus)]
    for turn in range(10 * 36):  # ten days
        plain.pass_time(minutes=40)
        store = stores[turn % rarer == 0]
        store.index_marks.forget()
        recheck.Recheck(store.sessions, store.index_marks).catch_up()
        if turn > 3 * 36:
            store.index_marks.forget()
            checked = store.index_marks.current()[home].checked
            for kind in (PAY_CALENDAR, bonus):
                assert clock.now() - checked[index_label(kind, "by_level")] < timedelta(hours=24)


def test_a_pass_that_others_do_not_go_on_with_is_ended_by_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE_ITEMS", PAGE)
    fewer = Marked(MemoryEngine(), FrozenClock(), TableLayout.SINGLE)
    more = Store(fewer.store.settings, fewer.engine, kinds=KINDS, clock=fewer.clock)
    more.create_tables()
    fewer.put(BATCH_STATE, *(wire(f"CLIENT#P{n:03d}", "CALC#match") for n in range(5 * PAGE)))
    more.create_tables(upgrade=True)
    fewer.pass_time(hours=7)
    recheck.Recheck(more.sessions, more.index_marks).catch_up()  # and is never seen again
    for _ in range(18):
        fewer.pass_time(hours=1)
        fewer.store.index_marks.forget()
        recheck.Recheck(fewer.store.sessions, fewer.store.index_marks).catch_up()
    checked = fewer.store.index_marks.checked(CALCULATION_RULE, "by_level")
    assert checked is not None
    assert fewer.clock.now() - checked < timedelta(hours=24)


def test_a_list_reads_nothing_beside_its_answer_while_the_recheck_keeps_up(marked: Marked, waiting: Waiting) -> None:
    for _ in range(18):
        marked.pass_time(hours=1)
        marked.store.categories()
        assert not waiting
    marked.pass_time(hours=1)
    marked.store.categories()
    assert len(waiting) == 1


def test_no_call_reads_more_than_its_pages_beside_its_answer(
    marked: Marked, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "PAGES_AT_ONCE", 3)
    marked.pass_time(days=7)
    marked.store.categories()
    assert marked.scans(waiting.work) == 3
    for _ in range(20):
        marked.start()
        assert marked.scans(waiting.work) <= 6  # the list of categories in it, and the start
    marks = marked.store.index_marks.current().values()
    assert all(marked.clock.now() - at < timedelta(hours=1) for mark in marks for at in mark.checked.values())


def test_who_may_not_write_to_a_table_that_is_late_answers_and_asks_no_more(marked: Marked, waiting: Waiting) -> None:
    marked.pass_time(days=7)
    marked.engine.faults.fail("write", AccessDeniedError, times=100)
    before = marked.engine.faults.counts["write"]
    for _ in range(20):
        assert marked.store.categories() == ("OTHER", "SSN")
        waiting.work()
        marked.pass_time(minutes=1)
    assert marked.engine.faults.counts["write"] - before == 1
    for _ in range(5):
        marked.store.batches._recheck.beside_start()
    waiting.work()
    assert marked.engine.faults.counts["write"] - before == 1


def test_a_start_does_not_wait_for_the_recheck_and_a_close_does(
    marked: Marked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # no call of this test is made at once
    monkeypatch.setattr(MemoryEngine, "parallel_calls", 2)
    marked.pass_time(hours=12)
    store = Store(marked.store.settings, marked.engine, clock=marked.clock)
    with marked.engine.faults.hold("scan", which=lambda call: call.arguments["table"].startswith("bluestar")) as hold:
        store.batches.start("ACME", "Weekly", 2026)
        hold.reached.wait()
    due = {mark.table: mark.due for mark in store.index_marks.current().values()}
    store.close()
    marked.store.index_marks.forget()
    after = {mark.table: mark.due for mark in marked.store.index_marks.current().values()}
    assert sum(after[table] > at for table, at in due.items()) == 1


def test_a_recheck_that_fails_is_left_to_the_next_start(marked: Marked) -> None:
    marked.put(VALIDATION_RULE, wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x"))
    marked.pass_time(hours=12)
    marked.engine.faults.fail("scan", UnavailableError, times=3)
    for _ in range(3):
        marked.start()
    assert marked.store.categories() == ("SSN",)
    for _ in range(12):
        marked.pass_time(minutes=1)
        marked.start()
    assert marked.store.categories() == ("NEW", "SSN")


def test_an_item_that_changes_while_it_gets_its_attributes_is_read_again(marked: Marked) -> None:
    theirs = wire("BATCH#theirs", "STATE", plan_id="ALPHA")
    marked.put(BATCH_STATE, theirs)
    with marked.engine.faults.hold("write", which=_stamps) as hold, ThreadPoolExecutor(1) as executor:
        upgraded = executor.submit(marked.store.create_tables, upgrade=True)
        hold.reached.wait()
        marked.put(BATCH_STATE, theirs | {"plan_id": {"S": "BETA"}, "version": {"N": "1"}})
        hold.release()
        upgraded.result()
    assert [batch.batch_id for batch in marked.store.batches.for_plan("BETA")] == ["theirs"]


def _stamps(call: Call) -> bool:
    """Whether a call gives the other program's batch its attributes."""
    return any(write.key.pk == "BATCH#theirs" for write in call.arguments["writes"])
