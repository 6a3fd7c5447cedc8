"""validation-rules: what a column of a payroll file must look like."""

from __future__ import annotations

from typing import Annotated

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from bluestar_store.checks.fields import CATEGORY, NUMBER, PATTERN, SEVERITY
from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import GLOBAL, ItemKeys, KeyTemplate
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.mapping.values import Count


class ValidationRule(PlanEntity):
    """One rule of a category. A plan's own lies over the GLOBAL rule of the same category and number."""

    category: Annotated[str, CATEGORY]
    plan_id: str = GLOBAL
    number: Annotated[Count, NUMBER]
    field: str | None = None
    pattern: Annotated[str | None, PATTERN] = None
    check: str | None = None
    message: str | None = None
    severity: Annotated[str | None, SEVERITY] = None
    enabled: bool = True


class ValidationRuleModel(LevelModel):
    """PynamoDB's view of ValidationRule."""

    class Meta:
        table_name = "validation-rules"

    category = UnicodeAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)
    number = IntegerAttribute(null=True)
    field = UnicodeAttribute(null=True)
    pattern = UnicodeAttribute(null=True)
    check = UnicodeAttribute(null=True)
    message = UnicodeAttribute(null=True)
    severity = UnicodeAttribute(null=True)
    enabled = BooleanAttribute(null=True)


VALIDATION_RULE = Mapper(
    "validation-rule",
    ValidationRule,
    ValidationRuleModel,
    ItemKeys(
        (
            (KeyTemplate("CATEGORY#{category}"), {"plan_id": GLOBAL}),
            (KeyTemplate("CATEGORY#{category}#CLIENT#{plan_id}"), {}),
        ),
        KeyTemplate("RULE#{number:03d}"),
    ),
    RuleNotFoundError,
    rule_list="validation_rules",
    in_snapshot="validation_rules",
    diff_rank=2,
    commands=(
        "validation set {category} {number} KEY=VALUE --plan {plan_id}",
        "validation delete {category} {number} --plan {plan_id}",
    ),
    in_store="validation_rules",
    repository="bluestar_store.repositories.validation_rules:ValidationRuleRepository",
)
