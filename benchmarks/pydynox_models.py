"""pydynox's models of a rule and a step; imported when it is installed."""

from __future__ import annotations

from typing import Any

from pydynox import DynamoDBClient, Model, ModelConfig
from pydynox.attributes import BooleanAttribute, DecimalAttribute, NumberAttribute, StringAttribute

from bluestar_store import Settings


def of(settings: Settings, rules: str, steps: str) -> tuple[Any, Any]:
    """The models for two tables, over one client."""
    client = DynamoDBClient(region=settings.aws_region, endpoint_url=settings.dynamodb_endpoint_url)

    class Rule(Model):
        model_config = ModelConfig(table=rules, client=client, consistent_read=True)

        PK = StringAttribute(partition_key=True)
        SK = StringAttribute(sort_key=True)
        plan_id = StringAttribute()
        calc_type = StringAttribute()
        formula = StringAttribute()
        max_pct = DecimalAttribute()
        age_threshold = NumberAttribute()
        description = StringAttribute()

    class Step(Model):
        model_config = ModelConfig(table=steps, client=client, consistent_read=True)

        PK = StringAttribute(partition_key=True)
        SK = StringAttribute(sort_key=True)
        plan_id = StringAttribute()
        pay_freq = StringAttribute()
        stepOrder = NumberAttribute()
        subroutineName = StringAttribute()
        agent = StringAttribute()
        enabled = BooleanAttribute()
        required = BooleanAttribute()
        description = StringAttribute()
        timeoutSeconds = NumberAttribute()

    return Rule, Step
