"""processing-metadata: the state of batches, and the results and claims of their steps."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bluestar_store.checks.fields import VISIBLE
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import Count, Document, TextMap, UtcTime, utc_from_text

if TYPE_CHECKING:
    from bluestar_store.models.batches_model import BATCH_RULES as BATCH_RULES
    from bluestar_store.models.batches_model import BATCH_STATE as BATCH_STATE
    from bluestar_store.models.batches_model import STEP_CLAIM as STEP_CLAIM
    from bluestar_store.models.batches_model import STEP_RESULT as STEP_RESULT
    from bluestar_store.models.batches_model import BatchRulesModel as BatchRulesModel
    from bluestar_store.models.batches_model import BatchStateModel as BatchStateModel
    from bluestar_store.models.batches_model import StepClaimModel as StepClaimModel
    from bluestar_store.models.batches_model import StepResultModel as StepResultModel

__getattr__, __dir__ = lazily(
    __name__,
    {
        "bluestar_store.models.batches_model": (
            "BATCH_RULES",
            "BATCH_STATE",
            "STEP_CLAIM",
            "STEP_RESULT",
            "BatchRulesModel",
            "BatchStateModel",
            "StepClaimModel",
            "StepResultModel",
        )
    },
)

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


class StepResult(Entity):
    """What a step of a batch found."""

    batch_id: str
    step: Count
    result: Document | None = None
    digest: str | None = None
    worker: Annotated[str | None, VISIBLE] = None
    saved: UtcTime | None = None


class StepClaim(Entity):
    """Which worker owns a step until when; `fence` only grows."""

    batch_id: str
    step: Count
    worker: Annotated[str | None, VISIBLE] = None
    fence: Count | None = None
    claimed: UtcTime | None = None
    expires: UtcTime | None = None
