"""Damage of every kind among items, in both layouts: found, named, and nothing else is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store import BatchState, ItemDecodeError, PlanHold, Store, TableLayout
from bluestar_store.doctor import Severity, examine, is_healthy
from bluestar_store.doctor.findings import LISTED
from bluestar_store.models.batches import BATCH_STATE, STEP_RESULT
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Item, Page
from tests.doctor.conftest import Damage, told
from tests.doctor.items import ACME, indexed, stamped
from tests.store_suite.side_door import wire


def test_a_seeded_store_is_healthy(store: Store) -> None:
    assert examine(store) == ()


def test_run_state_of_our_own_is_healthy(store: Store) -> None:
    store.batches.put(BatchState(batch_id="b1", plan_id="ACME"))
    store.batches.put(BatchState(batch_id="b2"))
    store.holds.put(PlanHold(plan_id="ACME", hold_id="h1"))
    assert examine(store) == ()


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (CALCULATION_RULE, wire("CLIENT#ACME", "CALC#odd", max_pct="six")),
        (CALCULATION_RULE, wire("CLIENT#ACME", "CALC#odd", version="one")),
        (PIPELINE_STEP, wire("CLIENT#ODD_Weekly", "STEP#0100", stepOrder={"N": "200"})),
        (ACH_CONFIG, wire("CLIENT#ACME_BiWeeklyFri", "ACH", account_number={"N": "1234567890"})),
        (STEP_RESULT, wire("BATCH#b1", "RESULT#0100", saved="yesterday")),
    ],
)
def test_an_item_that_does_not_decode(kind: Any, item: Item, store: Store, damage: Damage) -> None:
    damage(kind, item)
    (finding,) = examine(store)
    assert (finding.severity, finding.check) == (Severity.ERROR, "undecodable")
    assert (finding.table, finding.pk, finding.sk) == (store.tables.name(kind), item["PK"]["S"], item["SK"]["S"])
    assert "1234567890" not in str(finding)


def test_a_pattern_that_is_no_regular_expression(store: Store, damage: Damage) -> None:
    own = ("ACME TPA|SSN", "CATEGORY#SSN#CLIENT#ACME TPA", "RULE#001")
    damage(VALIDATION_RULE, indexed("validation-rule", *own, pattern="[0-9"))
    (finding,) = examine(store)
    assert (finding.severity, finding.check, finding.sk) == (Severity.ERROR, "unusable", "RULE#001")
    assert finding.what.startswith("pattern is no regular expression: ")
    assert "validation set SSN 1 --plan 'ACME TPA' pattern=REGEX" in finding.mend


def test_two_items_of_one_number(store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *(wire("CLIENT#W_Weekly", sk) for sk in ("STEP#100", "STEP#0100", "STEP#200")))
    damage(VALIDATION_RULE, *(wire("CATEGORY#W", sk) for sk in ("RULE#1", "RULE#01", "RULE#2")))
    assert sorted(one for one in told(store) if one[1] != "index-attributes-missing") == [
        ("error", "duplicate", "CATEGORY#W", "RULE#1"),
        ("error", "duplicate", "CLIENT#W_Weekly", "STEP#100"),
    ]
    with pytest.raises(ItemDecodeError):
        store.pipelines.steps("W", "Weekly")


def test_keys_of_another_width_alone_are_fine(store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *(indexed("pipeline-step", "W|Weekly", "CLIENT#W_Weekly", f"STEP#{n}") for n in (1, 20, 300)))
    assert examine(store) == ()


def test_items_without_index_attributes_are_counted_and_mended_by_upgrade(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, *(wire(f"CLIENT#P{n}", "CALC#match") for n in range(30)))
    (finding,) = examine(store)
    assert (finding.severity, finding.check, finding.count) == (Severity.WARNING, "index-attributes-missing", 30)
    assert "create --upgrade" in finding.mend
    store.create_tables(upgrade=True)
    assert examine(store) == ()


def test_an_item_with_wrong_index_attributes(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, indexed("calculation-rule", "OTHER|match", "CLIENT#P", "CALC#match"))
    damage(CALCULATION_RULE, wire("CLIENT#Q", "CALC#match", bs_kind="calculation-rule"))
    damage(PLAN_HOLD, wire("PLAN#P", "HOLD#1", released="2024-01-15", bs_open="HOLD", bs_open_created="\x1f1"))
    assert sorted(told(store)) == [
        ("error", "index-attributes-wrong", "CLIENT#P", "CALC#match"),
        ("error", "index-attributes-wrong", "CLIENT#Q", "CALC#match"),
        ("warning", "index-attributes-wrong", "PLAN#P", "HOLD#1"),
    ]
    # What it says mends it does.
    store.create_tables(upgrade=True)
    assert told(store) == []


@pytest.mark.parametrize(
    ("kind", "pk", "sk"),
    [
        (VALIDATION_RULE, "CATEGORY#SSN#CLIENT#GLOBAL", "RULE#001"),
        (VALIDATION_RULE, "CATEGORY#SSN#CLIENT#DEFAULT", "RULE#001"),
        (CALCULATION_RULE, "CLIENT#DEFAULT", "CALC#match"),
        (PIPELINE_STEP, "CLIENT#GLOBAL_Weekly", "STEP#0100"),
        (CLIENT_CONFIG, "CLIENT#GLOBAL_Weekly", "CONFIG"),
        (PLAN_HOLD, "PLAN#GLOBAL", "HOLD#1"),
        (CALCULATION_RULE, "CLIENT#A\tB", "CALC#match"),
    ],
)
def test_a_key_that_stands_for_something_else_than_it_seems(
    kind: Any, pk: str, sk: str, store: Store, damage: Damage
) -> None:
    damage(kind, wire(pk, sk))
    assert told(store) == [("warning", "key-ambiguous", pk, sk)]


@pytest.mark.parametrize(
    ("kind", "pk", "sk"),
    [
        (PIPELINE_STEP, ACME, "STEP#first"),
        (CALCULATION_RULE, "CLIENT#ACME", "CALC#a#b"),
        (VALIDATION_RULE, "CATEGORY#SSN", "RULE#x"),
    ],
)
def test_a_key_that_breaks_the_reads_of_its_partition(
    kind: Any, pk: str, sk: str, store: Store, damage: Damage
) -> None:
    damage(kind, wire(pk, sk))
    assert told(store) == [("error", "key-unreadable", pk, sk)]
    reads: dict[str, Callable[[], object]] = {
        ACME: lambda: store.pipelines.steps("ACME", "BiWeeklyFri"),
        "CLIENT#ACME": lambda: store.calculation_rules.all("ACME"),
        "CATEGORY#SSN": lambda: store.validation_rules.for_category("SSN"),
    }
    with pytest.raises(ItemDecodeError):
        reads[pk]()


def test_an_item_of_no_kind_is_information(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, wire("CLIENT#ACME", "NOTE#1"))
    damage(BATCH_STATE, wire("BATCH#b1", "LOCK"))
    for sk in ("RESULT#match_step", "CLAIM#worker", "AUDIT#2024-01-15", "FREE#RESULT#a#b"):
        damage(BATCH_STATE, wire("BATCH#b1", sk))
    findings = examine(store)
    assert {(finding.severity, finding.check) for finding in findings} == {(Severity.INFO, "key-unknown")}
    assert is_healthy(findings)


@pytest.mark.parametrize("layout", [TableLayout.PER_TABLE], indirect=True)
def test_an_item_in_the_wrong_table(store: Store, damage: Damage) -> None:
    damage(IRS_LIMITS, wire("CLIENT#ACME", "CALC#match"))
    assert told(store) == [("warning", "unreachable", "CLIENT#ACME", "CALC#match")]


def test_limits_under_another_spelling_of_the_year(store: Store, damage: Damage) -> None:
    damage(IRS_LIMITS, indexed("irs-limits", "GLOBAL|2026", "YEAR#02026", "LIMITS"))
    assert told(store) == [("warning", "unreachable", "YEAR#02026", "LIMITS")]


def test_a_configuration_without_a_pipeline(store: Store, damage: Damage) -> None:
    damage(CLIENT_CONFIG, indexed("client-config", "ACME|Biweekley", "CLIENT#ACME_Biweekley", "CONFIG"))
    damage(ACH_CONFIG, indexed("ach-config", "DEFAULT|Never", "CLIENT#DEFAULT_Never", "ACH"))  # some plan may have it
    assert told(store) == [("warning", "unreachable", "CLIENT#ACME_Biweekley", "CONFIG")]
    damage(PIPELINE_STEP, indexed("pipeline-step", "ACME|Biweekley", "CLIENT#ACME_Biweekley", "STEP#0100"))
    assert examine(store) == ()


@pytest.mark.parametrize(
    ("kind", "pk", "sk", "plan"),
    [
        (VENDOR_SCHEMA, "VENDOR#V", "SCHEMA#f", "GLOBAL"),
        (VENDOR_SCHEMA, "VENDOR#V", "SCHEMA#f", "A#B"),
        (BATCH_STATE, "BATCH#b", "STATE", "DEFAULT"),
    ],
)
def test_an_item_of_no_plan(kind: Any, pk: str, sk: str, plan: str, store: Store, damage: Damage) -> None:
    damage(kind, wire(pk, sk, plan_id=plan))
    assert told(store) == [("warning", "unreachable", pk, sk)]


def test_a_rule_that_switches_off_what_is_not_there_is_fine(store: Store, damage: Damage) -> None:
    key = ("CATEGORY#SSN#CLIENT#ACME", "RULE#950")
    damage(VALIDATION_RULE, indexed("validation-rule", "ACME|SSN", *key, enabled={"BOOL": False}))
    assert examine(store) == ()


def test_of_much_damage_some_is_listed_and_the_rest_counted(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, *(wire(f"CLIENT#P{n:04d}", "CALC#match", max_pct="x") for n in range(2500)))
    findings = examine(store)
    assert len(findings) == LISTED + 1
    assert sum(finding.count for finding in findings) == 2500
    assert findings[-1].count == 2500 - LISTED


@pytest.mark.slow
@pytest.mark.parametrize("layout", [TableLayout.PER_TABLE], indirect=True)
def test_the_memory_it_takes_does_not_grow_with_the_tables(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    table, scan = store.tables.name(CALCULATION_RULE), store.engine.scan

    def peak(pages: int) -> int:
        def many(asked: str, *, cursor: str | None = None, limit: int | None = None, **others: Any) -> Page:
            if asked != table or limit is not None:
                return scan(asked, cursor=cursor, limit=limit, **others)
            number = int(cursor or 0)
            items = [wire(f"CLIENT#P{number:02d}{n:04d}", "CALC#match", version="x" * (n % 2)) for n in range(500)]
            return Page(items, str(number + 1) if number + 1 < pages else None)

        monkeypatch.setattr(store.engine, "scan", many)
        tracemalloc.start()
        assert sum(one.count for one in examine(store)) == pages * 500
        bytes_used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return bytes_used

    assert peak(24) < 1.5 * peak(8)


def test_progress_is_told_of_every_item(store: Store) -> None:
    counts: list[int] = []
    examine(store, progress=counts.append)
    assert sum(counts) == sum(status.item_count for status in store.describe_tables())


def test_nothing_is_changed(store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, stamped(1, "a"), wire("CLIENT#W_Weekly", "STEP#1"), wire("CLIENT#W_Weekly", "STEP#01"))
    tables = [spec.name for spec in store.tables.specs()]
    before = [store.engine.scan(table, limit=5000) for table in tables]
    examine(store)
    assert [store.engine.scan(table, limit=5000) for table in tables] == before
