"""validation-rules: how PynamoDB and the library keep the entities of `validation.py`."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from bluestar_store.errors import RuleNotFoundError
from bluestar_store.keys import GLOBAL, ItemKeys, KeyTemplate
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.validation import ValidationRule


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
    commands=(
        "validation set {category} {number} KEY=VALUE --plan {plan_id}",
        "validation delete {category} {number} --plan {plan_id}",
    ),
)
