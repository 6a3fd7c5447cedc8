"""The repositories as a Store has them: `CalculationRuleRepository(store)` is what `store.calculation_rules` is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.repositories.audit import Audit
from bluestar_store.repositories.batches import Batches
from bluestar_store.repositories.calculation_rules import CalculationRules
from bluestar_store.repositories.configs import Configs
from bluestar_store.repositories.holds import Holds
from bluestar_store.repositories.irs_limits import IrsLimitsByYear
from bluestar_store.repositories.pipelines import Pipelines
from bluestar_store.repositories.plan_keys import PlanKeys
from bluestar_store.repositories.steps import Claims, Results
from bluestar_store.repositories.validation_rules import ValidationRules
from bluestar_store.repositories.vendor_schemas import VendorSchemas

if TYPE_CHECKING:
    from bluestar_store.cache import CacheControl
    from bluestar_store.repositories.index_reader import IndexReader
    from bluestar_store.repositories.sessions import Sessions
    from bluestar_store.repositories.snapshot import Snapshots


class OpenStore(Protocol):
    """The part of a Store that repositories use."""

    @property
    def sessions(self) -> Sessions:
        """What reads and writes go through: the first argument of `Reader` and `Repository`."""
        ...

    @property
    def index_reader(self) -> IndexReader:
        """Finds items by the library's indexes."""
        ...

    @property
    def snapshots(self) -> Snapshots:
        """Reads all that a batch of a plan needs."""
        ...

    @property
    def cache(self) -> CacheControl:
        """Calls on the cache itself: statistics, invalidation."""
        ...


class CalculationRuleRepository(CalculationRules):
    """Calculation rules: the plan's own, else GLOBAL's."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class ValidationRuleRepository(ValidationRules):
    """Validation rules: GLOBAL rules with the plan's own laid over them."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class IrsLimitsRepository(IrsLimitsByYear):
    """The IRS limits of each year."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, store.index_reader)


class ClientConfigRepository(Configs[ClientConfig]):
    """Client configurations: the plan's own, else DEFAULT's."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, store.sessions.tables.registered(CLIENT_CONFIG))


class AchConfigRepository(Configs[AchConfig]):
    """Bank accounts: the plan's own, else DEFAULT's."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, store.sessions.tables.registered(ACH_CONFIG))


class PipelineRepository(Pipelines):
    """Pipelines, read and written whole."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class VendorSchemaRepository(VendorSchemas):
    """Vendors' schemas: by fingerprint, or the most specific one for a plan."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class PlanHoldRepository(Holds):
    """Holds of plans."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, store.index_reader)


class BatchRepository(Batches):
    """Batches and the rules that they were started under."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, store.index_reader, store.snapshots)


class StepClaimRepository(Claims):
    """Claims: which worker works on which step of a batch."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class StepResultRepository(Results):
    """What the steps of a batch found."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class AuditRepository(Audit):
    """Audit trails."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions)


class PlanKeyRepository(PlanKeys):
    """The keys that plans' data is encrypted with."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, lambda plan_id: store.cache.invalidate(fields={"plan_id": plan_id}))
