"""One file a subject: its entities, their PynamoDB Models, and the Mappers that say all else of these kinds of items.

`registry.py` has the list of them. This package gives their Models by name, as `from bluestar_store.models import
CalculationRuleModel`, and imports the registry when one is asked for.
"""

# ruff: noqa: I001  # several names a line
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers, which cannot ask the registry
    from bluestar_store.models.audit import AuditEntryModel as AuditEntryModel, ChainHeadModel as ChainHeadModel
    from bluestar_store.models.batches import (
        BatchRulesModel as BatchRulesModel,
        BatchStateModel as BatchStateModel,
        StepClaimModel as StepClaimModel,
        StepResultModel as StepResultModel,
    )
    from bluestar_store.models.calculation import CalculationRuleModel as CalculationRuleModel
    from bluestar_store.models.config import AchConfigModel as AchConfigModel, ClientConfigModel as ClientConfigModel
    from bluestar_store.models.free_form import FreeResultModel as FreeResultModel, FreeStateModel as FreeStateModel
    from bluestar_store.models.holds import HoldGuardModel as HoldGuardModel, PlanHoldModel as PlanHoldModel
    from bluestar_store.models.limits import IrsLimitsModel as IrsLimitsModel
    from bluestar_store.models.pipeline import PipelineStepModel as PipelineStepModel
    from bluestar_store.models.plan_keys import PlanKeyModel as PlanKeyModel
    from bluestar_store.models.validation import ValidationRuleModel as ValidationRuleModel
    from bluestar_store.models.vendor import VendorSchemaModel as VendorSchemaModel


def _models() -> dict[str, Any]:
    from bluestar_store.models.registry import KINDS

    return {mapper.model.__name__: mapper.model for mapper in KINDS}


def __getattr__(name: str) -> Any:
    if name == "__all__":  # of `import *`
        return sorted(_models())
    if name.endswith("Model") and name in (found := _models()):
        return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_models()})
