"""processing-metadata: the state of batches, and the results and claims of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pynamodb.attributes import UnicodeAttribute

from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys, check_plan
from bluestar_store.models.attributes import (
    DocumentAttribute,
    EnumAttribute,
    IntegerAttribute,
    TextMapAttribute,
    UtcAttribute,
)
from bluestar_store.models.entity import Entity
from bluestar_store.models.indexes import ByPlan, index_part, index_text
from bluestar_store.models.kind import ItemModel, Kind
from bluestar_store.models.values import Count, Document, TextMap, UtcTime, utc_text

PARTITION = "BATCH#{batch_id}"


class BatchStatus(StrEnum):
    """Where a batch stands."""

    RECEIVED = "RECEIVED"
    RUNNING = "RUNNING"
    ON_HOLD = "ON_HOLD"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class BatchState(Entity):
    """One payroll file on its way through a plan's pipeline; `rules_digest` pins the rules it was started under."""

    batch_id: str
    plan_id: str | None = None
    pay_freq: str | None = None
    year: Count | None = None
    status: Annotated[BatchStatus, Field(strict=False)] | None = None
    current_step: Count | None = None
    rules_digest: str | None = None
    created: UtcTime | None = None
    updated: UtcTime | None = None


class BatchRules(Entity):
    """The rules that a batch was started under: the digest of all, and of each item, by `{table}/{PK}/{SK}`."""

    batch_id: str
    digest: str | None = None
    items: TextMap | None = None


class StepResult(Entity):
    """What a step of a batch found."""

    batch_id: str
    step: Count
    result: Document | None = None
    digest: str | None = None
    worker: str | None = None
    saved: UtcTime | None = None


class StepClaim(Entity):
    """Which worker owns a step until when; `fence` only grows."""

    batch_id: str
    step: Count
    worker: str | None = None
    fence: Count | None = None
    claimed: UtcTime | None = None
    expires: UtcTime | None = None


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


BATCH_STATE = Kind(
    "batch-state", BatchState, BatchStateModel, ItemKeys.of(PARTITION, "STATE"), BatchNotFoundError, _plan_index
)
BATCH_RULES = Kind("batch-rules", BatchRules, BatchRulesModel, ItemKeys.of(PARTITION, "RULES"), BatchNotFoundError)
STEP_RESULT = Kind(
    "step-result", StepResult, StepResultModel, ItemKeys.of(PARTITION, "RESULT#{step:04d}"), BatchNotFoundError
)
STEP_CLAIM = Kind(
    "step-claim", StepClaim, StepClaimModel, ItemKeys.of(PARTITION, "CLAIM#{step:04d}"), BatchNotFoundError
)
