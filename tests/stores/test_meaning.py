"""Checks of meaning: refused where rules are written, declared once beside the field, and never made by a read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ValidationRule,
    VendorSchema,
    seeding,
)
from bluestar_store.checks.fields import FREQUENCY, NAMES
from bluestar_store.checks.formulas import MAX_CHARACTERS, fault
from bluestar_store.checks.meaning import ALL, Level
from bluestar_store.checks.patterns import may_hang
from bluestar_store.checks.words import is_near
from bluestar_store.doctor import examine
from bluestar_store.models.limits import LIMIT_NAMES
from bluestar_store.protocols import Put
from bluestar_store.repositories.changes import new_item
from bluestar_store.rulesets.reading import RuleSet, rule_files


def ach(routing_number: str) -> AchConfig:
    return AchConfig(plan_id="ACME", pay_freq="Weekly", routing_number=routing_number)


def rule(**values: Any) -> CalculationRule:
    return CalculationRule(plan_id="ACME", calc_type="match", **values)


def limits(**values: Any) -> IrsLimits:
    return IrsLimits(**{"year": 2027} | values)


def check(**values: Any) -> ValidationRule:
    defaults: dict[str, Any] = {"category": "SSN", "plan_id": "ACME", "number": 7}
    return ValidationRule(**defaults | values)


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


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode="memory")) as opened:
        opened.create_tables()
        yield opened


def kind_of(store: Store, entity: Entity) -> Any:
    return next(mapper for mapper in store.tables.kinds if mapper.entity is type(entity))


def put_raw(store: Store, entity: Entity) -> None:
    """As a program that knows of no checks."""
    kind = kind_of(store, entity)
    store.engine.write(Put(store.tables.name(kind), new_item(kind, entity)))


def write_rule_set(store: Store, folder: Path, *entities: Entity) -> Path:
    for entity in entities:
        mapper = kind_of(store, entity)
        (file,) = (name for name, lists in rule_files().items() if mapper.rule_list in lists)
        values = entity.model_dump(mode="json", exclude_none=True)
        (folder / file).write_text(json.dumps({mapper.rule_list: [values]}))
    return folder


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
    "formula",
    [
        "",
        " ",
        "a +",
        "(" * 1500,
        "-" * MAX_CHARACTERS,
        "-" * (MAX_CHARACTERS - 1) + "x" * 2,
        "9" * 1000,
        "9e999",
        "__import__('os')",
        "os.system(1)",
        "compensation.real",
        "limits.max_401k.real",
        "(lambda: 1)()",
        "[1]",
        "max(*compensation)",
        "max(key=1)",
        "max(1)(2)",
        "a := 1",
        "1j",
        "compensation, age",
        "compensation; age",
        "compensation\x00",
        "compensati\u03bfn",
        "6 % of compensation",
        "f'{age}'",
        "9**9**9",
        "10**10**8",
        "(10**99)**99",
        "9**(99*99*99)",
        "9**(1/0.00001)",
        "9**(1/0)",
        "9**1e30",
        "compensation ** (age ** 2)",
        "(" * 300 + "1" + ")" * 300,
        "+".join("1" * 1000),
        "1" + "**2" * 600,
    ],
)
def test_what_is_no_arithmetic_is_no_formula(formula: str) -> None:
    found = fault(formula)
    assert found is not None
    assert found[0] is Level.WRONG
    assert len(found[1]) < 200


@pytest.mark.parametrize(
    "formula",
    [
        "0",
        "1_000 * age",
        "compensation\n  * max_pct / 100",
        "-compensation ** 2 // 3 % 4",
        "compensation * (1 + max_pct / 100) ** (12 * years_of_service)",
        "(1 + 0.05) ** (1 / 12)",
        "+".join("1" * 100),
        "max(0, min(compensation, limits.comp_limit - compensation_ytd))",
        "ee_deferral if age >= age_threshold and not hours_worked < 1000 else 0",
        "vested_pct(years_of_service) * round(employer_balance, 2)",
    ],
)
def test_arithmetic_over_known_names_is_a_formula(formula: str) -> None:
    assert fault(formula, limits=LIMIT_NAMES) is None


STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD"
    "|TN|TX|UT|VT|VA|WA|WV|WI|WY"
)
HANGING = (  # each was seen to take seconds, and more with each character, for 30 to 400 characters that match nearly
    *(r"(a+)+$", r"(a*)*", r"^(\w+\s?)*$", r"(a|aa)+$", r"(x+x+)+y", r"(\d{1,3},?)+$", r"(.*)*x", r"(a|b+)+"),
    *(r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(?i)^([A-Z][a-z]+ ?)+$", r"(?:a{1,2}){1,500}$", "(" * 80 + "a+" + ")+" * 80),
    *(r"^(.|\s)*x$", r"(\S|.)+x", r"^(?:.|[ ,])+;$", r"(a|a)*$", r"^(Mr|Mr|Mrs)*x", r"^(\d\d|\d{2})*x"),
    *(r"^(a?){30}a{30}$", r"(?:\d?){30}x", r"^(\w{1,10}\s?){1,10}$", r"^((ab)+)+$", r"^(\s*[A-Z]\s*)+$", r"^(é+)+$"),
    *(r"^(a+(?!x))+$", r"^((?!b)a+)+$", r"^((a)\2*)+$", r"^(a+|" + "|".join(f"b{n:02}" for n in range(30)) + ")+$"),
    *(r"^(\d{5}|\d{6})+$", r"\w*\w*\w*\w*\w*x", r"(?=(a+)+$)b", r"(?:(?:a?)?b)+c", r"(ab)*(ab)*(ab)*(ab)*(ab)*x"),
)
ENDING = (
    *(r"^\d{3}-\d{2}-\d{4}$", r"^([A-Z][a-z]+ ?)+$", r"^(\d{1,3}\.){3}\d{1,3}$", r"^(\w+,)*\w+$", r"(\b\w+\b)*"),
    *(r"^\$?\d{1,3}(,\d{3})*(\.\d{2})?$", r"^(Jr|Sr|II|III|IV)\.?$", r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", r"(?>a+)+"),
    *(r"^[A-Z][a-z]+(?: [A-Z][a-z]+)*$", r"^(\d+,)*\d+$", r"^[\w.+-]+@[\w-]+\.[\w.-]+$", r"^(?:ACTIVE|TERM|LEAVE)$"),
    *(r"^(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])/\d{4}$", r"^\s*\S+(\s+\S+)*\s*$", r"^(?!000|666)\d{3}$", r"(a++)+$"),
    *(r"^(?!(\d)\1{8}$)\d{9}$", r"^(?=.*[A-Z])(?=.*\d)[A-Za-z\d]{8,}$", r"^(['\"]).*?\1$", r"^.*foo.*bar.*$"),
    *(r'^(?:(?:^|,)(?:"(?:[^"]|"")*"|[^,"]*))*$', r"^[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}$", r"^(?:\d{5}-?)+$"),
    *(r"^\+?1?[ .-]?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}$", r"(?i)^(?:yes|no|y|n)$", r"^(\w|\s|\d)+$", r"(?i)(a|A)+$"),
    *(r"^https?://[\w.-]+(?::\d+)?(?:/[^\s?#]*)?(?:\?[^\s#]*)?(?:#\S*)?$", r"^(\s*,\s*\w)+$", r"^(?:[^,]|,(?!,))*$"),
    *(r"^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$", rf"^(?:(?:{STATES})[ ,]?)+$"),
)
LARGE = (
    *("(a?)" * 450, "(" + "a?" * 900 + "b)+", "(" + "(" * 5 + "a?" + "){9}" * 5 + "b)+", r"(?:\w+\s)*" * 190),
    *("|".join(rf"\w+{n}" for n in range(300)), "".join(map(chr, range(0x4E00, 0x4E00 + 2000))), "a{1,64}" * 280),
    *("(" * 300 + "a" + ")" * 300, "(?:" + "|".join(f"{n:04}" for n in range(0, 2700, 7)) + ")+", r"[\w-]*" * 300),
    *(r"(?:a\d+)*(?:b\d+)*(?:c\d+)*" * 66, "".join(f"[{chr(n)}-{chr(n + 256)}]" for n in range(1024, 1414))),
    *("(?:" + "a?" * 140 + ")*", "(?:" + "|".join(f"{chr(n)}x" for n in range(0x4E00, 0x4E00 + 140)) + ")*"),
)


@pytest.mark.parametrize("pattern", HANGING, ids=lambda text: text[:20])
def test_a_pattern_that_agents_may_hang_at_is_refused_in_rule_sets(store: Store, tmp_path: Path, pattern: str) -> None:
    entity = check(pattern=pattern)
    with pytest.raises(SeedError, match="pattern: may take for ever"):
        seeding.read(write_rule_set(store, tmp_path, entity))
    store.validation_rules.put(entity)  # an application knows what it reads with it


@pytest.mark.parametrize("pattern", ENDING, ids=lambda text: text[:20])
def test_a_pattern_that_ends_is_none_of_those(pattern: str) -> None:
    assert not list(ALL.findings(check(pattern=pattern)))


@pytest.mark.parametrize("pattern", LARGE, ids=lambda text: text[:20])
def test_whether_agents_may_hang_is_known_within_a_second(pattern: str) -> None:
    began = time.thread_time()
    list(ALL.findings(check(pattern=pattern[:2000])))
    assert time.thread_time() - began < 1


PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", ".", "a?", "b*", "a+", r"\b", "(?!a)"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+?", "?", "{2}", "{1,3}"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
    ),
    max_leaves=6,
)


@given(PIECES)
def test_what_is_repeated_twice_over_may_hang_whatever_is_beside_it(piece: str) -> None:
    assert may_hang(f"(?:{piece}(?:x+)+)+y")
    assert may_hang(f"(?:{piece})?(?:x|xx)*y")


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
