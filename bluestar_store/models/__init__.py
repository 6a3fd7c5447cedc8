"""One file a subject: its entities, their PynamoDB Models, and the Mappers that say all else of these kinds of items.

`registry.py` has the list of them. This package gives the Models by name, each imported when it is first used.
"""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.models.audit import AuditEntryModel, ChainHeadModel
    from bluestar_store.models.batches import BatchStateModel, StepClaimModel, StepResultModel
    from bluestar_store.models.calculation import CalculationRuleModel
    from bluestar_store.models.config import AchConfigModel, ClientConfigModel
    from bluestar_store.models.free_form import FreeResultModel, FreeStateModel
    from bluestar_store.models.holds import HoldGuardModel, PlanHoldModel
    from bluestar_store.models.limits import IrsLimitsModel
    from bluestar_store.models.pipeline import PipelineStepModel
    from bluestar_store.models.plan_keys import PlanKeyModel
    from bluestar_store.models.validation import ValidationRuleModel
    from bluestar_store.models.vendor import VendorSchemaModel

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
        "bluestar_store.models.audit": ("AuditEntryModel", "ChainHeadModel"),
        "bluestar_store.models.batches": ("BatchStateModel", "StepClaimModel", "StepResultModel"),
        "bluestar_store.models.calculation": ("CalculationRuleModel",),
        "bluestar_store.models.config": ("AchConfigModel", "ClientConfigModel"),
        "bluestar_store.models.free_form": ("FreeResultModel", "FreeStateModel"),
        "bluestar_store.models.holds": ("HoldGuardModel", "PlanHoldModel"),
        "bluestar_store.models.limits": ("IrsLimitsModel",),
        "bluestar_store.models.pipeline": ("PipelineStepModel",),
        "bluestar_store.models.plan_keys": ("PlanKeyModel",),
        "bluestar_store.models.validation": ("ValidationRuleModel",),
        "bluestar_store.models.vendor": ("VendorSchemaModel",),
    },
)
