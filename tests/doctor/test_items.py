"""Damage of every kind among items, in both layouts: found, named, and nothing else is."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import (
    BatchState,
    CalculationRule,
    IrsLimits,
    ItemDecodeError,
    PipelineChangingError,
    PipelineStep,
    PlanHold,
    Store,
    TableLayout,
    Trail,
)
from bluestar_store.doctor import Severity, examine, is_healthy
from bluestar_store.doctor.findings import LISTED
from bluestar_store.doctor.pipelines import fault
from bluestar_store.keys import Key
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.batches import BATCH_STATE, STEP_RESULT
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Delete, Item, Page
from tests.doctor.conftest import Damage, told
from tests.store_suite.side_door import wire

ACME = "CLIENT#ACME_BiWeeklyFri"


def indexed(kind: str, level: str, pk: str, sk: str, **attributes: Any) -> Item:
    """An item with the index attributes that it should have."""
    return wire(pk, sk, bs_kind=kind, bs_level=level.replace("|", "\x1f"), **attributes)


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


@pytest.mark.parametrize(
    ("plan", "freq", "seed", "without"),
    [
        ("DEFAULT", "Weekly", "bluestar-store seed --overwrite, or with --from FOLDER,", "have none"),
        ("A B", "Weekly", "bluestar-store seed --overwrite --from FOLDER,", "the plan then has DEFAULT's"),
    ],
)
def test_the_advice_about_a_pipeline_names_it_and_fits_its_level(
    plan: str, freq: str, seed: str, without: str, store: Store, damage: Damage
) -> None:
    step = store.pipelines.steps("DEFAULT", freq)[0]
    key = Key(f"CLIENT#{plan}_{freq}", step.origin.key.sk) if step.origin else None
    assert key is not None
    damage(PIPELINE_STEP, indexed("pipeline-step", f"{plan}|{freq}", *key, bs_revision="x", bs_steps={"N": "40"}))
    (finding,) = examine(store)
    named = f"'{plan}'" if " " in plan else plan
    for text in (seed, f"pipeline replace {named} {freq} FILE", f"pipeline remove {named} {freq},", without):
        assert text in finding.mend


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


def stamped(number: int, revision: str | None, count: int = 3) -> Item:
    own = {"bs_revision": revision, "bs_steps": {"N": str(count)}} if revision else {}
    return indexed("pipeline-step", "P|Weekly", "CLIENT#P_Weekly", f"STEP#{number:04d}", **own)


@pytest.mark.parametrize(
    "steps",
    [
        [stamped(1, "a"), stamped(2, "b"), stamped(3, "b")],
        [stamped(1, "a"), stamped(2, "a")],
        [stamped(1, "a"), stamped(2, None)],
    ],
    ids=["two revisions", "a step lost", "a step lost among others'"],
)
@pytest.mark.usefixtures("impatient")
def test_a_pipeline_that_is_not_whole(steps: list[Item], store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *steps)
    assert told(store) == [("error", "pipeline", "CLIENT#P_Weekly", None)]
    with pytest.raises(PipelineChangingError):
        store.pipelines.steps("P", "Weekly")


@pytest.mark.parametrize(
    "steps",
    [
        [stamped(n, "a") for n in range(3)],
        [stamped(n, None) for n in range(3)],
        [stamped(1, "a"), stamped(2, None), stamped(3, "a")],
        [stamped(1, "a"), stamped(2, "a"), stamped(3, "a"), stamped(4, None)],
        [stamped(n, "a") for n in range(4)],
    ],
    ids=["ours", "others'", "one overwritten by others", "one added by others", "one copied by others"],
)
def test_a_pipeline_that_readers_take_is_healthy(steps: list[Item], store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *steps)
    assert store.pipelines.steps("P", "Weekly")
    assert examine(store) == ()


def fresh(steps: Iterable[PipelineStep]) -> list[PipelineStep]:
    return [PipelineStep.model_validate(dict(step)) for step in steps]


@pytest.mark.parametrize("left", [11, 0], ids=["one step", "all steps"])
@pytest.mark.usefixtures("impatient")
def test_a_pipeline_of_ours_that_another_program_took_steps_from(left: int, store: Store) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    table = store.tables.name(PIPELINE_STEP)
    store.engine.write(*(Delete(table, step.origin.key) for step in steps[left:] if step.origin is not None))
    found = examine(store)
    assert [(one.check, one.table, one.pk, one.sk) for one in found] == [("pipeline", table, ACME, None)]
    assert found[0].what == f"has lost {12 - left} of its 12 steps"
    for command in ("pipeline replace", "pipeline remove", "seed --overwrite"):
        assert f"bluestar-store {command}" in found[0].mend
    with pytest.raises(PipelineChangingError):
        store.pipelines.steps("ACME", "BiWeeklyFri", fresh=True)
    store.pipelines.replace("ACME", "BiWeeklyFri", fresh(steps))  # what it says mends it does
    assert examine(store) == ()


def test_a_pipeline_of_ours_that_another_program_wrote_again_in_part(store: Store, damage: Damage) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    bare = [
        indexed("pipeline-step", "ACME|BiWeeklyFri", *step.origin.key) for step in steps[:11] if step.origin is not None
    ]
    damage(PIPELINE_STEP, *bare)
    assert steps[11].origin is not None
    store.engine.write(Delete(store.tables.name(PIPELINE_STEP), steps[11].origin.key))
    assert told(store) == [("error", "pipeline", ACME, None)]


def test_a_pipeline_that_was_removed_is_no_damage(store: Store) -> None:
    store.pipelines.remove("ACME", "BiWeeklyFri")
    assert examine(store) == ()


def test_a_pipeline_whose_steps_lie_on_two_pages_is_told_about_once(
    store: Store, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(PIPELINE_STEP, *(stamped(n, "a", 6) for n in range(5)))
    monkeypatch.setattr("bluestar_store.engines.memory.tables.PAGE_ITEMS", 2)
    assert told(store) == [("error", "pipeline", "CLIENT#P_Weekly", None)]


def test_a_pipeline_that_is_being_replaced_is_no_damage(
    store: Store, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan and the first query see it half done; by the time that its head is read again, it is through."""
    old, new = [stamped(n, "a") for n in range(3)], [stamped(n, "b") for n in range(3)]
    damage(PIPELINE_STEP, new[0], *old[1:])
    head = Key("TRAIL#processing-pipeline#CLIENT#P_Weekly", "CHAIN")
    isolated, looks = store.engine.get_isolated, list[Key]()

    def finish(table: str, keys: Iterable[Key]) -> Any:
        asked = list(keys)
        looks.extend(key for key in asked if key == head)
        if len(looks) == 2:
            damage(CHAIN_HEAD, wire(*head, bs_steps={"N": "3"}))
            damage(PIPELINE_STEP, *new)
        return isolated(table, asked)

    monkeypatch.setattr(store.engine, "get_isolated", finish)
    assert examine(store) == ()
    assert looks == [head] * 3


def test_a_pipeline_whose_count_is_no_number_counts_as_without() -> None:
    assert fault([wire("CLIENT#P_Weekly", "STEP#0001", bs_revision="a", bs_steps="three")], 5) is None


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


@pytest.mark.parametrize("layout", [TableLayout.EIGHT], indirect=True)
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
@pytest.mark.parametrize("layout", [TableLayout.EIGHT], indirect=True)
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


def test_digests_of_other_masked_attributes_that_take_no_key_are_listed(store: Store, damage: Damage) -> None:
    plain = {"S": "0" * 64}
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#match", employee_ssn="123456789"))
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#text", description="as for 123-45-6789"))
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#none", description="nothing"))
    for name in ("match", "text", "none", "gone"):
        damage(BATCH_STATE, wire(f"BATCH#{name}", "STATE"))
        items = {f"calculation-rules/CLIENT#A/CALC#{name}": plain}
        damage(BATCH_STATE, wire(f"BATCH#{name}", "RULES", items={"M": items}))
        details = {"M": {"item": {"S": f"CALC#{name}"}, "digest_after": plain}}
        damage(BATCH_STATE, wire(f"TRAIL#calculation-rules#CLIENT#{name}", "AUDIT#00000001", details=details, hash="0"))
    changed = {"M": {"ssn": {"M": {"before": {"S": "*****6789"}}}}}
    gone: dict[str, Any] = {"item": {"S": "CALC#gone"}, "digest_before": plain, "changed": changed}
    damage(BATCH_STATE, wire("TRAIL#calculation-rules#CLIENT#A", "AUDIT#00000001", details={"M": gone}, hash="0"))
    for number, result in enumerate(("123-45-6789", "nothing")):
        damage(
            BATCH_STATE, wire("BATCH#none", f"RESULT#000{number}", result={"M": {"text": {"S": result}}}, digest="0")
        )
    damage(BATCH_STATE, wire("BATCH#none", "AUDIT#00000001", details={"M": {"ssn": {"S": "123456789"}}}, hash="0"))
    places = [(finding.pk, finding.sk) for finding in examine(store) if finding.check == "digest-plain"]
    assert sorted(places) == [
        ("BATCH#match", "RULES"),
        ("BATCH#none", "AUDIT#00000001"),
        ("BATCH#none", "RESULT#0000"),
        ("BATCH#text", "RULES"),
        ("TRAIL#calculation-rules#CLIENT#A", "AUDIT#00000001"),
    ]


def plainly(store: Store) -> list[tuple[str | None, str | None]]:
    return sorted((finding.pk, finding.sk) for finding in examine(store) if finding.check == "digest-plain")


def test_digests_of_what_hid_nothing_yet_or_no_longer_are_not_listed(store: Store) -> None:
    rules = store.calculation_rules
    rules.put(CalculationRule(plan_id="ACME", calc_type="late", description="nothing"))
    texts = ("nothing", "not yet", "for 219-09-9999", "for 219-09-9998", "none", "for 219-09-9999")
    for number, text in enumerate(texts):
        rules.put(rules.get("ACME", "late").model_copy(update={"description": text}))
        rules.put(rules.get("ACME", "late").model_copy(update={"max_pct": Decimal(number)}))  # and the text stays
        store.batches.start("ACME", "BiWeeklyFri", 2026, f"b{number}")
        assert plainly(store) == []
    store.irs_limits.put(IrsLimits(year=2031, comp_limit=Decimal(111000025)))  # a number of a field that has numbers
    entries = store.audit.entries(Trail(table="calculation-rules", partition="CLIENT#ACME"))
    made = [str((entry.details or {})["digest_after"]).startswith("hmac-") for entry in entries]
    assert made[-8:] == [True] * 4 + [False] * 2 + [True] * 2
    assert not any(made[:-8])
    assert plainly(store) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_plain_digest_of_what_hid_something_is_listed_whatever_the_other_one_is(
    store: Store, damage: Damage, when: str
) -> None:
    other = "after" if when == "before" else "before"
    plain, keyed = {"S": "0" * 64}, {"S": f"hmac-sha256:{'0' * 16}:{'0' * 64}"}
    changed = {"description": {"M": {when: {"S": "for 219-09-9999"}, other: {"S": "nothing"}}}}
    pk = "TRAIL#calculation-rules#CLIENT#A"
    for number, (mine, others) in enumerate([(plain, plain), (plain, keyed), (keyed, plain)]):
        details: dict[str, Any] = {"item": {"S": f"CALC#{number}"}, "changed": {"M": changed}}
        details |= {f"digest_{when}": mine, f"digest_{other}": others}
        damage(BATCH_STATE, wire(pk, f"AUDIT#0000000{number}", details={"M": details}, hash="0", salt="0"))
    assert plainly(store) == [(pk, "AUDIT#00000000"), (pk, "AUDIT#00000001")]


def test_a_plain_digest_of_a_text_that_stayed_is_listed(store: Store, damage: Damage) -> None:
    damage(CALCULATION_RULE, wire("CLIENT#A", "CALC#x", description="nothing by now"))
    store.calculation_rules.put(
        store.calculation_rules.get("A", "x").model_copy(update={"description": "now 219-09-9999"})
    )
    pk = "TRAIL#calculation-rules#CLIENT#A"
    assert plainly(store) == []
    hiding = {"S": "it was 219-09-9999"}
    for number, changed in (
        (2, {"max_pct": {"M": {"after": {"N": "1"}}}}),
        (3, {"description": {"M": {"before": hiding}}}),
    ):
        details: dict[str, Any] = {"item": {"S": "CALC#x"}, "changed": {"M": changed}}
        details |= {"digest_after": {"S": f"{number}" * 64}} if number == 2 else {}
        damage(BATCH_STATE, wire(pk, f"AUDIT#0000000{number}", details={"M": details}, hash="0", salt="0"))
    damage(BATCH_STATE, wire("BATCH#old", "STATE"))
    pinned = {"calculation-rules/CLIENT#A/CALC#x": {"S": "2" * 64}}
    damage(BATCH_STATE, wire("BATCH#old", "RULES", items={"M": pinned}))
    assert plainly(store) == [("BATCH#old", "RULES"), (pk, "AUDIT#00000002")]


def test_digests_of_bank_accounts_that_take_no_key_are_listed(store: Store, damage: Damage) -> None:
    plain, keyed = {"S": "0" * 64}, {"S": f"hmac-sha256:{'0' * 16}:{'0' * 64}"}
    for batch_id, made in (("old", plain), ("new", keyed)):
        items = {"agent-config/CLIENT#A/B_Weekly/ACH": made, "calculation-rules/CLIENT#GLOBAL/CALC#match": plain}
        damage(BATCH_STATE, wire(f"BATCH#{batch_id}", "STATE"))
        damage(BATCH_STATE, wire(f"BATCH#{batch_id}", "RULES", items={"M": items}))
        for sk in ("ACH", "CONFIG"):
            details = {"M": {"item": {"S": sk}, "digest_after": made}}
            pk = f"TRAIL#agent-config#CLIENT#{batch_id}-{sk}_Weekly"
            damage(BATCH_STATE, wire(pk, "AUDIT#00000001", details=details, hash="0"))
    found = examine(store)
    assert {finding.check for finding in found if finding.severity is not Severity.INFO} == set()
    places = [(finding.pk, finding.sk) for finding in found if finding.check == "digest-plain"]
    assert sorted(places) == [
        ("BATCH#old", "RULES"),
        ("TRAIL#agent-config#CLIENT#old-ACH_Weekly", "AUDIT#00000001"),
    ]
