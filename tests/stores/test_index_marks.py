"""A table that `create --upgrade` marked is not scanned in front of an answer; rechecks find what others write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from bluestar_store import (
    AccessDeniedError,
    ConfigurationError,
    IrsLimits,
    PersistenceMode,
    PipelineStep,
    PlanHold,
    Settings,
    Store,
    TableLayout,
    UnavailableError,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.engines.memory import tables
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import ItemKeys, Key
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.index_marks import PARTITION, index_label, mark_key
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Delete, Item, scan_pages
from bluestar_store.repositories import index_reader as index_reader
from bluestar_store.repositories import recheck
from bluestar_store.repositories.upgrade import indexed_kinds
from bluestar_store.testing import Call, FrozenClock, ReadUnitEngine
from bluestar_store.transfer import export, import_
from tests.own_kinds import KINDS, PAY_CALENDAR
from tests.store_suite.side_door import wire

PAGE = 20


class Waiting(list[Callable[[], object]]):
    """Calls that are to be made aside."""

    def work(self) -> None:
        """Make them."""
        while self:
            self.pop(0)()


class Marked:
    """A Store whose calls count as round trips, on a clock of its own; a page has twenty items, two pages are cheap."""

    def __init__(self, engine: MemoryEngine, clock: FrozenClock, layout: TableLayout, **settings: float) -> None:
        self.engine, self.clock = ReadUnitEngine(engine), clock
        values = Settings(persistence_mode=PersistenceMode.MEMORY, table_layout=layout)
        self.store = Store(values.model_copy(update=settings), self.engine, clock=clock)

    def put(self, kind: object, *items: Item) -> None:
        """As other programs do."""
        self.engine.put_many(self.store.tables.name(kind), items)  # type: ignore[arg-type]

    def start(self) -> str:
        return self.store.batches.start("ACME", "Weekly", 2026).batch_id

    def scans(self, call: Callable[[], object]) -> int:
        before = self.engine.faults.counts["scan"]
        call()
        return self.engine.faults.counts["scan"] - before

    def pass_time(self, **span: float) -> None:
        self.clock.advance(timedelta(**span))


@pytest.fixture(params=TableLayout)
def marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Marked]:
    """With what a batch of ACME needs, upgraded."""
    monkeypatch.setattr(tables, "PAGE_ITEMS", PAGE)
    monkeypatch.setattr(index_reader, "SWEEP_PAGES", 2)
    monkeypatch.setattr(MemoryEngine, "parallel_calls", 2)
    monkeypatch.setattr("bluestar_store.repositories.session.StoreParts.aside", lambda self, call: call())
    made = Marked(MemoryEngine(), FrozenClock(), request.param)
    with made.store as store:
        store.create_tables()
        step = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100)
        store.pipelines.replace("ACME", "Weekly", [step])
        store.irs_limits.put(IrsLimits(year=2026))
        store.validation_rules.put(ValidationRule(category="SSN", number=1))
        store.create_tables(upgrade=True)
        yield made


def foreign_rules(count: int) -> list[Item]:
    return [wire(f"CATEGORY#OTHER#CLIENT#P{n:03d}", "RULE#001", message="x") for n in range(count)]


def fill(marked: Marked) -> None:
    """More than may be scanned, of all kinds, with index attributes."""
    marked.put(VALIDATION_RULE, *foreign_rules(100))
    marked.put(CALCULATION_RULE, *(wire(f"CLIENT#P{n:03d}", "CALC#match") for n in range(100)))
    marked.put(BATCH_STATE, *(wire(f"BATCH#o{n:03d}", "STATE", plan_id="OTHER") for n in range(100)))
    marked.put(BATCH_STATE, *(wire(f"BATCH#o{n:03d}", "RESULT#0001", result="x" * 100) for n in range(100)))
    marked.store.create_tables(upgrade=True)


LISTS: dict[str, Callable[[Store], object]] = {
    "plans": Store.plans,
    "categories": Store.categories,
    "vendors": Store.vendors,
    "overrides": lambda store: store.overrides("ACME"),
    "rules_of_type": lambda store: store.rules_of_type("match"),
    "all_open": lambda store: store.holds.all_open(),
    "for_plan": lambda store: store.batches.for_plan("ACME", limit=10),
    "limits": lambda store: store.irs_limits.all(),
    "plan_snapshot": lambda store: store.plan_snapshot("ACME", "Weekly", 2026),
    "start": lambda store: store.batches.start("ACME", "Weekly", 2026),
}


@pytest.mark.parametrize("name", LISTS)
def test_nothing_scans_a_marked_table_in_front_of_an_answer(marked: Marked, name: str) -> None:
    fill(marked)
    assert marked.scans(lambda: LISTS[name](marked.store)) == 0


@pytest.mark.parametrize("name", [name for name in LISTS if name not in ("vendors", "all_open", "limits")])
def test_without_the_mark_a_large_table_is_refused_with_what_marks_it(marked: Marked, name: str) -> None:
    fill(marked)
    marked.engine.write(*_deletes(marked))
    marked.store.index_marks.forget()
    with pytest.raises(ConfigurationError, match="create --upgrade"):
        LISTS[name](marked.store)


def _deletes(marked: Marked) -> list[Delete]:
    home = marked.store.tables.name(BATCH_STATE)
    return [Delete(home, mark_key(table)) for table in indexed_kinds(marked.store.tables)]


def test_what_others_write_is_found_by_the_recheck_within_its_time(marked: Marked) -> None:
    marked.put(VALIDATION_RULE, wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x"))
    marked.put(BATCH_STATE, wire("BATCH#theirs", "STATE", plan_id="BETA"), wire("BATCH#free", "STATE", status="DONE"))
    marked.put(BATCH_STATE, wire("BATCH#own", "STATE", plan_id="BETA", status="their word for it"))
    assert marked.store.categories() == ("SSN",)  # as it is promised
    for _ in range(24):
        marked.pass_time(hours=1)
        marked.start()
    assert marked.store.categories() == ("NEW", "SSN")
    assert set(marked.store.plan_snapshot("ACME", "Weekly", 2026).validation_rules) == {"NEW", "SSN"}
    page = marked.store.batches.for_plan("BETA")
    assert [batch.batch_id for batch in page] == ["theirs"]
    assert [state.batch_id for state in page.free_states] == ["own"]


def test_in_a_category_that_globals_or_the_plans_indexed_rules_name_others_rules_are_never_missed(
    marked: Marked,
) -> None:
    marked.put(VALIDATION_RULE, wire("CATEGORY#SSN#CLIENT#ACME", "RULE#007", message="x"))
    found = marked.store.plan_snapshot("ACME", "Weekly", 2026).validation_rules["SSN"]
    assert [rule.number for rule in found] == [1, 7]


def test_a_start_reads_a_page_when_it_is_due_and_no_more(marked: Marked) -> None:
    fill(marked)
    assert marked.scans(marked.start) == 0
    marked.pass_time(hours=6)
    assert marked.scans(marked.start) == 1
    counts = [0]
    for _ in range(240):
        marked.pass_time(minutes=6)
        counts.append(marked.scans(marked.start))
    assert max(counts) == 1
    assert sum(counts) < 200


def test_a_page_is_read_by_one_of_all_who_start(marked: Marked) -> None:
    fill(marked)
    other = Store(marked.store.settings, marked.engine, clock=marked.clock)
    marked.pass_time(hours=6)
    other.index_marks.current()
    marked.store.index_marks.current()
    due = sum(mark.due <= marked.clock.now() for mark in other.index_marks.current().values())
    ask = [partial(store.batches.start, "ACME", "Weekly", 2026) for store in (marked.store, other)]
    read = sum(map(marked.scans, ask * 40))
    assert due <= read <= due + 10  # pages that came due with the first are others than it


def test_a_recheck_changes_nothing_but_index_attributes(marked: Marked) -> None:
    theirs = wire("CLIENT#BETA", "CALC#match", max_pct={"N": "6"}, note="theirs")
    marked.put(CALCULATION_RULE, theirs)
    for _ in range(24):
        marked.pass_time(hours=1)
        marked.start()
    table = marked.store.tables.name(CALCULATION_RULE)
    found = marked.engine.get(table, [Key("CLIENT#BETA", "CALC#match")])[Key("CLIENT#BETA", "CALC#match")]
    assert found == theirs | {"bs_kind": {"S": "calculation-rule"}, "bs_level": {"S": "BETA\x1fmatch"}}


@pytest.fixture
def waiting(marked: Marked, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """The same, where what is to be done aside waits until the test has it done."""
    fill(marked)
    waiting = Waiting()
    monkeypatch.setattr("bluestar_store.repositories.session.StoreParts.aside", lambda self, call: waiting.append(call))
    return waiting


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
            recheck.Recheck(store._sessions, store.index_marks).catch_up()
        more.index_marks.forget()
        checked = more.index_marks.checked(PAY_CALENDAR, index)
        found = "bs_kind" in fewer.engine.get(home, [theirs])[theirs]
        assert checked is not None
        assert found or checked <= written
    assert found
    assert checked is not None
    assert checked > written


@pytest.mark.parametrize("pages", [3, 10, 40])
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
        recheck.Recheck(store._sessions, store.index_marks).catch_up()
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
    recheck.Recheck(more._sessions, more.index_marks).catch_up()  # and is never seen again
    for _ in range(18):
        fewer.pass_time(hours=1)
        fewer.store.index_marks.forget()
        recheck.Recheck(fewer.store._sessions, fewer.store.index_marks).catch_up()
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


def test_a_list_that_relies_on_a_mark_that_is_too_old_says_so_in_the_log(
    marked: Marked, waiting: Waiting, caplog: pytest.LogCaptureFixture
) -> None:
    marked.pass_time(hours=25)
    marked.store.categories()
    (record,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "not rechecked for 25 hours" in record.getMessage()


def test_a_batch_pins_the_time_of_the_last_full_recheck(marked: Marked) -> None:
    upgraded = marked.clock.now()
    marked.pass_time(hours=1)
    rules = marked.store.batches.history(marked.start()).rules
    assert rules is not None
    assert rules.indexes_checked == upgraded
    marked.pass_time(hours=24)
    rules = marked.store.batches.history(marked.start()).rules
    assert rules is not None
    assert rules.indexes_checked == upgraded
    marked.pass_time(hours=1)
    rules = marked.store.batches.history(marked.start()).rules
    assert rules is not None
    assert rules.indexes_checked == upgraded + timedelta(hours=25)  # the start before rechecked all beside its answer


def test_a_batch_that_was_started_where_nothing_is_marked_pins_none() -> None:
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.EIGHT).store as store:
        store.create_tables()
        store.pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1)])
        store.irs_limits.put(IrsLimits(year=2026))
        batch = store.batches.start("ACME", "Weekly", 2026)
        rules = store.batches.history(batch.batch_id).rules
        assert rules is not None
        assert rules.indexes_checked is None
        key = BATCH_RULES.keys.build({"batch_id": batch.batch_id})
        assert "bs_indexes_checked" not in store.engine.get(store.tables.name(BATCH_RULES), [key])[key]


def test_an_old_mark_does_not_cover_the_index_of_a_new_kind(marked: Marked) -> None:
    settings = marked.store.settings
    with Store(settings, marked.engine, kinds=KINDS, clock=marked.clock) as extended:
        extended.create_tables(upgrade=False)
        assert extended.index_marks.checked(VALIDATION_RULE, "by_level") is not None
        for index in PAY_CALENDAR.index_names:
            assert extended.index_marks.checked(PAY_CALENDAR, index) is None
        extended.create_tables(upgrade=True)
        for index in PAY_CALENDAR.index_names:
            assert extended.index_marks.checked(PAY_CALENDAR, index) is not None


def test_an_import_of_items_without_attributes_takes_the_mark_back(marked: Marked, tmp_path: Path) -> None:
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.EIGHT).store as source:
        source.create_tables()
        theirs = wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x")
        source.engine.put_many(source.tables.name(VALIDATION_RULE), [theirs])
        export(source, tmp_path)
    import_(marked.store, tmp_path, merge=True)
    assert marked.store.categories() == ("NEW", "SSN")
    marked.store.create_tables(upgrade=True)
    assert marked.scans(marked.store.categories) == 0


def test_an_import_of_indexed_items_leaves_the_mark(marked: Marked, tmp_path: Path) -> None:
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.EIGHT).store as source:
        source.create_tables()
        source.validation_rules.put(ValidationRule(category="NEW", number=1))
        export(source, tmp_path)
    import_(marked.store, tmp_path, merge=True)
    assert marked.scans(marked.store.categories) == 0
    assert marked.store.categories() == ("NEW", "SSN")


def test_a_mark_is_neither_exported_nor_does_it_fill_a_table(marked: Marked, tmp_path: Path) -> None:
    manifest = export(marked.store, tmp_path)
    lines = "".join(path.read_text() for path in tmp_path.glob("*.jsonl"))
    assert manifest.items
    assert PARTITION not in lines
    with Marked(MemoryEngine(), marked.clock, marked.store.settings.table_layout).store as target:
        target.create_tables(upgrade=True)
        assert import_(target, tmp_path).written == manifest.items


def test_a_mark_that_was_copied_to_another_environment_says_nothing_there(marked: Marked) -> None:
    settings = marked.store.settings.model_copy(update={"table_suffix": "-other"})
    with Store(settings, marked.engine, clock=marked.clock) as other:
        other.create_tables()
        home = marked.store.tables.name(BATCH_STATE)
        other.engine.put_many(
            other.tables.name(BATCH_STATE),
            [item for page in scan_pages(marked.engine, home) for item in page if item["PK"] == {"S": PARTITION}],
        )
        assert other.index_marks.checked(VALIDATION_RULE, "by_level") is None


def test_a_damaged_mark_is_none_and_an_upgrade_mends_it(marked: Marked) -> None:
    table = marked.store.tables.name(VALIDATION_RULE)
    key = mark_key(table)
    marked.put(BATCH_STATE, wire(key.pk, key.sk, checked="yes"))
    marked.store.index_marks.forget()
    assert marked.scans(marked.store.categories) > 0
    marked.store.create_tables(upgrade=True)
    assert marked.scans(marked.store.categories) == 0


def test_open_holds_that_others_placed_are_found_by_the_recheck_and_released_ones_stay_out(marked: Marked) -> None:
    store = marked.store
    store.holds.put(PlanHold(plan_id="ACME", hold_id="ours", reason="x"))
    marked.put(
        store.holds.mapper, wire("PLAN#BETA", "HOLD#theirs"), wire("PLAN#BETA", "HOLD#over", released="2026-01-01")
    )
    assert [hold.hold_id for hold in store.holds.open("BETA")] == ["theirs"]  # by key it is never missed
    for _ in range(24):
        marked.pass_time(hours=1)
        marked.start()
    assert {hold.hold_id for hold in store.holds.all_open()} == {"theirs", "ours"}


def test_a_unit_of_work_that_fails_takes_nothing_of_a_recheck_with_it(marked: Marked) -> None:
    marked.put(VALIDATION_RULE, wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x"))
    for _ in range(12):
        marked.pass_time(hours=2)
        with pytest.raises(ZeroDivisionError), marked.store.unit_of_work() as uow:
            uow.batches.start("ACME", "Weekly", 1 // len(uow.batches.start("ACME", "Weekly", 2026).extra))
    assert marked.store.categories() == ("NEW", "SSN")
    assert not marked.store.batches.for_plan("ACME").batches


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


def test_where_the_indexes_are_said_to_be_complete_no_mark_is_asked_for(marked: Marked) -> None:
    trusting = Store(marked.store.settings.model_copy(update={"indexes_complete": True}), marked.engine)
    marked.engine.faults.forget()
    trusting.plans()
    trusting.vendor_schemas.put(VendorSchema(vendor_id="V", fingerprint="f"))
    assert not [call for call in marked.engine.faults.calls if call.arguments.get("pk") == PARTITION]
