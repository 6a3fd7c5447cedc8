"""processing-pipeline: the steps that a plan's payroll file goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from bluestar_store.checks.fields import AGENT, FREQUENCY, NUMBER, TIMEOUT, VISIBLE
from bluestar_store.lazy import lazily
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.values import Count
from bluestar_store.protocols import AttributeValue

if TYPE_CHECKING:
    from bluestar_store.models.pipeline_model import PIPELINE_STEP as PIPELINE_STEP
    from bluestar_store.models.pipeline_model import PipelineStepModel as PipelineStepModel

__getattr__, __dir__ = lazily(
    __name__, {"bluestar_store.models.pipeline_model": ("PIPELINE_STEP", "PipelineStepModel")}
)

REVISION = "bs_revision"
"""The attribute that all steps have alike which one replacement of a pipeline wrote; no other program writes it."""


class PipelineStep(PlanEntity):
    """One step of the pipeline of a plan (or DEFAULT) and pay frequency."""

    pay_freq: Annotated[str, FREQUENCY]
    step_order: Annotated[Count, NUMBER]
    subroutine_name: Annotated[str | None, VISIBLE] = None
    agent: Annotated[str | None, AGENT] = None
    enabled: bool = True
    required: bool = True
    description: str | None = None
    timeout_seconds: Annotated[Count | None, TIMEOUT] = None

    @property
    def revision(self) -> str | None:
        """The replacement of the pipeline that wrote this step; None for a step that another program wrote."""
        return self.origin.wire.get(REVISION, {}).get("S") if self.origin else None

    @property
    def pipeline_length(self) -> int | None:
        """How many steps that replacement wrote."""
        return step_count(self.origin.wire) if self.origin else None


def step_count(item: Mapping[str, AttributeValue]) -> int | None:
    """The `bs_steps` of an item; None when it has none, or one that the library did not write."""
    text = item.get("bs_steps", {}).get("N", "")
    return int(text) if text.isdecimal() else None
