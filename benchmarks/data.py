"""The rules and pipelines that are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

from bluestar_store import GLOBAL, CalculationRule, PipelineStep, Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import Item

PLAN, PLAN_WITHOUT_RULES, MATCH = "ACME", "NEWCO", "match"


def rule(plan_id: str, calc_type: str = MATCH, max_pct: int = 4) -> CalculationRule:
    """A rule as large as those of the baseline."""
    return CalculationRule(
        plan_id=plan_id,
        calc_type=calc_type,
        max_pct=Decimal(max_pct),
        formula="ee_deferral_pct * compensation",
        description="Dollar for dollar on deferrals up to 4 % of compensation.",
    )


def step(plan_id: str, pay_freq: str, number: int) -> PipelineStep:
    """A step as large as those of the baseline."""
    return PipelineStep(
        plan_id=plan_id,
        pay_freq=pay_freq,
        step_order=number,
        subroutine_name=f"validate_contribution_limits_{number}",
        agent="payroll-agent",
        description="Checks the file against the limits of the year.",
        timeout_seconds=300,
    )


def with_match_rules(store: Store) -> Store:
    """Tables, PLAN's own rule and GLOBAL's, which PLAN_WITHOUT_RULES falls back to."""
    store.create_tables()
    store.calculation_rules.put(rule(PLAN, max_pct=4))
    store.calculation_rules.put(rule(GLOBAL, max_pct=6))
    return store


def with_rules(store: Store, calc_types: Iterable[str]) -> Store:
    """Tables, and a rule of PLAN's for each type; GLOBAL has none of them. Written in bulk, as by another program."""
    store.create_tables()
    store.engine.put_many(
        store.tables.name(CALCULATION_RULE), [item_of(rule(PLAN, calc_type)) for calc_type in calc_types]
    )
    return store


def item_of(entity: CalculationRule) -> Item:
    """As another program would write it: without version, without index attributes."""
    key = CALCULATION_RULE.key(entity)
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **CALCULATION_RULE.encode(entity)}


def is_rule_of(plan_id: str) -> Callable[[object], bool]:
    """Whether an answer is the plan's rule."""
    return lambda answer: isinstance(answer, CalculationRule) and answer.plan_id == plan_id
