"""The Store: the one place that wires engine, cache and repositories.

What it is wired of is imported when one is opened: every agent imports this module, and few open a Store first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from bluestar_store.errors import ConfigurationError
from bluestar_store.redaction.tracebacks import without_locals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from bluestar_store.clock import Clock
    from bluestar_store.encryption.sealing import Sealing
    from bluestar_store.files import FileStore
    from bluestar_store.mapping.entity import Entity
    from bluestar_store.mapping.mapper import ItemModel, Mapper
    from bluestar_store.models.calculation import CalculationRule
    from bluestar_store.models.tables import Tables
    from bluestar_store.protocols import Engine, Item, TableStatus, TellsTables
    from bluestar_store.repositories import (
        AchConfigRepository,
        AuditRepository,
        BatchRepository,
        CalculationRuleRepository,
        ClientConfigRepository,
        IrsLimitsRepository,
        PipelineRepository,
        PlanHoldRepository,
        PlanKeyRepository,
        Repository,
        StepClaimRepository,
        StepResultRepository,
        ValidationRuleRepository,
        VendorSchemaRepository,
    )
    from bluestar_store.repositories.encrypting import EncryptionReport
    from bluestar_store.repositories.sessions import Sessions
    from bluestar_store.repositories.snapshot import PlanContents, PlanSnapshot
    from bluestar_store.settings import Settings
    from bluestar_store.unit_of_work import UnitOfWork

E = TypeVar("E", bound="Entity")
M = TypeVar("M", bound="ItemModel")
R = TypeVar("R")


@without_locals
class Store:
    """All of one environment's data. Safe to share between threads; several Stores may live in one process.

    Nothing is sent before the first call. Use `Store.open()`, and `close()` (or a `with` block) at the end.
    """

    # The repositories, as type checkers see them: the mappers of their kinds name them.
    pipelines: PipelineRepository
    calculation_rules: CalculationRuleRepository
    validation_rules: ValidationRuleRepository
    irs_limits: IrsLimitsRepository
    client_configs: ClientConfigRepository
    ach_configs: AchConfigRepository
    vendor_schemas: VendorSchemaRepository
    plan_keys: PlanKeyRepository
    holds: PlanHoldRepository
    batches: BatchRepository
    claims: StepClaimRepository
    results: StepResultRepository
    audit: AuditRepository

    def __init__(
        self, settings: Settings, engine: Engine, *, kinds: Sequence[Mapper[Any]] = (), clock: Clock | None = None
    ) -> None:
        from datetime import timedelta

        from bluestar_store.cache import CacheRequest, open_requested
        from bluestar_store.clock import SystemClock
        from bluestar_store.encryption.encrypting import encrypting_engine
        from bluestar_store.redaction.names import NAMES
        from bluestar_store.repositories.catalog import Catalog
        from bluestar_store.repositories.index_reader import IndexReader
        from bluestar_store.repositories.of_store import repository_of
        from bluestar_store.repositories.session import StoreParts
        from bluestar_store.repositories.sessions import Sessions
        from bluestar_store.repositories.snapshot import Snapshots

        NAMES.use(settings.masked_names)
        self.settings, self.engine, self.clock = settings, engine, clock or SystemClock()
        self.tables = tables_of(settings, kinds)
        self.tables.specs()  # refuses names that DynamoDB would
        for mapper in self.tables.kinds:
            NAMES.know(mapper.entity, mapper.keys.fields)
        namespace = _namespace(settings, engine)
        identify = _identify(engine, self.tables, namespace)
        cache, self.cache = open_requested(
            CacheRequest(settings, namespace, _cache_key_fields(self.tables), identify, self.clock.monotonic)
        )
        encrypting = encrypting_engine(engine, self.tables, settings, self.clock)
        parts = StoreParts(
            encrypting or engine,
            self.tables,
            cache,
            settings.actor,
            indexes_complete=settings.indexes_complete,
            index_recheck=timedelta(hours=settings.index_recheck_hours),
            plain_pins=settings.plain_pins,
            clock=self.clock,
            sealing=encrypting.sealing if encrypting else None,
            checks=settings.checks,
        )
        sessions = self._sessions = Sessions(parts)
        self.digests = sessions.digests
        self.index_reader = IndexReader(sessions)
        self.index_marks, self.revisions = self.index_reader.marks, sessions.revisions
        self.snapshots = Snapshots(self, self.index_reader)
        self._files: FileStore | None = None
        self._catalog = Catalog(sessions, self.index_reader)
        for mapper in self.tables.kinds:
            if mapper.in_store is not None:
                if hasattr(self, mapper.in_store):
                    raise ConfigurationError(f"kind {mapper.name}: a Store has an attribute {mapper.in_store} already")
                setattr(self, mapper.in_store, repository_of(self, mapper))

    @property
    def sessions(self) -> Sessions:
        """What the repositories read and write through: the first argument of a `Repository` of your own."""
        return self._sessions

    @property
    def decrypting_engine(self) -> Engine:
        """The engine as repositories read and write through it; `engine` itself has ciphertext where there is some."""
        return self._sessions.committed

    @property
    def sealing(self) -> Sealing | None:
        """What encrypts and decrypts; None where the settings name no key."""
        return self._sessions.sealing

    def encrypted(self, mapper: Mapper[Any], item: Item) -> Item:
        """The item of a kind as it would lie in its table, for files: what is sensitive is encrypted, with a key.

        Raises EngineError, and ConfigurationError for a key that cannot be used.
        """
        from bluestar_store.mapping.sealed import item_as_stored
        from bluestar_store.protocols import key_of

        return item_as_stored(self._sessions.current().sealed(mapper, key_of(item), item))

    def decrypted(self, mapper: Mapper[Any], item: Item) -> Item:
        """The item again, from what `encrypted` gave: what cannot be read stays as it is, and does not decode."""
        return item if self.sealing is None else self.sealing.opened(self.tables.name(mapper), dict(item))

    @classmethod
    def open(
        cls, settings: Settings | None = None, *, kinds: Sequence[Mapper[Any]] = (), clock: Clock | None = None
    ) -> Store:
        """A Store as the settings (default: the environment's) say.

        `kinds` are users' own kinds of items, besides those that `settings.kinds` names; see `repository`. `clock`
        tells the time, in tests; by default it is the computer's. Raises ConfigurationError.
        """
        from bluestar_store.engines.opening import open_engine
        from bluestar_store.settings import Settings

        settings = _with_aws_retries(settings or Settings())
        return cls(settings, open_engine(settings, tables_of(settings, kinds)), kinds=kinds, clock=clock)

    @overload
    def repository(self, mapper: Mapper[E]) -> Repository[E]: ...
    @overload
    def repository(self, mapper: Mapper[E], of: Callable[[Sessions, Mapper[E]], R]) -> R: ...
    def repository(self, mapper: Mapper[Any], of: Callable[[Sessions, Mapper[Any]], Any] | None = None) -> Any:
        """The repository of a kind: one of the Store's own, or for a user's kind a plain one.

        `of` makes another one, mostly a subclass of Repository with reads of its own: its `first` and `partitions`
        read through the cache. `Configs` makes one of an extended ClientConfig or AchConfig, typed as such. Raises
        ConfigurationError for a kind that the Store was not opened with, and where another repository than the Store's
        own could write past the rules: of pipelines, holds, batches, claims, results and audit trails.
        """
        from bluestar_store.repositories.base import Repository

        registered = self.tables.registered(mapper)
        if of is None and isinstance(found := vars(self).get(registered.in_store or ""), Repository):
            return found
        if registered.owner is not None:
            raise ConfigurationError(
                f"{registered.name}: only store.{registered.owner} reads and writes it, another repository could write "
                "past its rules"
            )
        return (of or Repository)(self._sessions, registered)

    def create_tables(self, *, upgrade: bool = False) -> list[str]:
        """Make the tables that do not exist, and wait until they are active; returns the names made.

        `upgrade` also adds the indexes that existing tables lack, gives the items that lack them the index attributes
        (nothing else about an item changes), and marks the tables as indexed: from then on no list scans them. Raises
        ConflictError when others keep changing an item; run it again.
        """
        made = self.engine.create_tables(self.tables.specs(), upgrade=upgrade)
        if made and _telling_table(self.tables) not in made:  # nothing else tells those from what was there before
            from bluestar_store.cache.control import clear_quietly

            clear_quietly(self.cache)
        if upgrade:
            from bluestar_store.repositories.upgrade import backfill

            backfill(self._sessions.current(), self.index_marks)
        return made

    def encrypt(
        self, *, dry_run: bool = False, progress: Callable[[int], None] | None = None, actor: str | None = None
    ) -> EncryptionReport:
        """Encrypt all that the settings want encrypted and that lies there in plain text; see `encrypt_all`.

        With `dry_run` it is counted, and nothing written. `progress` is told the items of each page. May be cut off
        and repeated. Raises ConfigurationError without `encryption_key`, and EngineError.
        """
        from bluestar_store.repositories.encrypting import encrypt_all

        return encrypt_all(self._sessions, dry_run=dry_run, progress=progress, actor=actor)

    def describe_tables(self) -> tuple[TableStatus, ...]:
        """Each table as it is."""
        return tuple(self.engine.describe(spec) for spec in self.tables.specs())

    def plans(self) -> tuple[str, ...]:
        """Every plan that has rules, pipelines, configs or schemas of its own, sorted."""
        return self._catalog.plans()

    def categories(self) -> tuple[str, ...]:
        """Every category of validation rules, GLOBAL's and plans' own, sorted."""
        return self._catalog.categories()

    def vendors(self) -> tuple[str, ...]:
        """Every vendor that has a schema, sorted."""
        return self._catalog.vendors()

    def overrides(self, plan_id: str, *, without_lost: bool = False) -> tuple[Entity, ...]:
        """Everything that is the plan's own, by table and key; empty for a plan that lives on the defaults."""
        return self._catalog.overrides(plan_id, without_lost=without_lost)

    def at_level(self, level: str, *, without_lost: bool = False) -> tuple[Entity, ...]:
        """Everything that a level has of its own: a plan, GLOBAL or DEFAULT; by table and key.

        A value whose key was dropped is an EncryptedValueError, `without_lost`: None, named by `entity.unreadable`.
        """
        return self._catalog.at_level(level, without_lost=without_lost)

    def rules_of_type(self, calc_type: str) -> tuple[CalculationRule, ...]:
        """Who has a calculation rule of this type: GLOBAL's first, then each plan's own, by plan; empty for none."""
        return self._catalog.rules_of_type(calc_type)

    def plan_snapshot(self, plan_id: str, pay_freq: str, year: int) -> PlanSnapshot:
        """Everything a batch of the plan needs, read consistently, with digests.

        Two rounds of reads, each at once: in the first, pipelines, configs, calculation rules, limits and the names
        of the categories (9 calls in layout `per_table`; in `single` 8, configs come with the pipelines); in the
        second, two queries a category. A pipeline that the library did not write, or none of the
        plan's own, costs one more. Category names come from the index and, unless the table is marked as indexed (which
        is asked twice a minute) or `indexes_complete` is set, a scan of the validation rules for items without index
        attributes: one more call a MB of that table. A category younger than the index's lag (usually well under a
        second) may be missing; the rules of the others are current. Raises PipelineNotFoundError, LimitsNotFoundError.
        """
        return self.snapshots.take(plan_id, pay_freq, year)

    def plan_contents(self, plan_id: str, pay_freq: str, year: int) -> PlanContents:
        """What there is of all that, whether a batch can run under it or not; it says what cannot be decrypted."""
        return self.snapshots.contents(plan_id, pay_freq, year)

    def unit_of_work(self) -> UnitOfWork[Store]:
        """A block whose writes are one transaction, or none: `with store.unit_of_work() as uow: uow.holds.place(...)`.

        `uow` is this Store. Reads within the block see what it has written so far; nobody else does before the commit.
        At most 100 items and 4 MB (AWS limits). `bluestar_store.unit_of_work.unit_of_work` is the decorator.
        """
        from bluestar_store.unit_of_work import UnitOfWork

        return UnitOfWork(self, self._sessions)

    def check(self, *entities: Entity) -> None:
        """Let the unit of work that is open here depend on these: `uow.check(rule)`.

        The commit fails, and nothing is written, unless each is still as it was read (VersionConflictError, also when
        it is gone); one that was not read from a store, but made with its key, must not be there (AlreadyExistsError),
        nor the plan's own in the place of a rule or configuration that it inherits, which counts twice.
        Nothing is read for it, and a value from the cache will do. Each counts as a write of the transaction. Raises
        InvalidWriteError outside of a unit, and after the unit wrote the item itself where that cannot be combined.
        """
        from bluestar_store.repositories.unit_conditions import check

        check(self._sessions.current(), entities)

    def bind(self, model: type[M]) -> type[M]:
        """The Model as a PynamoDB class bound to this Store, for reading: get, query, scan, count.

        Queries and scans give the Model's own entity only. Writes are refused: they belong to the repositories.
        """
        from bluestar_store.engines.dynamo.binding import bound
        from bluestar_store.engines.dynamo.connection import AwsConnection

        connection = getattr(self.engine, "connection", None)  # DynamoEngine's, or that of one around it
        if not isinstance(connection, AwsConnection):
            raise ConfigurationError(
                "a Model can be bound to DynamoDB only; this Store lives in " + self.engine.location
            )
        mapper = next((mapper for mapper in self.tables.kinds if mapper.model is model), None)
        if mapper is None:
            raise ConfigurationError(f"{model.__name__} is no Model of this Store")
        return bound(mapper, model, self.tables.spec(mapper), connection)

    @property
    def files(self) -> FileStore:
        """The files of BLUESTAR_FILES_URL, opened at first use. ConfigurationError when it is not set."""
        if self._files is None:
            from bluestar_store.files import files_of

            self._files = files_of(self.settings)
        return self._files

    def close(self) -> None:
        """Let go of connections, files and threads; may be called twice."""
        if self._files is not None:
            self._files.close()
        self._sessions.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.engine.location}, tables {self.tables.prefix}*{self.tables.suffix})"


def sessions_of(store: Store) -> Sessions:
    """What a Store's repositories read and write through, for what else is laid round a Store."""
    return store._sessions  # noqa: SLF001  # the class above


def tables_of(settings: Settings, kinds: Sequence[Mapper[Any]] = ()) -> Tables:
    """The tables that the settings ask for, with users' own kinds in them. Raises ConfigurationError."""
    from bluestar_store.models.registry import kinds_named, with_kinds
    from bluestar_store.models.tables import Tables

    every = with_kinds((*kinds_named(settings.kinds), *kinds))
    return Tables(settings.table_prefix, settings.table_suffix, settings.table_layout, every)


def _namespace(settings: Settings, engine: Engine) -> str:
    """What tells an environment from all others that may share a Redis: no such name has a colon."""
    return ":".join((engine.data_id, settings.table_prefix, settings.table_suffix, settings.table_layout.in_redis))


def _identify(engine: Engine, tables: Tables, namespace: str) -> Callable[[], str] | None:
    """How to find out which tables these are, for an engine that has to ask. An environment's tables are made together.

    One of them therefore stands for all; in every process the same.
    """
    telling: TellsTables | None = engine if hasattr(engine, "table_id") else None  # type: ignore[assignment]
    if telling is None:
        return None
    from hashlib import sha256

    table = _telling_table(tables)

    def identify() -> str:
        return f"{namespace}:{sha256(telling.table_id(table).encode()).hexdigest()[:32]}"

    return identify


def _telling_table(tables: Tables) -> str:
    return tables.name(tables.kinds[0])


def _cache_key_fields(tables: Tables) -> dict[str, tuple[str, ...]]:
    """The fields of each cache key, by its first member."""
    items = {mapper.name: mapper.keys.fields for mapper in tables.kinds}
    return items | {f"{mapper.name}*": mapper.partition_fields for mapper in tables.kinds}


def _with_aws_retries(settings: Settings) -> Settings:
    """The settings, with AWS's own number of tries where the library's is not set: the cache counts on it, too."""
    from bluestar_store.settings import PersistenceMode

    if settings.persistence_mode != PersistenceMode.DYNAMO:
        return settings
    from bluestar_store.engines.dynamo.retry_settings import with_aws_retries

    return with_aws_retries(settings)
