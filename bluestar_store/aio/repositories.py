"""The repositories, awaited. Each method is made of the one of its name and has its parameters, answers and errors."""

from __future__ import annotations

import warnings
from typing import Any, Generic, TypeVar

from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.deprecation import renamed
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
from bluestar_store.repositories.audit import AuditRepository
from bluestar_store.repositories.base import Reader, Repository
from bluestar_store.repositories.batches import BatchRepository
from bluestar_store.repositories.calculation_rules import CalculationRuleRepository
from bluestar_store.repositories.configs import Configs
from bluestar_store.repositories.holds import PlanHoldRepository
from bluestar_store.repositories.irs_limits import IrsLimitsRepository
from bluestar_store.repositories.pipelines import PipelineRepository
from bluestar_store.repositories.plan_keys import PlanKeyRepository
from bluestar_store.repositories.steps import StepClaimRepository, StepRecords, StepResultRepository
from bluestar_store.repositories.validation_rules import ValidationRuleRepository
from bluestar_store.repositories.vendor_schemas import VendorSchemaRepository

E = TypeVar("E", bound=Entity)
C = TypeVar("C", bound=PlanEntity)

_AWAITED: dict[type[Reader[Any]], type[AsyncReader[Any]]] = {}
"""The classes here, by the class of what they are the awaited side of."""


class AsyncReader(Generic[E]):
    """See `Reader`."""

    def __init_subclass__(cls, of: type[Reader[Any]] | None = None, **given: Any) -> None:
        super().__init_subclass__(**given)
        if of is not None:
            _AWAITED[of] = cls

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


class AsyncPipelines(AsyncReader[PipelineStep], of=PipelineRepository):
    """See `PipelineRepository`."""

    def __init__(self, calls: AsyncCalls, pipelines: PipelineRepository) -> None:
        super().__init__(calls, pipelines)
        self.steps = calls.cached(pipelines.steps)
        self.stored_steps = calls.awaited(pipelines.stored_steps)
        self.remains = calls.awaited(pipelines.remains)
        self.is_lost = calls.awaited(pipelines.is_lost)
        self.replace = calls.awaited(pipelines.replace)
        self.remove = calls.awaited(pipelines.remove)
        self.put = calls.awaited(pipelines.put)


class AsyncCalculationRules(AsyncRepository[CalculationRule], of=CalculationRuleRepository):
    """See `CalculationRuleRepository`."""

    def __init__(self, calls: AsyncCalls, rules: CalculationRuleRepository) -> None:
        super().__init__(calls, rules)
        self.get = calls.cached(rules.get)
        self.all = calls.cached(rules.all)


class AsyncValidationRules(AsyncRepository[ValidationRule], of=ValidationRuleRepository):
    """See `ValidationRuleRepository`."""

    def __init__(self, calls: AsyncCalls, rules: ValidationRuleRepository) -> None:
        super().__init__(calls, rules)
        self.for_category = calls.cached(rules.for_category)
        self.at_level = calls.cached(rules.at_level)


class AsyncIrsLimits(AsyncRepository[IrsLimits], of=IrsLimitsRepository):
    """See `IrsLimitsRepository`."""

    def __init__(self, calls: AsyncCalls, limits: IrsLimitsRepository) -> None:
        super().__init__(calls, limits)
        self.get = calls.cached(limits.get)
        self.all = calls.awaited(limits.all)


class AsyncConfigs(AsyncRepository[C], of=Configs):
    """See `Configs`."""

    def __init__(self, calls: AsyncCalls, configs: Configs[C]) -> None:
        super().__init__(calls, configs)
        self.get = calls.cached(configs.get)


class AsyncVendorSchemas(AsyncRepository[VendorSchema], of=VendorSchemaRepository):
    """See `VendorSchemaRepository`."""

    def __init__(self, calls: AsyncCalls, schemas: VendorSchemaRepository) -> None:
        super().__init__(calls, schemas)
        self.get = calls.cached(schemas.get)
        self.match = calls.cached(schemas.match)
        self.for_vendor = calls.cached(schemas.for_vendor)
        self.for_plan = calls.cached(schemas.for_plan)


class AsyncHolds(AsyncRepository[PlanHold], of=PlanHoldRepository):
    """See `PlanHoldRepository`."""

    def __init__(self, calls: AsyncCalls, holds: PlanHoldRepository) -> None:
        super().__init__(calls, holds)
        self.get = calls.awaited(holds.get)
        self.for_plan = calls.awaited(holds.for_plan)
        self.open = calls.awaited(holds.open)
        self.all_open = calls.awaited(holds.all_open)
        self.place = calls.awaited(holds.place)
        self.release = calls.awaited(holds.release)


class AsyncBatches(AsyncRepository[BatchState], of=BatchRepository):
    """See `BatchRepository`."""

    def __init__(self, calls: AsyncCalls, batches: BatchRepository) -> None:
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


class AsyncClaims(AsyncStepRecords[StepClaim], of=StepClaimRepository):
    """See `StepClaimRepository`."""

    def __init__(self, calls: AsyncCalls, claims: StepClaimRepository) -> None:
        super().__init__(calls, claims)
        self.claim = calls.awaited(claims.claim)
        self.heartbeat = calls.awaited(claims.heartbeat)
        self.release = calls.awaited(claims.release)


class AsyncResults(AsyncStepRecords[StepResult], of=StepResultRepository):
    """See `StepResultRepository`."""

    def __init__(self, calls: AsyncCalls, results: StepResultRepository) -> None:
        super().__init__(calls, results)
        self.save = calls.awaited(results.save)


class AsyncAudit(AsyncReader[AuditEntry], of=AuditRepository):
    """See `AuditRepository`."""

    def __init__(self, calls: AsyncCalls, audit: AuditRepository) -> None:
        super().__init__(calls, audit)
        self.entries = calls.awaited(audit.entries)
        self.append = calls.awaited(audit.append)
        self.verify = calls.awaited(audit.verify)
        self.report = calls.awaited(audit.report)


class AsyncPlanKeys(AsyncReader[PlanKey], of=PlanKeyRepository):
    """See `PlanKeyRepository`."""

    def __init__(self, calls: AsyncCalls, keys: PlanKeyRepository) -> None:
        super().__init__(calls, keys)
        self.of_plan = calls.awaited(keys.of_plan)
        self.drop = calls.awaited(keys.drop)


class AsyncOwnRepository(AsyncReader[E]):
    """Of a repository that has no class here: each of its public methods, awaited."""

    def __init__(self, calls: AsyncCalls, reader: Reader[E]) -> None:
        super().__init__(calls, reader)
        self._calls, self._reader = calls, reader

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._calls.cached(getattr(self._reader, name))


def awaited_repository(calls: AsyncCalls, repository: Reader[E]) -> AsyncReader[E]:
    """The awaited side of a Store's repository."""
    classes = (_AWAITED.get(one) for one in type(repository).__mro__)
    made: type[AsyncReader[Any]] = next(filter(None, classes), AsyncOwnRepository)
    return made(calls, repository)


__getattr__ = renamed(__name__, {"AsyncIrsLimitsByYear": f"{__name__}:AsyncIrsLimits"})  # for one release
