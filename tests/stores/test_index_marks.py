"""A table that `create --upgrade` marked is not scanned in front of an answer; rechecks find what others write."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from bluestar_store import (
    ConfigurationError,
    IrsLimits,
    PipelineStep,
    PlanHold,
    Store,
    TableLayout,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.index_marks import PARTITION, mark_key
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Delete, scan_pages
from bluestar_store.repositories import index_reader as index_reader
from bluestar_store.repositories.upgrade import indexed_kinds
from bluestar_store.testing import FrozenClock
from bluestar_store.transfer import export, import_
from tests.own_kinds import KINDS, PAY_CALENDAR
from tests.store_suite.side_door import wire
from tests.stores.marked_tables import LISTS, Marked, Waiting, fill, marked, waiting

__all__ = ["marked", "waiting"]  # fixtures


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
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.PER_TABLE).store as store:
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
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.PER_TABLE).store as source:
        source.create_tables()
        theirs = wire("CATEGORY#NEW#CLIENT#ACME", "RULE#001", message="x")
        source.engine.put_many(source.tables.name(VALIDATION_RULE), [theirs])
        export(source, tmp_path)
    import_(marked.store, tmp_path, merge=True)
    assert marked.store.categories() == ("NEW", "SSN")
    marked.store.create_tables(upgrade=True)
    assert marked.scans(marked.store.categories) == 0


def test_an_import_of_indexed_items_leaves_the_mark(marked: Marked, tmp_path: Path) -> None:
    with Marked(MemoryEngine(), FrozenClock(), TableLayout.PER_TABLE).store as source:
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


def test_where_the_indexes_are_said_to_be_complete_no_mark_is_asked_for(marked: Marked) -> None:
    trusting = Store(marked.store.settings.model_copy(update={"indexes_complete": True}), marked.engine)
    marked.engine.faults.forget()
    trusting.plans()
    trusting.vendor_schemas.put(VendorSchema(vendor_id="V", fingerprint="f"))
    assert not [call for call in marked.engine.faults.calls if call.arguments.get("pk") == PARTITION]
