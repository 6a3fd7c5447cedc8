"""calculation-rules: how an amount is computed. Formulas are text for the agents; nothing here evaluates them."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.models.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.models.entity import PlanEntity
from bluestar_store.models.kind import Kind, LevelModel
from bluestar_store.models.values import Count, Number


class CalculationRule(PlanEntity):
    """One calculation of a plan, or GLOBAL's. `max_pct` is a percentage: Decimal("6") is 6 %."""

    calc_type: str
    formula: str | None = None
    max_pct: Number | None = None
    age_threshold: Count | None = None
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


CALCULATION_RULE = Kind(
    "calculation-rule",
    CalculationRule,
    CalculationRuleModel,
    ItemKeys.of("CLIENT#{plan_id:GLOBAL}", "CALC#{calc_type}"),
    RuleNotFoundError,
    rule_list="calculation_rules",
)
