"""The repositories, awaited. Each method is made of the one of its name and has its parameters, answers and errors."""

from __future__ import annotations

import warnings
from typing import Generic, TypeVar

from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import AuditEntry
from bluestar_store.models.batches import BatchState, StepClaim, StepResult
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.holds import PlanHold
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.plan_keys import PlanKey
from bluestar_store.models.validation import ValidationRule
from bluestar_store.models.vendor import VendorSchema
from bluestar_store.repositories.audit import Audit
from bluestar_store.repositories.base import Reader, Repository
from bluestar_store.repositories.batches import Batches
from bluestar_store.repositories.calculation_rules import CalculationRules
from bluestar_store.repositories.configs import Configs
from bluestar_store.repositories.holds import Holds
from bluestar_store.repositories.irs_limits import IrsLimitsByYear
from bluestar_store.repositories.pipelines import Pipelines
from bluestar_store.repositories.plan_keys import PlanKeys
from bluestar_store.repositories.steps import Claims, Results, StepRecords
from bluestar_store.repositories.validation_rules import ValidationRules
from bluestar_store.repositories.vendor_schemas import VendorSchemas

E = TypeVar("E", bound=Entity)
C = TypeVar("C", bound=PlanEntity)


class AsyncReader(Generic[E]):
    """See `Reader`."""

    def __init__(self, calls: AsyncCalls, reader: Reader[E]) -> None:
        self._mapper = reader.mapper

    @property
    def mapper(self) -> Mapper[E]:
        """How the entity lies on disk."""
        return self._mapper

    @property
    def kind(self) -> Mapper[E]:
        """The old name of `mapper`."""
        warnings.warn("`kind` is `mapper` now", DeprecationWarning, stacklevel=2)
        return self._mapper


class AsyncRepository(AsyncReader[E]):
    """See `Repository`."""

    def __init__(self, calls: AsyncCalls, repository: Repository[E]) -> None:
        super().__init__(calls, repository)
        self.current = calls.awaited(repository.current)
        self.put = calls.awaited(repository.put)
        self.delete = calls.awaited(repository.delete)


class AsyncPipelines(AsyncReader[PipelineStep]):
    """See `Pipelines`."""

    def __init__(self, calls: AsyncCalls, pipelines: Pipelines) -> None:
        super().__init__(calls, pipelines)
        self.steps = calls.cached(pipelines.steps)
        self.stored_steps = calls.awaited(pipelines.stored_steps)
        self.remains = calls.awaited(pipelines.remains)
        self.is_lost = calls.awaited(pipelines.is_lost)
        self.replace = calls.awaited(pipelines.replace)
        self.remove = calls.awaited(pipelines.remove)
        self.put = calls.awaited(pipelines.put)


class AsyncCalculationRules(AsyncRepository[CalculationRule]):
    """See `CalculationRules`."""

    def __init__(self, calls: AsyncCalls, rules: CalculationRules) -> None:
        super().__init__(calls, rules)
        self.get = calls.cached(rules.get)
        self.all = calls.cached(rules.all)


class AsyncValidationRules(AsyncRepository[ValidationRule]):
    """See `ValidationRules`."""

    def __init__(self, calls: AsyncCalls, rules: ValidationRules) -> None:
        super().__init__(calls, rules)
        self.for_category = calls.cached(rules.for_category)
        self.at_level = calls.cached(rules.at_level)


class AsyncIrsLimitsByYear(AsyncRepository[IrsLimits]):
    """See `IrsLimitsByYear`."""

    def __init__(self, calls: AsyncCalls, limits: IrsLimitsByYear) -> None:
        super().__init__(calls, limits)
        self.get = calls.cached(limits.get)
        self.all = calls.awaited(limits.all)


class AsyncConfigs(AsyncRepository[C]):
    """See `Configs`."""

    def __init__(self, calls: AsyncCalls, configs: Configs[C]) -> None:
        super().__init__(calls, configs)
        self.get = calls.cached(configs.get)


class AsyncVendorSchemas(AsyncRepository[VendorSchema]):
    """See `VendorSchemas`."""

    def __init__(self, calls: AsyncCalls, schemas: VendorSchemas) -> None:
        super().__init__(calls, schemas)
        self.get = calls.cached(schemas.get)
        self.match = calls.cached(schemas.match)
        self.for_vendor = calls.cached(schemas.for_vendor)
        self.for_plan = calls.cached(schemas.for_plan)


class AsyncHolds(AsyncRepository[PlanHold]):
    """See `Holds`."""

    def __init__(self, calls: AsyncCalls, holds: Holds) -> None:
        super().__init__(calls, holds)
        self.get = calls.awaited(holds.get)
        self.for_plan = calls.awaited(holds.for_plan)
        self.open = calls.awaited(holds.open)
        self.all_open = calls.awaited(holds.all_open)
        self.place = calls.awaited(holds.place)
        self.release = calls.awaited(holds.release)


class AsyncBatches(AsyncRepository[BatchState]):
    """See `Batches`."""

    def __init__(self, calls: AsyncCalls, batches: Batches) -> None:
        super().__init__(calls, batches)
        self.get = calls.awaited(batches.get)
        self.for_plan = calls.awaited(batches.for_plan)
        self.history = calls.awaited(batches.history)
        self.verify_rules = calls.awaited(batches.verify_rules)
        self.start = calls.awaited(batches.start)
        self.advance = calls.awaited(batches.advance)


class AsyncStepRecords(AsyncReader[E]):
    """See `StepRecords`."""

    def __init__(self, calls: AsyncCalls, records: StepRecords[E]) -> None:
        super().__init__(calls, records)
        self.get = calls.awaited(records.get)
        self.for_batch = calls.awaited(records.for_batch)


class AsyncClaims(AsyncStepRecords[StepClaim]):
    """See `Claims`."""

    def __init__(self, calls: AsyncCalls, claims: Claims) -> None:
        super().__init__(calls, claims)
        self.claim = calls.awaited(claims.claim)
        self.heartbeat = calls.awaited(claims.heartbeat)
        self.release = calls.awaited(claims.release)


class AsyncResults(AsyncStepRecords[StepResult]):
    """See `Results`."""

    def __init__(self, calls: AsyncCalls, results: Results) -> None:
        super().__init__(calls, results)
        self.save = calls.awaited(results.save)


class AsyncAudit(AsyncReader[AuditEntry]):
    """See `Audit`."""

    def __init__(self, calls: AsyncCalls, audit: Audit) -> None:
        super().__init__(calls, audit)
        self.entries = calls.awaited(audit.entries)
        self.append = calls.awaited(audit.append)
        self.verify = calls.awaited(audit.verify)
        self.report = calls.awaited(audit.report)


class AsyncPlanKeys(AsyncReader[PlanKey]):
    """See `PlanKeys`."""

    def __init__(self, calls: AsyncCalls, keys: PlanKeys) -> None:
        super().__init__(calls, keys)
        self.of_plan = calls.awaited(keys.of_plan)
        self.drop = calls.awaited(keys.drop)
