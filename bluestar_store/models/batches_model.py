"""processing-metadata: how PynamoDB and the library keep the entities of `batches.py`."""

from __future__ import annotations

from collections.abc import Mapping

from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys, check_plan
from bluestar_store.mapping.attributes import (
    DocumentAttribute,
    EnumAttribute,
    IntegerAttribute,
    TextMapAttribute,
    UtcAttribute,
)
from bluestar_store.mapping.indexes import ByPlan, index_part, index_text
from bluestar_store.mapping.mapper import ItemModel, Mapper
from bluestar_store.mapping.values import utc_text
from bluestar_store.models.batches import BatchRules, BatchState, StepClaim, StepResult

PARTITION = "BATCH#{batch_id}"


class BatchStateModel(ItemModel):
    """PynamoDB's view of BatchState."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    year = IntegerAttribute(null=True)
    status = EnumAttribute(null=True)
    current_step = IntegerAttribute(null=True)
    rules_digest = UnicodeAttribute(null=True)
    created = UtcAttribute(null=True)
    updated = UtcAttribute(null=True)

    bs_plan = UnicodeAttribute(null=True)
    bs_plan_created = UnicodeAttribute(null=True)
    by_plan = ByPlan()


class BatchRulesModel(ItemModel):
    """PynamoDB's view of BatchRules."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    items = TextMapAttribute(null=True)

    bs_indexes_checked = UnicodeAttribute(null=True)


class StepResultModel(ItemModel):
    """PynamoDB's view of StepResult."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    step = IntegerAttribute(null=True)
    result = DocumentAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    worker = UnicodeAttribute(null=True)
    saved = UtcAttribute(null=True)


class StepClaimModel(ItemModel):
    """PynamoDB's view of StepClaim."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    step = IntegerAttribute(null=True)
    worker = UnicodeAttribute(null=True)
    fence = IntegerAttribute(null=True)
    claimed = UtcAttribute(null=True)
    expires = UtcAttribute(null=True)


def _plan_index(batch: BatchState) -> Mapping[str, str]:
    if batch.plan_id is None:
        return {}
    created = utc_text(batch.created) if batch.created else ""
    return {"bs_plan": index_part(check_plan(batch.plan_id)), "bs_plan_created": index_text(created, batch.batch_id)}


BATCH_STATE = Mapper(
    "batch-state",
    BatchState,
    BatchStateModel,
    ItemKeys.of(PARTITION, "STATE"),
    BatchNotFoundError,
    _plan_index,
    cached=False,
)
BATCH_RULES = Mapper(
    "batch-rules", BatchRules, BatchRulesModel, ItemKeys.of(PARTITION, "RULES"), BatchNotFoundError, cached=False
)
STEP_RESULT = Mapper(
    "step-result",
    StepResult,
    StepResultModel,
    ItemKeys.of(PARTITION, "RESULT#{step:04d}"),
    BatchNotFoundError,
    cached=False,
    records=("result",),
)
STEP_CLAIM = Mapper(
    "step-claim",
    StepClaim,
    StepClaimModel,
    ItemKeys.of(PARTITION, "CLAIM#{step:04d}"),
    BatchNotFoundError,
    cached=False,
)
