"""Entities and their PynamoDB Models, side by side, one file a subject."""

from bluestar_store.models.audit import AuditEntryModel, ChainHeadModel
from bluestar_store.models.batches import BatchStateModel, StepClaimModel, StepResultModel
from bluestar_store.models.calculation import CalculationRuleModel
from bluestar_store.models.config import AchConfigModel, ClientConfigModel
from bluestar_store.models.free_form import FreeResultModel, FreeStateModel
from bluestar_store.models.holds import HoldGuardModel, PlanHoldModel
from bluestar_store.models.limits import IrsLimitsModel
from bluestar_store.models.pipeline import PipelineStepModel
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
    "StepClaimModel",
    "StepResultModel",
    "ValidationRuleModel",
    "VendorSchemaModel",
]
