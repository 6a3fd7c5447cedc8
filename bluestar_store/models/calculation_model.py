"""calculation-rules: how PynamoDB and the library keep the entities of `calculation.py`."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import DecimalAttribute, IntegerAttribute
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.calculation import CalculationRule


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
    commands=("rule set {plan_id} {calc_type} KEY=VALUE", "rule delete {plan_id} {calc_type}"),
)
