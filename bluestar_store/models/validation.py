"""validation-rules: what a column of a payroll file must look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import CATEGORY, NUMBER, PATTERN, SEVERITY
from bluestar_store.keys import GLOBAL
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.values import Count

if TYPE_CHECKING:
    from bluestar_store.models.validation_model import VALIDATION_RULE as VALIDATION_RULE
    from bluestar_store.models.validation_model import ValidationRuleModel as ValidationRuleModel

__getattr__, __dir__ = lazily(
    __name__, {"bluestar_store.models.validation_model": ("VALIDATION_RULE", "ValidationRuleModel")}
)


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
