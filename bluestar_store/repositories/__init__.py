"""Typed access to the tables: keys, fallback and overlay, cached reads, versioned writes.

`CalculationRuleRepository(store)` and the others are what a Store has as `store.calculation_rules` and so on. Your own
kinds have `Repository`, or a subclass of it, which reads by `first` and `partitions`; see docs/adding-an-entity.md. A
name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.repositories.audit import AuditRepository
    from bluestar_store.repositories.base import Reader, Repository
    from bluestar_store.repositories.batches import BatchRepository
    from bluestar_store.repositories.cache_answers import readable
    from bluestar_store.repositories.calculation_rules import CalculationRuleRepository
    from bluestar_store.repositories.configs import AchConfigRepository, ClientConfigRepository, Configs
    from bluestar_store.repositories.holds import PlanHoldRepository
    from bluestar_store.repositories.irs_limits import IrsLimitsRepository
    from bluestar_store.repositories.open_store import OpenStore
    from bluestar_store.repositories.pipelines import PipelineRepository
    from bluestar_store.repositories.plan_keys import PlanKeyRepository
    from bluestar_store.repositories.sessions import HasSessions
    from bluestar_store.repositories.steps import StepClaimRepository, StepResultRepository
    from bluestar_store.repositories.validation_rules import ValidationRuleRepository
    from bluestar_store.repositories.vendor_schemas import VendorSchemaRepository

__all__ = [
    "AchConfigRepository",
    "AuditRepository",
    "BatchRepository",
    "CalculationRuleRepository",
    "ClientConfigRepository",
    "Configs",
    "HasSessions",
    "IrsLimitsRepository",
    "OpenStore",
    "PipelineRepository",
    "PlanHoldRepository",
    "PlanKeyRepository",
    "Reader",
    "Repository",
    "StepClaimRepository",
    "StepResultRepository",
    "ValidationRuleRepository",
    "VendorSchemaRepository",
    "readable",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        f"{__name__}.answers": ("readable",),
        f"{__name__}.audit": ("AuditRepository",),
        f"{__name__}.base": ("Reader", "Repository"),
        f"{__name__}.batches": ("BatchRepository",),
        f"{__name__}.calculation_rules": ("CalculationRuleRepository",),
        f"{__name__}.configs": ("AchConfigRepository", "ClientConfigRepository", "Configs"),
        f"{__name__}.holds": ("PlanHoldRepository",),
        f"{__name__}.irs_limits": ("IrsLimitsRepository",),
        f"{__name__}.open_store": ("OpenStore",),
        f"{__name__}.pipelines": ("PipelineRepository",),
        f"{__name__}.plan_keys": ("PlanKeyRepository",),
        f"{__name__}.sessions": ("HasSessions",),
        f"{__name__}.steps": ("StepClaimRepository", "StepResultRepository"),
        f"{__name__}.validation_rules": ("ValidationRuleRepository",),
        f"{__name__}.vendor_schemas": ("VendorSchemaRepository",),
    },
)
