"""Checks of meaning: refused where rules are written, declared once beside the field, and never made by a read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AchConfig,
    CalculationRule,
    ClientConfig,
    ConfigurationError,
    Entity,
    InvalidEntityError,
    IrsLimits,
    PipelineStep,
    SeedError,
    Settings,
    Store,
    VendorSchema,
    seeding,
)
from bluestar_store.checks.fields import FREQUENCY, NAMES
from bluestar_store.checks.meaning import ALL, Level
from bluestar_store.checks.words import is_near
from bluestar_store.doctor import examine
from bluestar_store.protocols import Put
from bluestar_store.repositories.changes import new_item
from bluestar_store.rulesets.reading import RuleSet
from tests.stores.meaning import check, kind_of, store, write_rule_set

__all__ = ["store"]  # fixtures


def ach(routing_number: str) -> AchConfig:
    return AchConfig(plan_id="ACME", pay_freq="Weekly", routing_number=routing_number)


def rule(**values: Any) -> CalculationRule:
    return CalculationRule(plan_id="ACME", calc_type="match", **values)


def limits(**values: Any) -> IrsLimits:
    return IrsLimits(**{"year": 2027} | values)


def schema(mapping: dict[str, str], *columns: str) -> VendorSchema:
    columns = columns or ("SSN", "Gross Pay")
    return VendorSchema(
        vendor_id="V", fingerprint=VendorSchema.fingerprint_of(columns), columns=columns, mapping=mapping
    )


WRONG = {
    "check digit": (ach("021000022"), "routing_number has a check digit that is wrong"),
    "no routing number": (ach("12345"), "routing_number is no routing number: nine digits"),
    "zeros": (ach("000000000"), "routing_number has a check digit that is wrong"),
    "over 100 %": (rule(max_pct=Decimal(600)), "max_pct is not from 0 to 100 %"),
    "under 0 %": (rule(max_pct=Decimal("-0.1")), "max_pct is not from 0 to 100 %"),
    "severity": (check(severity="ERORR"), "severity 'ERORR' is no known severity; did you mean ERROR?"),
    "another severity": (check(severity="FATAL"), "'FATAL' is no known severity; expected ERROR, WARNING, INFO"),
    "category": (check(category="SNS"), "category 'SNS' is no known category; did you mean SSN?"),
    "pattern": (check(pattern="("), "pattern is no regular expression"),
    "frequency": (
        ClientConfig(plan_id="ACME", pay_freq="BiWeekyFri"),
        "pay_freq 'BiWeekyFri' is no known frequency; did you mean BiWeeklyFri?",
    ),
    "case": (ClientConfig(plan_id="ACME", pay_freq="weekly"), "did you mean Weekly?"),
    "no formula": (rule(formula="ee_deferral_pct *"), "formula is no formula: invalid syntax"),
    "name": (
        rule(formula="ee_deferal_pct * compensation"),
        "formula uses 'ee_deferal_pct', which is no known name; did you mean ee_deferral_pct?",
    ),
    "limit": (rule(formula="limits.catchup"), "'catchup', which is no known limit; did you mean catch_up?"),
    "column": (schema({"SSNN": "ssn"}), "mapping is of 'SSNN', which is no column; did you mean SSN?"),
    "target": (schema({"SSN": "gros_comp"}), "mapping 'gros_comp' is no known field; did you mean gross_comp?"),
    "unseen": (
        ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="Fidel\u200bity"),
        "custodian contains a character that cannot be seen: U+200B ZERO WIDTH SPACE",
    ),
    "no target": (schema({"SSN": " "}), "mapping leads from 'SSN' to no field"),
    "one column twice": (
        schema({"SSN": "ssn", " ssn": "employee_id"}),
        "is of 'SSN' and of ' ssn', which are one column",
    ),
}


ODD = {
    "negative amount": (limits(max_401k=Decimal(-5)), "max_401k is not from 0 to 10000000 dollars"),
    "huge amount": (limits(comp_limit=Decimal("1E+40")), "comp_limit is not from 0 to 10000000 dollars"),
    "year to come": (limits(year=99999999999999), "year is not from 1974 to 2100"),
    "year before ERISA": (limits(year=1973), "year is not from 1974 to 2100"),
    "rule number": (check(number=99999999999999999999999999), "number is not from 0 to 999999"),
    "age": (rule(age_threshold=590), "age_threshold is not from 0 to 120 years"),
}


RIGHT = {
    "a file that has a column twice": schema({"SSN": "ssn", "ssn": "employee_id"}, "SSN", "ssn"),
    "routing number": ach("021000021"),
    "bounds": rule(max_pct=Decimal(100), age_threshold=0),
    "bounds of limits": limits(year=1974, max_401k=Decimal(0), comp_limit=Decimal(10_000_000)),
    "a high number": check(number=999_999),
    "another case": check(severity="error"),
    "a new category": check(category="SITE"),
    "a numbered category": check(category="SSN2"),
    "a new frequency": ClientConfig(plan_id="ACME", pay_freq="BiWeekly"),
    "a new field": schema({"SSN": "vesting_tier"}),
    "a name of an application's own": rule(formula="bonus_base * 2"),
}


def put_raw(store: Store, entity: Entity) -> None:
    """As a program that knows of no checks."""
    kind = kind_of(store, entity)
    store.engine.write(Put(store.tables.name(kind), new_item(kind, entity)))


@pytest.mark.parametrize("what", WRONG)
def test_a_write_of_what_is_wrong_is_refused(store: Store, what: str) -> None:
    entity, said = WRONG[what]
    with pytest.raises(InvalidEntityError) as caught:
        store.repository(kind_of(store, entity)).put(entity)
    assert said in str(caught.value)
    assert store.overrides("ACME") == ()


@pytest.mark.parametrize("what", ODD)
def test_a_write_of_what_is_odd_is_left_to_the_application(store: Store, what: str) -> None:
    entity, _ = ODD[what]
    assert store.repository(kind_of(store, entity)).put(entity).version == 1


@pytest.mark.parametrize("what", WRONG | ODD)
def test_a_rule_set_with_it_is_refused_and_says_where(store: Store, tmp_path: Path, what: str) -> None:
    entity, said = (WRONG | ODD)[what]
    with pytest.raises(SeedError) as caught:
        seeding.read(write_rule_set(store, tmp_path, entity))
    (problem,) = caught.value.problems
    field, _, reason = said.partition(" ") if said.split()[0] in type(entity).model_fields else ("", "", said)
    assert problem.pointer.endswith(f"/0/{field}" if field else problem.pointer)
    assert reason in problem.reason


@pytest.mark.parametrize("what", WRONG)
def test_nor_is_a_rule_set_loaded_that_a_program_made(store: Store, what: str) -> None:
    entity, _ = WRONG[what]
    with pytest.raises(SeedError):
        seeding.load(store, RuleSet((entity,)))
    assert store.overrides("ACME") == ()


@pytest.mark.parametrize("what", WRONG | ODD)
def test_what_is_stored_stays_readable_and_is_told_by_the_doctor(store: Store, what: str) -> None:
    entity, said = (WRONG | ODD)[what]
    put_raw(store, entity)
    repository = store.repository(kind_of(store, entity))
    (stored,) = repository.current([entity]).values()
    assert dict(stored) == dict(entity)
    (finding,) = [found for found in examine(store) if found.check in ("meaning", "unusable")]
    assert said in finding.what
    again = repository.put(stored)  # unchanged
    assert again.version == 2
    repository.put(entity)  # unchanged, by somebody who did not read it
    other = next(
        name
        for name in type(entity).model_fields
        if name in ("bank_id", "description", "message", "custodian", "source", "created")
    )
    if other != "created":
        assert repository.put(again.model_copy(update={other: "note"}), expected=3).version == 4


@pytest.mark.parametrize("what", RIGHT)
def test_what_may_be_meant_is_written(store: Store, what: str) -> None:
    entity = RIGHT[what]
    assert store.repository(kind_of(store, entity)).put(entity).version == 1


@pytest.mark.parametrize("name", NAMES)
def test_each_check_can_be_switched_off(tmp_path: Path, name: str) -> None:
    with Store.open(Settings(persistence_mode="memory", checks_off=(name,))) as store:
        store.create_tables()
        for entity, _ in WRONG.values():
            if {found.check for found in ALL.findings(entity)} == {name}:
                assert not list(store.settings.checks.findings(entity))
                store.repository(kind_of(store, entity)).put(entity)
                seeding.read(write_rule_set(store, tmp_path, entity), checks=store.settings.checks)
        assert [found for found in examine(store) if found.check in ("meaning", "unusable")] == []


def test_words_of_ones_own_are_known() -> None:
    checks = Settings(persistence_mode="memory", known_words="Wekly, foo, LOANS").checks
    config = ClientConfig(plan_id="ACME", pay_freq="Wekly")
    assert [found.level for found in ALL.findings(config)] == [Level.WRONG]
    for entity in (config, rule(formula="foo * foo(2)"), check(category="LOANS")):
        assert not list(checks.findings(entity))


def test_a_check_that_is_switched_off_has_to_be_one() -> None:
    with pytest.raises(
        ConfigurationError, match="BLUESTAR_CHECKS_OFF: 'percentag' is no check; did you mean percentage"
    ):
        Settings(checks_off="percentag")


def test_names_that_nobody_knows_are_refused_in_rule_sets_only(store: Store, tmp_path: Path) -> None:
    entity = rule(formula="bonus_base * 2")
    store.calculation_rules.put(entity)
    with pytest.raises(SeedError, match="uses 'bonus_base', which is no known name"):
        seeding.read(write_rule_set(store, tmp_path, entity))
    (finding,) = [found for found in examine(store) if found.check == "meaning"]
    assert "bonus_base" in finding.what


def test_a_column_that_the_schema_spells_in_another_way_is_refused_in_rule_sets_only(
    store: Store, tmp_path: Path
) -> None:
    entity = schema({" gross  PAY": "gross_comp"})
    store.vendor_schemas.put(entity)
    with pytest.raises(SeedError, match="is of ' gross  PAY'; the column is 'Gross Pay'") as caught:
        seeding.read(write_rule_set(store, tmp_path, entity))
    assert [problem.pointer for problem in caught.value.problems] == ["/vendor_schemas/0/mapping"]
    (finding,) = [found for found in examine(store) if found.check == "meaning"]
    assert "' gross  PAY'" in finding.what


def test_a_step_of_a_pipeline_is_checked_as_any_other_rule(store: Store) -> None:
    step = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100, agent="VALIDATR")
    with pytest.raises(InvalidEntityError, match="'VALIDATR' is no known agent; did you mean VALIDATOR"):
        store.pipelines.replace("ACME", "Weekly", [step])
    store.pipelines.replace("ACME", "Weekly", [step.model_copy(update={"agent": "validator"})])


def test_limits_that_shrink_are_no_error_for_the_library_and_a_warning_of_the_doctor(store: Store) -> None:
    seeding.load(store, seeding.baseline())
    store.irs_limits.put(IrsLimits(year=2027, max_401k=Decimal(20000), catch_up=Decimal(9000)))
    (finding,) = [found for found in examine(store) if found.check == "meaning"]
    assert finding.what == "max_401k is 20000, less than the 24500 of the year before"
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("SNS", "SSN", True),
        ("ssn", "SSN", True),
        ("LOANS", "LOAN", True),
        ("CALCULATER", "CALCULATOR", True),
        ("SSN2", "SSN", False),
        ("RATE", "DATE", False),
        ("BiWeeklyThu", "BiWeeklyFri", False),
        ("BiWeekly", "Weekly", False),
        ("ID", "IDP", False),
        ("", "SSN", False),
    ],
)
def test_a_slip_is_told_from_another_word(word: str, known: str, *, near: bool) -> None:
    assert is_near(word, known) is near


def test_what_ships_passes() -> None:
    for rules in (seeding.baseline(), seeding.read("fixtures/demo")):
        found = [one for entity in rules.entities for one in ALL.findings(entity)]
        assert [one for one in found if one.level is not Level.NEW] == []
    assert {step.pay_freq for step in seeding.baseline().entities if isinstance(step, PipelineStep)} == set(
        FREQUENCY.known
    )
