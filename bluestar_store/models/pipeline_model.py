"""processing-pipeline: how PynamoDB and the library keep the entities of `pipeline.py`."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from bluestar_store.errors import PipelineNotFoundError
from bluestar_store.keys import ItemKeys
from bluestar_store.mapping.attributes import IntegerAttribute
from bluestar_store.mapping.mapper import LevelModel, Mapper
from bluestar_store.models.pipeline import PipelineStep


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


PIPELINE_STEP = Mapper(
    "pipeline-step",
    PipelineStep,
    PipelineStepModel,
    ItemKeys.of("CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}", "STEP#{step_order:04d}"),
    PipelineNotFoundError,
    rule_list="steps",
    commands=("pipeline replace {plan_id} {pay_freq} FILE", "pipeline remove {plan_id} {pay_freq}"),
)
