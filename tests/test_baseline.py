"""The rule sets that ship, read as plain JSON: the baseline inside the package and the demo in fixtures/."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.config import ClientConfig
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.validation import ValidationRule
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.seeding import baseline
from tests.shipped_rules import BASELINE, DEMO, LISTS, baseline_pipeline, documents, entities, of_type, rule

FOLDERS = pytest.mark.parametrize("folder", [BASELINE, DEMO], ids=["baseline", "demo"])


FREQUENCIES = ["BiWeeklyFri", "Weekly", "SemiMonthly", "Monthly"]


YEARS = range(2019, 2027)


KIND_OF: dict[type[Entity], Mapper[Any]] = {
    mapper.entity: mapper for lists in LISTS.values() for mapper in lists.values()
}


def key_of(entity: Entity) -> tuple[str, Key]:
    mapper = KIND_OF[type(entity)]
    return mapper.table, mapper.keys.build(mapper.identity(entity))


@FOLDERS
def test_a_file_holds_the_lists_of_its_table_and_no_others(folder: Path) -> None:
    for table, lists in documents(folder).items():
        assert lists.keys() <= LISTS[table].keys(), table


@FOLDERS
def test_every_entity_is_valid_and_has_no_field_of_an_unknown_name(folder: Path) -> None:
    assert entities(folder)  # entities forbid unknown fields


@FOLDERS
def test_every_entity_has_a_key_that_parses_back_and_no_two_share_one(folder: Path) -> None:
    for entity in entities(folder):
        mapper = KIND_OF[type(entity)]
        assert mapper.keys.parse(key_of(entity)[1]) == mapper.identity(entity)
    counts = Counter(map(key_of, entities(folder)))
    assert [key for key, count in counts.items() if count > 1] == []


@FOLDERS
def test_each_entity_is_one_line_with_its_fields_in_the_order_of_the_entity(folder: Path) -> None:
    for table, lists in documents(folder).items():
        blocks = [
            f'  "{name}": [\n' + ",\n".join(f"    {one_line(LISTS[table][name], row)}" for row in rows) + "\n  ]"
            for name, rows in lists.items()
        ]
        text = (folder / f"{table}.json").read_text(encoding="utf-8")
        schema, _, rest = text.partition(",\n")
        assert schema.startswith('{\n  "$schema": "')
        assert rest == ",\n".join(blocks) + "\n}\n"


def one_line(mapper: Mapper[Any], row: dict[str, Any]) -> str:
    ordered = {name: row[name] for name in mapper.entity.model_fields if row.get(name) is not None}
    return json.dumps(ordered, ensure_ascii=False, default=float)


@FOLDERS
def test_every_rule_that_is_on_has_a_field_a_message_a_severity_and_either_a_pattern_or_a_check(folder: Path) -> None:
    for found in of_type(folder, ValidationRule):
        if not found.enabled:
            continue
        assert found.field
        assert found.message
        assert found.severity in ("ERROR", "WARNING")
        assert (found.pattern is None) != (found.check is None)
        if found.pattern is not None:
            re.compile(found.pattern)
        else:
            assert re.fullmatch("[a-z][a-z0-9_]*", found.check or "")


@FOLDERS
def test_every_step_says_what_it_does_and_how_long_it_may_take(folder: Path) -> None:
    for step in of_type(folder, PipelineStep):
        assert step.subroutine_name
        assert step.agent
        assert (step.description or "").endswith(".")
        assert step.timeout_seconds


def test_the_baseline_belongs_to_no_plan() -> None:
    levels = {entity.plan_id for entity in entities(BASELINE) if isinstance(entity, PlanEntity)}
    assert levels == {GLOBAL, DEFAULT}


def test_the_default_pipelines_are_those_of_the_four_pay_frequencies() -> None:
    assert {step.pay_freq for step in of_type(BASELINE, PipelineStep)} == set(FREQUENCIES)
    assert [config.pay_freq for config in of_type(BASELINE, ClientConfig)] == FREQUENCIES


@pytest.mark.parametrize("pay_freq", FREQUENCIES)
def test_a_default_pipeline_has_26_steps_numbered_in_hundreds(pay_freq: str) -> None:
    assert [step.step_order for step in baseline_pipeline(pay_freq)] == list(range(100, 2700, 100))


@pytest.mark.parametrize("pay_freq", FREQUENCIES)
def test_a_default_pipeline_begins_with_ingest_and_validation(pay_freq: str) -> None:
    begin = [(step.step_order, step.subroutine_name, step.agent) for step in baseline_pipeline(pay_freq)[:2]]
    assert begin == [(100, "FILE_INGEST", "IDP"), (200, "FILE_VALIDATION", "VALIDATOR")]


@pytest.mark.parametrize("pay_freq", FREQUENCIES)
def test_a_default_pipeline_has_the_same_subroutines_each_once_by_five_agents(pay_freq: str) -> None:
    names = [step.subroutine_name for step in baseline_pipeline(pay_freq)]
    assert names == [step.subroutine_name for step in baseline_pipeline("BiWeeklyFri")]
    assert len(set(names)) == 26
    agents = {step.agent for step in baseline_pipeline(pay_freq)}
    assert agents == {"IDP", "VALIDATOR", "CALCULATOR", "FUNDING", "REPORTER"}


@pytest.mark.parametrize("pay_freq", FREQUENCIES)
def test_money_moves_after_the_hold_check_and_contributions_are_computed_before_it(pay_freq: str) -> None:
    agents = [step.agent for step in baseline_pipeline(pay_freq)]
    hold_check = [step.subroutine_name for step in baseline_pipeline(pay_freq)].index("HOLD_CHECK")
    assert "FUNDING" not in agents[:hold_check]
    assert "CALCULATOR" not in agents[hold_check:]


def test_the_validation_rules_cover_eight_categories_with_three_to_six_rules_each() -> None:
    numbers: dict[str, list[int]] = {}
    for found in of_type(BASELINE, ValidationRule):
        numbers.setdefault(found.category, []).append(found.number)
    assert numbers.keys() == {"SSN", "NAME", "COMP", "DATE", "DEFERRAL", "BANK", "LOAN", "CENSUS"}
    for category, found_numbers in numbers.items():
        assert 3 <= len(found_numbers) <= 6, category
        assert found_numbers == list(range(1, len(found_numbers) + 1)), category


GOOD_AND_BAD = {
    ("SSN", 1): (
        ["123-45-6789", "123456789"],
        ["123-456789", "12345678", "123 45 6789", "123-45-678A", "\u066123456789", ""],
    ),
    ("NAME", 1): (
        ["O'Brien", "Smith-Jones", "de la Cruz", "Núñez", "St. John", "李"],
        ["", " Smith", "-", "R2D2", "A_B"],
    ),
    ("NAME", 2): (["Mary Ann", "J.", "Zoë", "D\u2019Arcy"], ["", "123", "Ann ", "Ann;"]),
    ("NAME", 3): (["Jr", "Jr.", "III"], ["junior", "Esq", ""]),
    ("COMP", 1): (["0", "4250.75", "-120.50", "1.5"], ["", "4,250.75", "$10", "1.005", ".5", "1e3"]),
    ("COMP", 4): (["80", "37.5", "0"], ["-8", "1000", "8:30", ""]),
    ("DATE", 1): (
        ["1980-12-31", "2000-02-29", "2024-06-30", "1999-01-01"],
        [
            "1980-13-01",
            "1980-00-10",
            "2024-02-30",
            "2024-06-31",
            "12/31/1980",
            "1880-01-01",
            "1980-1-1",
            "19801231",
            "",
        ],
    ),
    ("DATE", 2): (["2020-11-30", "2020-08-31"], ["2020-11-31", "20-11-30", "2020-11-30T00:00", ""]),
    ("DEFERRAL", 1): (["0", "6", "12.5", "100", "100.00", "99.9999"], ["101", "100.5", "-1", "6%", "0.12345", ""]),
    ("DEFERRAL", 2): (["0", "255.05"], ["-1", "255.055", "1,000", ""]),
    ("BANK", 1): (["021000021", "123456789"], ["12345678", "1234567890", "12345678X", "\uff1123456789", ""]),
    ("BANK", 3): (["011000015", "121000000", "211000000", "800000000"], ["131000000", "201000000", "990000013", ""]),
    ("BANK", 4): (["0001", "12345678901234567", "AB-1234"], ["123", "123456789012345678", "12 34", ""]),
    ("BANK", 5): (["CHECKING", "SAVINGS"], ["checking", "CHECKINGSAVINGS", ""]),
    ("LOAN", 1): (["1", "L-0042"], ["", "L 42", "123456789012345678901"]),
    ("LOAN", 2): (["88.10", "88"], ["-88.10", "88.101", ""]),
    ("CENSUS", 2): (["E100", "00042"], ["", "E 100"]),
    ("CENSUS", 3): (["ACTIVE", "DECEASED"], ["active", "ACTIVE ", ""]),
}


def test_every_pattern_of_the_baseline_has_good_and_bad_values_here() -> None:
    with_pattern = {(found.category, found.number) for found in of_type(BASELINE, ValidationRule) if found.pattern}
    assert with_pattern == GOOD_AND_BAD.keys()


@pytest.mark.parametrize(("category", "number"), GOOD_AND_BAD)
def test_a_pattern_matches_the_whole_of_good_values_and_of_no_bad_one(category: str, number: int) -> None:
    pattern = rule(BASELINE, GLOBAL, category, number).pattern
    assert pattern is not None
    good, bad = GOOD_AND_BAD[category, number]
    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


def test_a_global_rule_exists_for_every_calculation() -> None:
    rules = {found.calc_type: found for found in of_type(BASELINE, CalculationRule)}
    wanted = "match er_contrib catch_up super_catch_up annual_limit comp_cap true_up vesting"
    assert list(rules) == wanted.split()
    assert all(found.formula and found.description for found in rules.values())
    assert rules["match"].formula == "ee_deferral_pct * compensation"
    assert rules["match"].max_pct == Decimal(6)
    assert rules["catch_up"].age_threshold == 50
    assert rules["super_catch_up"].age_threshold == 60
    assert "60-63" in (rules["super_catch_up"].description or "")


def limits(year: int) -> IrsLimits:
    return next(found for found in of_type(BASELINE, IrsLimits) if found.year == year)


PUBLISHED = {
    # year: max_401k, catch_up, comp_limit, annual_addition, hce_threshold, key_employee; the notice
    2019: (19000, 6000, 280000, 56000, 125000, 180000, "2018-83"),
    2020: (19500, 6500, 285000, 57000, 130000, 185000, "2019-59"),
    2021: (19500, 6500, 290000, 58000, 130000, 185000, "2020-79"),
    2022: (20500, 6500, 305000, 61000, 135000, 200000, "2021-61"),
    2023: (22500, 7500, 330000, 66000, 150000, 215000, "2022-55"),
    2024: (23000, 7500, 345000, 69000, 155000, 220000, "2023-75"),
    2025: (23500, 7500, 350000, 70000, 160000, 230000, "2024-80"),
    2026: (24500, 8000, 360000, 72000, 160000, 235000, "2025-67"),
}


def test_the_limits_of_every_year_from_2019_to_2026_are_there() -> None:
    assert [found.year for found in of_type(BASELINE, IrsLimits)] == list(YEARS)


@pytest.mark.parametrize("year", YEARS)
def test_the_limits_are_the_published_ones_and_name_their_notice(year: int) -> None:
    found = limits(year)
    *figures, notice = PUBLISHED[year]
    assert [
        found.max_401k,
        found.catch_up,
        found.comp_limit,
        found.annual_addition,
        found.hce_threshold,
        found.key_employee,
    ] == figures
    assert found.source == f"IRS Notice {notice}"


@pytest.mark.parametrize("year", YEARS)
def test_there_is_a_super_catch_up_limit_from_2025_and_none_before(year: int) -> None:
    assert limits(year).super_catch_up == (11250 if year >= 2025 else None)


@pytest.mark.parametrize("year", YEARS)
def test_there_is_a_roth_catch_up_wage_only_where_a_notice_gives_it(year: int) -> None:
    assert limits(year).roth_catch_up_wage == {2025: 145000, 2026: 150000}.get(year)


def test_nothing_of_the_baseline_is_masked() -> None:
    """Else its digests would take a key, and no two stores could be compared by them."""
    assert [entity for entity in baseline().entities if has_secrets(entity.__dict__, numbers=False)] == []
