"""dyntastic's models of a rule and a step; imported when it is installed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dyntastic import Dyntastic

from bluestar_store import Settings


def of(settings: Settings, rules: str, steps: str) -> tuple[Any, Any]:
    """The models for two tables."""

    class Item(Dyntastic):
        __table_name__ = rules
        __table_region__ = settings.aws_region
        __table_host__ = settings.dynamodb_endpoint_url
        __hash_key__ = "PK"
        __range_key__ = "SK"

        PK: str
        SK: str
        plan_id: str
        description: str | None = None

    class Rule(Item):
        calc_type: str
        formula: str | None = None
        max_pct: Decimal | None = None
        age_threshold: int | None = None

    class Step(Item):
        __table_name__ = steps

        pay_freq: str
        stepOrder: int
        subroutineName: str | None = None
        agent: str | None = None
        enabled: bool = True
        required: bool = True
        timeoutSeconds: int | None = None

    return Rule, Step
