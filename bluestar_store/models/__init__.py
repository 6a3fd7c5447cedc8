"""Entities and their PynamoDB Models, side by side, two files a subject.

`calculation.py` has the entity; `calculation_model.py` beside it has the Model and the Mapper, which load PynamoDB and
the AWS SDK, and so are loaded when they are first used. The module of the entity gives their names too.
"""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.models.audit_model import AuditEntryModel, ChainHeadModel
    from bluestar_store.models.batches_model import BatchStateModel, StepClaimModel, StepResultModel
    from bluestar_store.models.calculation_model import CalculationRuleModel
    from bluestar_store.models.config_model import AchConfigModel, ClientConfigModel
    from bluestar_store.models.free_form_model import FreeResultModel, FreeStateModel
    from bluestar_store.models.holds_model import HoldGuardModel, PlanHoldModel
    from bluestar_store.models.limits_model import IrsLimitsModel
    from bluestar_store.models.pipeline_model import PipelineStepModel
    from bluestar_store.models.plan_keys_model import PlanKeyModel
    from bluestar_store.models.validation_model import ValidationRuleModel
    from bluestar_store.models.vendor_model import VendorSchemaModel

__all__ = [
    "AchConfigModel",
    "AuditEntryModel",
    "BatchStateModel",
    "CalculationRuleModel",
    "ChainHeadModel",
    "ClientConfigModel",
    "FreeResultModel",
    "FreeStateModel",
    "HoldGuardModel",
    "IrsLimitsModel",
    "PipelineStepModel",
    "PlanHoldModel",
    "PlanKeyModel",
    "StepClaimModel",
    "StepResultModel",
    "ValidationRuleModel",
    "VendorSchemaModel",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "bluestar_store.models.audit_model": ("AuditEntryModel", "ChainHeadModel"),
        "bluestar_store.models.batches_model": ("BatchStateModel", "StepClaimModel", "StepResultModel"),
        "bluestar_store.models.calculation_model": ("CalculationRuleModel",),
        "bluestar_store.models.config_model": ("AchConfigModel", "ClientConfigModel"),
        "bluestar_store.models.free_form_model": ("FreeResultModel", "FreeStateModel"),
        "bluestar_store.models.holds_model": ("HoldGuardModel", "PlanHoldModel"),
        "bluestar_store.models.limits_model": ("IrsLimitsModel",),
        "bluestar_store.models.pipeline_model": ("PipelineStepModel",),
        "bluestar_store.models.plan_keys_model": ("PlanKeyModel",),
        "bluestar_store.models.validation_model": ("ValidationRuleModel",),
        "bluestar_store.models.vendor_model": ("VendorSchemaModel",),
    },
)
