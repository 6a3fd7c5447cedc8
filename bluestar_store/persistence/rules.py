"""The drop-in for rules and batches: raw items as dicts, on any of the library's engines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from bluestar_store.cache.control import NullCache
from bluestar_store.clock import SystemClock
from bluestar_store.encryption.encrypting import encrypting_engine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.opening import open_engine
from bluestar_store.errors import SchemaNotFoundError, TableMissingError
from bluestar_store.keys import DEFAULT, GLOBAL, ItemKeys, Key, check_identifier, check_plan
from bluestar_store.mapping.indexes import BY_LEVEL, level_prefix
from bluestar_store.mapping.mapper import ListedIn, Mapper
from bluestar_store.mapping.sealed import readable
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.tables import Tables
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.persistence.bare_items import (
    BareIndexReader,
    BarePipelines,
    BareSchemas,
    number_order,
    raw,
    rules_laid_over,
)
from bluestar_store.persistence.free_form import FreeForm
from bluestar_store.persistence.protocols import ICacheBackend, PlainItem
from bluestar_store.persistence.rule_cache import rule_cache
from bluestar_store.persistence.values import plain_item, wire_item
from bluestar_store.protocols import Engine, Item, key_of
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.cache_answers import first_entity
from bluestar_store.repositories.catalog import Catalog
from bluestar_store.repositories.moments import KeyRange, read_levels, read_parts
from bluestar_store.repositories.session import StoreParts
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.settings import PersistenceMode, Settings, TableLayout
from bluestar_store.store import tables_of

PREFIX = "bluestar-"
OLD_SCHEMAS = ItemKeys.of("VENDOR#{vendor_id}_{plan_id}_{pay_freq:plain}", "SCHEMA")
"""Where vendor schemas lay before they had a table: among the validation rules."""


def tables_with(suffix: str) -> Tables:
    """The eight production tables."""
    return Tables(PREFIX, suffix, TableLayout.PER_TABLE)


def engine_of(settings: Settings, tables: Tables) -> Engine:
    """The engine that the settings ask for, with encryption around it where they name a key."""
    engine = open_engine(settings, tables)
    return encrypting_engine(engine, tables, settings, SystemClock()) or engine


@without_locals
class EngineRulesStore:
    """See `IRulesStore` and `IBatchStore`; on any engine. Reads are consistent.

    `actor` is kept on what is written, and in audit entries that name none. Raises InvalidEntityError for what is none.
    """

    def __init__(
        self, engine: Engine, tables: Tables, cache: ICacheBackend | None = None, *, actor: str | None = None
    ) -> None:
        sealing = getattr(engine, "sealing", None)  # of one that encrypts
        sessions = self._sessions = Sessions(StoreParts(engine, tables, NullCache(), actor or None, sealing=sealing))
        sessions.outside.acting_as(actor or None)  # which refuses what is no actor
        self._cache = rule_cache(cache)
        self._index_reader = BareIndexReader(sessions)
        self._catalog = Catalog(sessions, self._index_reader)
        self._pipelines, self._schemas = BarePipelines(self), BareSchemas(self)
        self._free_form = FreeForm(self)

    @property
    def sessions(self) -> Sessions:
        """What it reads and writes through, for repositories and tests over the same items; see `Store.sessions`."""
        return self._sessions

    def get_client_config(self, plan_id: str, pay_freq: str) -> PlainItem:
        """See `IRulesStore`."""
        return self._one(CLIENT_CONFIG, plan_id=plan_id, pay_freq=pay_freq)

    def get_ach_config(self, plan_id: str, pay_freq: str) -> PlainItem:
        """See `IRulesStore`."""
        return self._one(ACH_CONFIG, plan_id=plan_id, pay_freq=pay_freq)

    def get_irs_limits(self, year: int) -> PlainItem:
        """See `IRulesStore`."""
        return self._one(IRS_LIMITS, year=year)

    def get_validation_rules(self, category: str) -> list[PlainItem]:
        """See `IRulesStore`."""
        items = self._partition(VALIDATION_RULE, category=category, plan_id=GLOBAL)
        return [plain_item(item) for item in sorted(items, key=partial(number_order, VALIDATION_RULE))]

    def get_plan_holds(self, plan_id: str) -> list[PlainItem]:
        """See `IRulesStore`."""
        return [plain_item(item) for item in self._partition(PLAN_HOLD, plan_id=plan_id)]

    def get_pipeline_steps(self, plan_id: str, pay_freq: str) -> list[PlainItem]:
        """See `IRulesStore`. Steps that the library wrote are given as a whole, or PipelineChangingError."""
        return [plain_item(item) for item in self._pipelines.items(plan_id, pay_freq)]

    def get_calculation_rule(self, plan_id: str, calc_type: str) -> PlainItem:
        """See `IRulesStore`: one TransactGetItems, or the cache's answer."""
        session = self._sessions.current()
        levels = (plan_id, GLOBAL)
        keys = [CALCULATION_RULE.keys.build({"plan_id": level, "calc_type": calc_type}) for level in levels]

        def read() -> PlainItem:
            table = session.table(CALCULATION_RULE)
            found = session.engine.get_isolated(table, keys)  # a rule that moves between them is never missing
            item = first_entity(found.get(key) for key in keys)
            if item is None:
                raise CALCULATION_RULE.missing(
                    f"no calculation rule {calc_type!r} for plan {plan_id!r} nor {GLOBAL} in {table}"
                )
            return plain_item(item)

        return self._cache.rule(plan_id, calc_type, read)

    def get_vendor_schema(self, vendor_id: str, plan_id: str, pay_freq: str) -> PlainItem:
        """See `IRulesStore`. A table that does not exist counts as one without schemas."""
        old = OLD_SCHEMAS.build({"vendor_id": vendor_id, "plan_id": plan_id, "pay_freq": pay_freq})
        with suppress(SchemaNotFoundError, TableMissingError):
            return plain_item(raw(self._schemas.for_plan(vendor_id, plan_id, pay_freq)))
        with suppress(TableMissingError):
            return self._at(VALIDATION_RULE, old)
        return {}

    def get_pipeline(self, plan_id: str, pay_freq: str | None = None) -> list[PlainItem]:
        """See `IBatchStore`."""
        frequencies = self._frequencies(plan_id) if pay_freq is None else [pay_freq]
        return [step for frequency in frequencies for step in self.get_pipeline_steps(plan_id, frequency)]

    def _frequencies(self, plan_id: str) -> list[str]:
        prefix = level_prefix(check_plan(plan_id, level=DEFAULT))
        found = self._index_reader.find(self._sessions.current(), PIPELINE_STEP, BY_LEVEL, PIPELINE_STEP.name, prefix)
        identities = (PIPELINE_STEP.keys.partition_identity(key_of(item).pk) or {} for item in found)
        return sorted({identity["pay_freq"] for identity in identities if identity.get("plan_id") == plan_id})

    def get_client_validation_rules(self, client_id: str, field: str) -> list[PlainItem]:
        """See `IBatchStore`: by category and number. A rule that the client switched off does not apply."""
        session = self._sessions.current()
        check_identifier("client_id", client_id)
        levels = [(category, level) for category in self._catalog.categories() for level in (GLOBAL, client_id)]
        keys, table = VALIDATION_RULE.keys, session.table(VALIDATION_RULE)
        pks = [keys.partition({"category": category, "plan_id": level}) for category, level in levels]
        parts = [KeyRange(table, pk, keys.sort.prefix) for pk in pks]
        found = read_levels(session, (GLOBAL, client_id), parts)
        pairs = zip(parts[::2], parts[1::2], strict=True)
        rules = [rule for shared, own in pairs for rule in rules_laid_over(found[shared], found[own])]
        return [plain_item(rule) for rule in rules if rule.get("field") == {"S": field}]

    def save_batch_state(self, batch_id: str, state: dict[str, Any]) -> None:
        """See `IBatchStore`. Raises InvalidWriteError for what DynamoDB cannot hold, ItemTooLargeError over 400 KB."""
        self._free_form.save_state(batch_id, state)

    def get_batch_state(self, batch_id: str) -> PlainItem:
        """See `IBatchStore`. Where no agent saved one, the item at `STATE`: of the typed API, or of an old program."""
        return self._free_form.state(batch_id)

    def save_processing_result(self, batch_id: str, step: str, result: dict[str, Any]) -> None:
        """See `IBatchStore`. Raises InvalidWriteError for what DynamoDB cannot hold, ItemTooLargeError over 400 KB."""
        self._free_form.save_result(batch_id, step, result)

    def get_processing_results(self, batch_id: str) -> dict[str, PlainItem]:
        """The results of a batch that `save_processing_result` stored, sorted by step; {} if there are none."""
        return self._free_form.results(batch_id)

    def append_audit_entry(self, entry: dict[str, Any]) -> None:
        """See `IBatchStore`. Raises InvalidWriteError for what DynamoDB cannot hold."""
        self._free_form.append(entry)

    def _one(self, mapper: Mapper[Any], **identity: Any) -> PlainItem:
        return self._at(mapper, mapper.keys.build(identity))

    def _at(self, mapper: Mapper[Any], key: Key) -> PlainItem:
        session = self._sessions.current()
        found = session.engine.get(session.table(mapper), [key], consistent=True)
        return plain_item(readable(session.table(mapper), found[key])) if key in found else {}

    def _partition(self, mapper: Mapper[Any], **identity: Any) -> list[Item]:
        session = self._sessions.current()
        part = KeyRange(session.table(mapper), mapper.keys.partition(identity), mapper.keys.sort.prefix)
        if mapper.listed_in is ListedIn.HOLDS:
            return read_parts(session, [session.revisions.of_holds(identity["plan_id"])], [part])[part]
        if not mapper.is_of_level:
            return session.partition(mapper, part.pk)
        return read_levels(session, [identity.get("plan_id") or GLOBAL], [part])[part]

    def close(self) -> None:
        """Let go of connections and threads."""
        self._sessions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        session = self._sessions.current()
        tables = session.tables
        return f"{type(self).__name__}({session.engine.location}, tables {tables.prefix}*{tables.suffix})"


@without_locals
class DynamoDBRulesStore(EngineRulesStore):
    """On DynamoDB. Without `endpoint_url` the AWS SDK knows where; timeouts and retries are those of `Settings`.

    Nothing is sent before the first call. Raises ConfigurationError for a suffix, region or endpoint that cannot be
    one. Calculation rules are cached where a `cache` is given, for CACHE_TTL seconds; nothing else ever is.
    """

    def __init__(
        self,
        table_suffix: str = "",
        region: str = "us-east-1",
        endpoint_url: str | None = None,
        cache: ICacheBackend | None = None,
    ) -> None:
        settings = Settings(
            persistence_mode=PersistenceMode.DYNAMO,
            table_suffix=table_suffix,
            aws_region=region,
            dynamodb_endpoint_url=endpoint_url,
        )
        tables = tables_with(table_suffix)
        super().__init__(engine_of(settings, tables), tables, cache, actor=settings.actor)

    @classmethod
    def from_settings(cls, settings: Settings, cache: ICacheBackend | None = None) -> Self:
        """On the tables that settings of mode `dynamo` name, whatever their prefix and layout."""
        store = cls.__new__(cls)  # not by the constructor, which knows the old names only
        tables = tables_of(settings)
        EngineRulesStore.__init__(store, engine_of(settings, tables), tables, cache, actor=settings.actor)
        return store


@without_locals
class MemoryRulesStore(EngineRulesStore):
    """In this process's memory, for tests. `items` are dicts by the name of their table: `{"irs-limits": [{...}]}`."""

    def __init__(
        self,
        items: Mapping[str, Iterable[Mapping[str, Any]]] | None = None,
        cache: ICacheBackend | None = None,
        *,
        actor: str | None = None,
    ) -> None:
        tables = tables_with("")
        engine = MemoryEngine()
        engine.create_tables(tables.specs())
        super().__init__(engine, tables, cache, actor=actor)
        for table, found in (items or {}).items():
            self.put(table, *found)

    def put(self, table: str, *items: Mapping[str, Any]) -> None:
        """Put items, as dicts with their PK and SK, in place of those with the same keys.

        Raises TableMissingError for a table that is none of the eight, InvalidWriteError for what is no item.
        """
        self._sessions.current().engine.put_many(f"{PREFIX}{table}", map(wire_item, items))
