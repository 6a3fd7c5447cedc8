"""processing-pipeline: the steps that a plan's payroll file goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from bluestar_store.checks.fields import AGENT, FREQUENCY, NUMBER, TIMEOUT, VISIBLE
from bluestar_store.errors import PipelineNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.entity import PlanEntity
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.mapping.values import Count
from bluestar_store.protocols import AttributeValue

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


def step_count(item: Mapping[str, AttributeValue]) -> int | None:
    """The `bs_steps` of an item; None when it has none, or one that the library did not write."""
    text = item.get("bs_steps", {}).get("N", "")
    return int(text) if text.isdecimal() else None


PIPELINE_STEP = Mapper(
    "pipeline-step",
    PipelineStep,
    PipelineStepModel,
    ItemKeys.of("CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}", "STEP#{step_order:04d}"),
    PipelineNotFoundError,
    rule_list="steps",
    owner="pipelines",
    replaced_whole=True,
    in_snapshot="steps",
    diff_rank=3,
    commands=("pipeline replace {plan_id} {pay_freq} FILE", "pipeline remove {plan_id} {pay_freq}"),
    in_store="pipelines",
    repository="bluestar_store.repositories.pipelines:PipelineRepository",
)
