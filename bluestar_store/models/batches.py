"""processing-metadata: the state of batches, and the results and claims of their steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pynamodb.attributes import UnicodeAttribute

from bluestar_store.checks.fields import VISIBLE
from bluestar_store.errors import BatchNotFoundError
from bluestar_store.keys import ItemKeys, check_plan
from bluestar_store.mapping.attributes import (
    DocumentAttribute,
    EnumAttribute,
    IntegerAttribute,
    TextMapAttribute,
    UtcAttribute,
)
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import ByPlan, index_part, index_text
from bluestar_store.mapping.mapper import ItemModel, ListedIn, Mapper
from bluestar_store.mapping.values import Count, Document, TextMap, UtcTime, utc_from_text, utc_text

INDEXES_CHECKED = "bs_indexes_checked"
"""The attribute behind `BatchRules.indexes_checked`."""

STEP_NUMBERS = "bs_step_numbers"
"""The attribute behind `BatchState.step_numbers`."""


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

    @property
    def step_numbers(self) -> tuple[int, ...]:
        """The steps of the pipeline that it was started under: it has no others.

        Empty, and then any step is one of its: where release 0.1.0 or another program started it.
        """
        found = self.origin.wire.get(STEP_NUMBERS, {}).get("NS", ()) if self.origin else ()
        return tuple(sorted(map(int, found)))


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


class BatchRules(Entity):
    """The rules that a batch was started under: the digest of all, and of each item, by `{table}/{PK}/{SK}`."""

    batch_id: str
    digest: str | None = None
    items: TextMap | None = None

    @property
    def indexes_checked(self) -> datetime | None:
        """Since when a rule of another program may be missing, if the plan and GLOBAL had none in its category.

        It is the last full recheck of the validation rules before the start; None where the table was not marked as
        indexed, and so was looked at as a whole.
        """
        text = self.origin.wire.get(INDEXES_CHECKED, {}).get("S") if self.origin else None
        return None if text is None else utc_from_text(text)


class BatchRulesModel(ItemModel):
    """PynamoDB's view of BatchRules."""

    class Meta:
        table_name = "processing-metadata"

    batch_id = UnicodeAttribute(null=True)
    digest = UnicodeAttribute(null=True)
    items = TextMapAttribute(null=True)

    bs_indexes_checked = UnicodeAttribute(null=True)


class StepResult(Entity):
    """What a step of a batch found."""

    batch_id: str
    step: Count
    result: Document | None = None
    digest: str | None = None
    worker: Annotated[str | None, VISIBLE] = None
    saved: UtcTime | None = None


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


class StepClaim(Entity):
    """Which worker owns a step until when; `fence` only grows."""

    batch_id: str
    step: Count
    worker: Annotated[str | None, VISIBLE] = None
    fence: Count | None = None
    claimed: UtcTime | None = None
    expires: UtcTime | None = None


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


PARTITION = "BATCH#{batch_id}"


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
    owner="batches",
    listed_in=ListedIn.BATCH,
    in_store="batches",
    repository="bluestar_store.repositories.batches:BatchRepository",
)
BATCH_RULES = Mapper(
    "batch-rules",
    BatchRules,
    BatchRulesModel,
    ItemKeys.of(PARTITION, "RULES"),
    BatchNotFoundError,
    cached=False,
    owner="batches",
    pins="items",
    grows=(
        "the digests of its plan's rules",
        "switch off GLOBAL rules that nobody needs, or delete them: with twice as many no batch can start",
    ),
)
STEP_RESULT = Mapper(
    "step-result",
    StepResult,
    StepResultModel,
    ItemKeys.of(PARTITION, "RESULT#{step:04d}"),
    BatchNotFoundError,
    cached=False,
    owner="results",
    listed_in=ListedIn.BATCH,
    records=("result",),
    digested="result",
    in_store="results",
    repository="bluestar_store.repositories.steps:StepResultRepository",
)
STEP_CLAIM = Mapper(
    "step-claim",
    StepClaim,
    StepClaimModel,
    ItemKeys.of(PARTITION, "CLAIM#{step:04d}"),
    BatchNotFoundError,
    cached=False,
    owner="claims",
    listed_in=ListedIn.BATCH,
    in_store="claims",
    repository="bluestar_store.repositories.steps:StepClaimRepository",
)
