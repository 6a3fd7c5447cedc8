"""processing-pipeline: the steps that a plan's payroll file goes through."""

from __future__ import annotations

from collections.abc import Mapping

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from bluestar_store.errors import PipelineNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.models.attributes import IntegerAttribute
from bluestar_store.models.entity import PlanEntity
from bluestar_store.models.kind import Kind, LevelModel
from bluestar_store.models.values import Count
from bluestar_store.protocols import AttributeValue


class PipelineStep(PlanEntity):
    """One step of the pipeline of a plan (or DEFAULT) and pay frequency."""

    pay_freq: str
    step_order: Count
    subroutine_name: str | None = None
    agent: str | None = None
    enabled: bool = True
    required: bool = True
    description: str | None = None
    timeout_seconds: Count | None = None

    @property
    def revision(self) -> str | None:
        """The replacement of the pipeline that wrote this step; None for a step that another program wrote."""
        return self.origin.wire.get("bs_revision", {}).get("S") if self.origin else None

    @property
    def pipeline_length(self) -> int | None:
        """How many steps that replacement wrote."""
        return step_count(self.origin.wire) if self.origin else None


def step_count(item: Mapping[str, AttributeValue]) -> int | None:
    """The `bs_steps` of an item; None when it has none, or one that the library did not write."""
    text = item.get("bs_steps", {}).get("N", "")
    return int(text) if text.isdecimal() else None


class PipelineStepModel(LevelModel):
    """PynamoDB's view of PipelineStep. `bs_revision` and `bs_steps` let a reader see a half replaced pipeline."""

    class Meta:
        table_name = "processing-pipeline"

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    step_order = IntegerAttribute(null=True, attr_name="stepOrder")
    subroutine_name = UnicodeAttribute(null=True, attr_name="subroutineName")
    agent = UnicodeAttribute(null=True)
    enabled = BooleanAttribute(null=True)
    required = BooleanAttribute(null=True)
    description = UnicodeAttribute(null=True)
    timeout_seconds = IntegerAttribute(null=True, attr_name="timeoutSeconds")

    bs_revision = UnicodeAttribute(null=True)
    bs_steps = IntegerAttribute(null=True)


PIPELINE_STEP = Kind(
    "pipeline-step",
    PipelineStep,
    PipelineStepModel,
    ItemKeys.of("CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}", "STEP#{step_order:04d}"),
    PipelineNotFoundError,
    rule_list="steps",
)
