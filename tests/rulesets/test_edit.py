"""One thing at a time: what KEY=VALUE means, and that only what was seen is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AlreadyExistsError,
    CalculationRule,
    ConflictError,
    InvalidEntityError,
    InvalidKeyError,
    PipelineNotFoundError,
    RuleNotFoundError,
    SeedError,
    Store,
    ValidationRule,
    VendorSchema,
    VersionConflictError,
)
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.rulesets import editing
from bluestar_store.rulesets.comparing import Action, Change
from bluestar_store.rulesets.loading import write_part
from bluestar_store.rulesets.plan_difference import diff_plans
from tests.seeded import seeded_store

MATCH = {"plan_id": "ACME", "calc_type": "match"}


@pytest.fixture
def store() -> Iterator[Store]:
    with seeded_store(demo=True) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        (CALCULATION_RULE, ["max_pct=5.50"], {"max_pct": Decimal("5.50")}),
        (CALCULATION_RULE, ["max_pct=0.12345678901234567890123456789012345678"], None),
        (CALCULATION_RULE, ["age_threshold=50", "formula="], {"age_threshold": 50, "formula": ""}),
        (CALCULATION_RULE, ["formula=a = b", "description=null"], {"formula": "a = b", "description": None}),
        (CALCULATION_RULE, ["formula=7"], {"formula": "7"}),
        (VALIDATION_RULE, ["enabled=false", "check=true"], {"enabled": False, "check": "true"}),
        (IRS_LIMITS, ["max_401k=25000"], {"max_401k": Decimal(25000)}),
        (CLIENT_CONFIG, ["deadline_hour=0"], {"deadline_hour": 0}),
        (ACH_CONFIG, ["account_number=00123"], {"account_number": "00123"}),
        (VENDOR_SCHEMA, ["created=2024-01-15"], {"created": datetime(2024, 1, 15, tzinfo=UTC)}),
        (VENDOR_SCHEMA, ['columns=["A"]', 'mapping={"A": "ssn"}'], {"columns": ("A",), "mapping": {"A": "ssn"}}),
        (VENDOR_SCHEMA, ["plan_id=ACME"], {"plan_id": "ACME"}),
    ],
)
def test_values_have_the_types_of_their_fields(kind: Any, texts: list[str], values: dict[str, Any] | None) -> None:
    found = editing.values_of(kind, texts)
    if values is None:
        values = {"max_pct": Decimal(texts[0].partition("=")[2])}
    assert found == values
    for name, value in values.items():
        assert name == "mapping" or isinstance(found[name], type(value))


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (CALCULATION_RULE, "max_pc=1", "'max_pc' is no field of CalculationRule; did you mean max_pct?"),
        (CALCULATION_RULE, "zzz=1", "expected formula, max_pct, age_threshold, description"),
        (CALCULATION_RULE, "plan_id=BETA", "plan_id is a part of the key"),
        (CALCULATION_RULE, "max_pct", "the 1st is not KEY=VALUE"),
        (CALCULATION_RULE, "max_pct=six", "max_pct is no number"),
        (CALCULATION_RULE, "max_pct=NaN", "max_pct is no number"),
        (CALCULATION_RULE, "max_pct=", "max_pct is no number"),
        (CALCULATION_RULE, "max_pct=1E999", "outside DynamoDB's range"),
        (CALCULATION_RULE, "age_threshold=5.0", "age_threshold is a whole number"),
        (CALCULATION_RULE, "age_threshold=1_0", "age_threshold is a whole number"),
        (CALCULATION_RULE, "age_threshold=" + "9" * 5000, "age_threshold is a whole number"),
        (CALCULATION_RULE, "age_threshold=-1", "age_threshold should be greater"),
        (VALIDATION_RULE, "enabled=yes", "enabled is either true or false"),
        (VALIDATION_RULE, "enabled=null", "enabled always has a value"),
        (CLIENT_CONFIG, "deadline_hour=24", "deadline_hour should be less"),
        (VENDOR_SCHEMA, "created=soon", "created is no ISO 8601"),
        (VENDOR_SCHEMA, "mapping={", "mapping is no JSON"),
        (VENDOR_SCHEMA, "columns=[1]", "columns should be a valid string"),
    ],
)
def test_what_is_no_value_is_refused(kind: Any, text: str, said: str) -> None:
    with pytest.raises(InvalidEntityError) as caught:
        editing.values_of(kind, [text])
    assert said in str(caught.value)


def test_every_mistake_is_told_and_no_value_shown() -> None:
    with pytest.raises(InvalidEntityError) as caught:
        editing.values_of(
            ACH_CONFIG, ["account_number", "123456789", "acount_number=123456789", "bank_id=a", "bank_id=123456789"]
        )
    assert str(caught.value) == (
        "the 1st is not KEY=VALUE; the 2nd is not KEY=VALUE; "
        "'acount_number' is no field of AchConfig; did you mean account_number?; bank_id is given twice"
    )


def test_a_change_keeps_the_other_values_and_foreign_attributes(store: Store) -> None:
    table = store.tables.name(CALCULATION_RULE)
    item = {"PK": {"S": "CLIENT#NEW"}, "SK": {"S": "CALC#x"}, "note": {"S": "theirs"}, "formula": {"S": "a"}}
    store.engine.put_many(table, [item])
    part = editing.changed(store, CALCULATION_RULE, {"plan_id": "NEW", "calc_type": "x"}, {"max_pct": Decimal(5)})
    (entry,) = part.entries
    assert (entry.level, entry.action, entry.changes) == ("NEW", Action.CHANGE, (Change("max_pct", None, Decimal(5)),))
    write_part(store, part)
    stored = store.calculation_rules.get("NEW", "x")
    assert (stored.formula, stored.max_pct, stored.version) == ("a", Decimal(5), 1)
    assert stored.extra == {"note": "theirs"}


def test_what_is_not_there_is_made_at_that_level_only(store: Store) -> None:
    part = editing.changed(store, CALCULATION_RULE, {"plan_id": "NEWCO", "calc_type": "match"}, {"max_pct": Decimal(3)})
    assert (part.stored, part.entries[0].action) == ((), Action.ADD)
    write_part(store, part)
    assert store.calculation_rules.get("NEWCO", "match").formula is None
    assert store.calculation_rules.get("OTHER", "match").max_pct == 6


def test_somebody_elses_write_in_between_is_a_conflict(store: Store) -> None:
    change = editing.changed(store, CALCULATION_RULE, MATCH, {"max_pct": Decimal(5)})
    delete = editing.deleted(store, CALCULATION_RULE, MATCH)
    store.calculation_rules.put(store.calculation_rules.get("ACME", "match").model_copy(update={"formula": "x"}))
    for part in (change, delete):
        with pytest.raises(VersionConflictError):
            write_part(store, part)
    new = {"plan_id": "NEWCO", "calc_type": "match"}
    add = editing.changed(store, CALCULATION_RULE, new, {"max_pct": Decimal(5)})
    store.calculation_rules.put(CalculationRule(plan_id="NEWCO", calc_type="match"))
    with pytest.raises(AlreadyExistsError):
        write_part(store, add)


def test_a_rule_is_deleted_and_the_plan_falls_back(store: Store) -> None:
    write_part(store, editing.deleted(store, CALCULATION_RULE, MATCH))
    assert store.calculation_rules.get("ACME", "match").scope == "GLOBAL"
    with pytest.raises(RuleNotFoundError, match="CLIENT#ACME CALC#match is stored"):
        editing.deleted(store, CALCULATION_RULE, MATCH)


@pytest.mark.parametrize(
    ("kind", "identity", "values", "error"),
    [
        (CALCULATION_RULE, {"plan_id": "A#B", "calc_type": "x"}, {}, InvalidKeyError),
        (CALCULATION_RULE, {"plan_id": "DEFAULT", "calc_type": "x"}, {}, InvalidKeyError),
        (CLIENT_CONFIG, {"plan_id": "A", "pay_freq": "W_X"}, {}, InvalidKeyError),
        (VALIDATION_RULE, {"category": "SSN", "plan_id": "A", "number": 1}, {"pattern": "("}, InvalidEntityError),
        (VENDOR_SCHEMA, {"vendor_id": "V", "fingerprint": "f"}, {"columns": ("A",)}, InvalidEntityError),
    ],
)
def test_what_could_not_be_stored_or_used_is_refused(
    store: Store, kind: Any, identity: dict[str, Any], values: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        editing.changed(store, kind, identity, values)


def test_a_vendor_schema_of_another_programs_can_be_changed_where_it_lies(store: Store) -> None:
    store.vendor_schemas.put(VendorSchema(vendor_id="V", fingerprint="v1", columns=("A",)))
    identity = {"vendor_id": "V", "fingerprint": "v1"}
    write_part(store, editing.changed(store, VENDOR_SCHEMA, identity, {"mapping": {"A": "ssn"}, "columns": ("A",)}))
    assert store.vendor_schemas.get("V", "v1").mapping == {"A": "ssn"}
    with pytest.raises(InvalidEntityError, match="does not belong to the columns"):
        editing.changed(store, VENDOR_SCHEMA, identity, {"columns": ("B",)})


def test_a_new_vendor_schema_is_the_newest(store: Store) -> None:
    identity = {"vendor_id": "PAYWELL", "fingerprint": VendorSchema.fingerprint_of(["A"])}
    write_part(store, editing.changed(store, VENDOR_SCHEMA, identity, {"columns": ("A",)}))
    assert store.vendor_schemas.for_plan("PAYWELL", "NEWCO", "Weekly").columns == ("A",)


def steps_file(path: Path, *steps: Any) -> Path:
    path.write_text(json.dumps({"$schema": "x", "steps": steps}), encoding="utf-8")
    return path


def test_a_pipeline_from_a_file_belongs_to_the_plan_that_is_named(store: Store, tmp_path: Path) -> None:
    path = steps_file(tmp_path / "mine.json", {"step_order": 200}, {"step_order": 100, "plan_id": "BETA"})
    steps = editing.read_steps(path, "BETA", "Weekly")
    assert [(step.plan_id, step.pay_freq, step.step_order) for step in steps] == [
        ("BETA", "Weekly", 100),
        ("BETA", "Weekly", 200),
    ]
    part = editing.replaced_pipeline(store, "BETA", "Weekly", steps)
    assert part.stored == ()  # DEFAULT's are not the plan's own
    write_part(store, part)
    assert store.pipelines.steps("BETA", "Weekly") == steps
    write_part(store, editing.removed_pipeline(store, "BETA", "Weekly"))
    assert store.pipelines.steps("BETA", "Weekly")[0].scope == "DEFAULT"
    with pytest.raises(PipelineNotFoundError, match="of its own"):
        editing.removed_pipeline(store, "BETA", "Weekly")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "line 1, column 2"),
        ("null", "is empty"),
        ("[]", "must be an object with steps"),
        ('{"steps": []}', "holds no steps"),
        ("{}", "holds no steps"),
        ('{"steps": {}}', "#/steps: must be a list"),
        ('{"steps": [{"step_order": 1}, {"step_order": 1}]}', "is the same as /steps/0"),
        ('{"steps": [{"step_order": 1, "plan_id": "X"}]}', "step 1 is of X Weekly, not of BETA Weekly"),
        ('{"steps": [{"steporder": 1}]}', "did you mean step_order?"),
        ('{"rules": [], "steps": [{"step_order": 1}]}', "#/rules: is not known here"),
    ],
)
def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SeedError) as caught:
        editing.read_steps(path, "BETA", "Weekly")
    assert said in str(caught.value)


@pytest.mark.parametrize("what", ["changed", "gone", "new"])
def test_a_step_that_moves_meanwhile_keeps_a_pipeline_from_being_replaced(
    store: Store, tmp_path: Path, what: str
) -> None:
    """Also a step that the new pipeline does not have: it was not seen as it is now."""
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    wanted = editing.read_steps(steps_file(tmp_path / "mine.json", {"step_order": 100}), "ACME", "BiWeeklyFri")
    part = editing.replaced_pipeline(store, "ACME", "BiWeeklyFri", wanted)
    changed = {
        "changed": [*steps[:-1], steps[-1].model_copy(update={"agent": "X"})],
        "gone": steps[:-1],
        "new": [*steps, steps[-1].model_copy(update={"step_order": 9000})],
    }[what]
    store.pipelines.replace("ACME", "BiWeeklyFri", changed)
    with pytest.raises(ConflictError):
        write_part(store, part)
    assert len(store.pipelines.steps("ACME", "BiWeeklyFri")) == len(changed)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"column": []}', '{"columns": "A"}', '{"mapping": {"A": 1}}', '{"columns": ["A"], "x": 1}']
)
def test_a_file_that_holds_no_columns_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "columns.json").write_text(content, encoding="utf-8")
    with pytest.raises(SeedError):
        editing.read_columns(tmp_path / "columns.json")


def test_columns_and_mapping_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "columns.json").write_text('{"$schema": "x", "columns": ["A"], "mapping": {"A": "ssn"}}')
    assert editing.read_columns(tmp_path / "columns.json") == {"columns": ("A",), "mapping": {"A": "ssn"}}


def test_two_plans_without_anything_of_their_own_do_not_differ(store: Store) -> None:
    assert diff_plans(store, "NEWCO", "OTHER") == ()
    assert diff_plans(store, "ACME", "ACME") == ()
    for plan in ("GLOBAL", "DEFAULT", ""):
        with pytest.raises(InvalidKeyError):
            diff_plans(store, plan, "ACME")


def test_two_plans_differ_in_what_applies_to_them(store: Store) -> None:
    store.validation_rules.put(ValidationRule(category="SSN", plan_id="BETA", number=1, enabled=False))
    found = {(one.kind, *one.item.values()): one for one in diff_plans(store, "NEWCO", "BETA")}
    assert Change("max_pct", Decimal(6), Decimal("4.25")) in found["calculation-rule", "match"].changes
    assert found["validation-rule", "SSN", 1].other is None  # switched off
    assert found["ach-config", "Weekly"].one is None
    assert not any(kind == "pipeline-step" for kind, *_ in found)


def test_a_step_is_known_by_its_subroutine_whatever_its_number(store: Store) -> None:
    steps = store.pipelines.steps("NEWCO", "Weekly")
    moved = [
        step.model_copy(update={"plan_id": "NEWCO", "step_order": step.step_order + 50 * (step.step_order > 300)})
        for step in steps
        if step.step_order != 300
    ]
    store.pipelines.replace("NEWCO", "Weekly", moved)
    found = diff_plans(store, "NEWCO", "OTHER")
    assert {difference.kind for difference in found} == {"pipeline-step"}
    assert [d.item["subroutine_name"] for d in found if d.one is None] == [steps[2].subroutine_name]
    assert {c.attribute for d in found if d.one for c in d.changes} == {"step_order"}


def test_the_rules_of_a_type_are_globals_and_then_each_plans(store: Store) -> None:
    assert [rule.plan_id for rule in store.rules_of_type("match")] == ["GLOBAL", "ACME", "BETA"]
    assert store.rules_of_type("mat") == ()
    with pytest.raises(InvalidKeyError):
        store.rules_of_type("a#b")
