"""calculation-rules: how an amount is computed. Formulas are text for the agents; nothing here evaluates them."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.models.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.models.entity import PlanEntity
from bluestar_store.models.indexes import ByLevel, index_text
from bluestar_store.models.kind import ItemModel, Kind
from bluestar_store.models.values import Count, Number


class CalculationRule(PlanEntity):
    """One calculation of a plan, or GLOBAL's. `max_pct` is a percentage: Decimal("6") is 6 %."""

    calc_type: str
    formula: str | None = None
    max_pct: Number | None = None
    age_threshold: Count | None = None
    description: str | None = None


class CalculationRuleModel(ItemModel):
    """PynamoDB's view of CalculationRule."""

    class Meta:
        table_name = "calculation-rules"

    plan_id = UnicodeAttribute(null=True)
    calc_type = UnicodeAttribute(null=True)
    formula = UnicodeAttribute(null=True)
    max_pct = DecimalAttribute(null=True)
    age_threshold = IntegerAttribute(null=True)
    description = UnicodeAttribute(null=True)

    bs_kind = UnicodeAttribute(null=True)
    bs_level = UnicodeAttribute(null=True)
    by_level = ByLevel()


CALCULATION_RULE = Kind(
    "calculation-rule",
    CalculationRule,
    CalculationRuleModel,
    ItemKeys.of("CLIENT#{plan_id:GLOBAL}", "CALC#{calc_type}"),
    RuleNotFoundError,
    lambda rule: {"bs_kind": "calculation-rule", "bs_level": index_text(rule.plan_id, rule.calc_type)},
)
