"""calculation-rules: how an amount is computed. Formulas are text for the agents; nothing here evaluates them."""

from __future__ import annotations

from typing import Annotated

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import AGE, PERCENTAGE, Formula
from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.mapping.values import Count, Number
from bluestar_store.models.limits import LIMIT_NAMES

FORMULA = Formula(limits=LIMIT_NAMES)
"""The check of a formula, which may name the year's limits: `limits.catch_up`."""


class CalculationRule(PlanEntity):
    """One calculation of a plan, or GLOBAL's. `max_pct` is a percentage: Decimal("6") is 6 %."""

    calc_type: str
    formula: Annotated[str | None, FORMULA] = None
    max_pct: Annotated[Number | None, PERCENTAGE] = None
    age_threshold: Annotated[Count | None, AGE] = None
    description: str | None = None


class CalculationRuleModel(LevelModel):
    """PynamoDB's view of CalculationRule."""

    class Meta:
        table_name = "calculation-rules"

    plan_id = UnicodeAttribute(null=True)
    calc_type = UnicodeAttribute(null=True)
    formula = UnicodeAttribute(null=True)
    max_pct = DecimalAttribute(null=True)
    age_threshold = IntegerAttribute(null=True)
    description = UnicodeAttribute(null=True)


CALCULATION_RULE = Mapper(
    "calculation-rule",
    CalculationRule,
    CalculationRuleModel,
    ItemKeys.of("CLIENT#{plan_id:GLOBAL}", "CALC#{calc_type}"),
    RuleNotFoundError,
    rule_list="calculation_rules",
    in_snapshot="calculation_rules",
    diff_rank=1,
    commands=("rule set {plan_id} {calc_type} KEY=VALUE", "rule delete {plan_id} {calc_type}"),
    in_store="calculation_rules",
    repository="bluestar_store.repositories.calculation_rules:CalculationRuleRepository",
)
