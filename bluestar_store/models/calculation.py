"""calculation-rules: how an amount is computed. Formulas are text for the agents; nothing here evaluates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import AGE, FORMULA, PERCENTAGE
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.values import Count, Number

if TYPE_CHECKING:
    from bluestar_store.models.calculation_model import CALCULATION_RULE as CALCULATION_RULE
    from bluestar_store.models.calculation_model import CalculationRuleModel as CalculationRuleModel

__getattr__, __dir__ = lazily(
    __name__, {"bluestar_store.models.calculation_model": ("CALCULATION_RULE", "CalculationRuleModel")}
)


class CalculationRule(PlanEntity):
    """One calculation of a plan, or GLOBAL's. `max_pct` is a percentage: Decimal("6") is 6 %."""

    calc_type: str
    formula: Annotated[str | None, FORMULA] = None
    max_pct: Annotated[Number | None, PERCENTAGE] = None
    age_threshold: Annotated[Count | None, AGE] = None
    description: str | None = None
