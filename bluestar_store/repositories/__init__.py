"""Typed access to the tables: keys, fallback and overlay, cached reads, versioned writes.

`CalculationRuleRepository(store)` and the others are what a Store has as `store.calculation_rules` and so on. Your own
kinds have `Repository`, or a subclass of it, which reads by `first` and `partitions`; see docs/adding-an-entity.md. A
name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.repositories.answers import readable
    from bluestar_store.repositories.base import Reader, Repository
    from bluestar_store.repositories.configs import Configs
    from bluestar_store.repositories.of_store import (
        AchConfigRepository,
        AuditRepository,
        BatchRepository,
        CalculationRuleRepository,
        ClientConfigRepository,
        IrsLimitsRepository,
        OpenStore,
        PipelineRepository,
        PlanHoldRepository,
        PlanKeyRepository,
        StepClaimRepository,
        StepResultRepository,
        ValidationRuleRepository,
        VendorSchemaRepository,
    )

__all__ = [
    "AchConfigRepository",
    "AuditRepository",
    "BatchRepository",
    "CalculationRuleRepository",
    "ClientConfigRepository",
    "Configs",
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

_ELSEWHERE = {"readable": "answers", "Reader": "base", "Repository": "base", "Configs": "configs"}

__getattr__, __dir__ = lazily(
    __name__,
    {
        f"{__name__}.{module}": tuple(name for name in __all__ if _ELSEWHERE.get(name, "of_store") == module)
        for module in ("answers", "base", "configs", "of_store")
    },
)
