"""The plans of fixtures/demo: what each overrides, and that nothing in them belongs to anybody."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from bluestar_store.keys import GLOBAL
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.validation import ValidationRule
from bluestar_store.models.vendor import VendorSchema
from tests.shipped_rules import BASELINE, DEMO, baseline_pipeline, entities, of_type, rule


def passes_aba_checksum(routing_number: str) -> bool:
    weighted = zip((3, 7, 1) * 3, map(int, routing_number), strict=True)
    return sum(weight * digit for weight, digit in weighted) % 10 == 0


def test_the_demo_has_three_plans_and_each_has_a_config_and_a_bank_account() -> None:
    plans = {"ACME": "BiWeeklyFri", "BETA": "Weekly", "GAMMA_LLC": "SemiMonthly"}
    assert {entity.plan_id for entity in entities(DEMO) if isinstance(entity, PlanEntity)} == plans.keys()
    assert {config.plan_id: config.pay_freq for config in of_type(DEMO, ClientConfig)} == plans
    assert {config.plan_id: config.pay_freq for config in of_type(DEMO, AchConfig)} == plans


def test_the_demo_plans_override_different_things() -> None:
    assert {step.plan_id for step in of_type(DEMO, PipelineStep)} == {"ACME"}
    assert {found.plan_id for found in of_type(DEMO, CalculationRule)} == {"ACME", "BETA"}
    assert {found.plan_id for found in of_type(DEMO, ValidationRule)} == {"ACME", "GAMMA_LLC"}


def test_acmes_pipeline_has_12_steps_that_the_default_one_knows() -> None:
    steps = of_type(DEMO, PipelineStep)
    assert [step.step_order for step in steps] == list(range(100, 1300, 100))
    default = {(step.subroutine_name, step.agent) for step in baseline_pipeline("BiWeeklyFri")}
    assert {(step.subroutine_name, step.agent) for step in steps} <= default


def test_acme_overrides_a_global_rule_switches_one_off_and_adds_one() -> None:
    shared = {(found.category, found.number) for found in of_type(BASELINE, ValidationRule)}
    own = [found for found in of_type(DEMO, ValidationRule) if found.plan_id == "ACME"]
    changes = [((found.category, found.number) in shared, found.enabled) for found in own]
    assert sorted(changes) == [(False, True), (True, False), (True, True)]


@pytest.mark.parametrize(
    ("plan_id", "category", "number", "good", "bad"),
    [
        ("ACME", "DEFERRAL", 1, ["0", "9.5", "74.9999", "75", "75.00"], ["75.01", "76", "100", "-1", ""]),
        ("ACME", "CENSUS", 101, ["UNION", "OFFICE"], ["UNIONOFFICE", "union", ""]),
        ("GAMMA_LLC", "SSN", 1, ["123456789"], ["123-45-6789", ""]),
        ("GAMMA_LLC", "SITE", 1, ["TX-014"], ["TX14", "tx-014", ""]),
    ],
)
def test_a_plans_own_pattern_matches_good_values_and_no_bad_one(
    plan_id: str, category: str, number: int, good: list[str], bad: list[str]
) -> None:
    pattern = rule(DEMO, plan_id, category, number).pattern
    assert pattern is not None
    assert [value for value in good if not re.fullmatch(pattern, value)] == []
    assert [value for value in bad if re.fullmatch(pattern, value)] == []


def test_acmes_match_stops_at_four_percent() -> None:
    rules = {found.calc_type: found for found in of_type(DEMO, CalculationRule) if found.plan_id == "ACME"}
    assert rules.keys() == {"match", "er_contrib"}
    assert rules["match"].max_pct == Decimal(4)


def test_a_demo_bank_account_passes_the_checks_of_form_but_can_belong_to_no_bank() -> None:
    assigned = rule(BASELINE, GLOBAL, "BANK", 3).pattern or ""
    account_form = rule(BASELINE, GLOBAL, "BANK", 4).pattern or ""
    for config in of_type(DEMO, AchConfig):
        assert re.fullmatch("[0-9]{9}", config.routing_number or "")
        assert passes_aba_checksum(config.routing_number or "")
        assert not re.fullmatch(assigned, config.routing_number or "")
        assert re.fullmatch(account_form, config.account_number or "")


def test_the_vendor_schemas_have_the_fingerprint_of_their_columns_and_map_only_those() -> None:
    for schema in of_type(DEMO, VendorSchema):
        assert schema.fingerprint == VendorSchema.fingerprint_of(schema.columns)
        assert schema.mapping
        assert set(schema.mapping) <= set(schema.columns)
        assert len(set(schema.mapping.values())) == len(schema.mapping)


def test_the_vendor_schemas_are_of_every_specificity_and_of_different_times() -> None:
    schemas = of_type(DEMO, VendorSchema)
    paywell = [(schema.plan_id, schema.pay_freq) for schema in schemas if schema.vendor_id == "PAYWELL"]
    assert paywell == [(None, None), ("ACME", None), ("ACME", "BiWeeklyFri")]
    assert len({schema.created for schema in schemas}) == len(schemas)
