"""Which attributes are encrypted, and with which plan's key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bluestar_store.encryption.plan_keys import DataKeys, key_owner
from bluestar_store.encryption.values import KeyName, UnreadableError, decrypted, encrypted, key_name_of
from bluestar_store.engines.memory.staged import StagedEngine
from bluestar_store.errors import InvalidKeyError
from bluestar_store.keys import Key, check_plan
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import SealedValue, is_ciphertext
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.digest_keys import KEPT_WITH, is_digest_key
from bluestar_store.models.free_form import FREE_STATE
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import AttributeValue, Engine, Item

DIGEST_KEY = "key"
"""The attribute of a key of digests that is encrypted, though it is binary: no ciphertext has a key's length."""
DIGESTS = b"digests"
"""What is derived of a plan's key for digests of what lies in the plan's partitions."""
BATCHES_KEPT = 10_000
"""Batches of which a process remembers whose they are."""


class Sealing:
    """Encrypts and decrypts the attributes of items. Safe for threads."""

    def __init__(self, tables: Tables, keys: DataKeys, *, records: bool) -> None:
        """`records`: whether results, states and details are encrypted besides sensitive attributes."""
        self._tables, self.keys, self.records = tables, keys, records
        self._plans: dict[str, str] = {}

    @cached_property
    def _kinds(self) -> Mapping[str, tuple[Mapper[Any], ...]]:
        """The kinds that have such attributes, by the name of their table on disk."""
        found: dict[str, tuple[Mapper[Any], ...]] = {}
        for mapper in self._tables.kinds:
            if mapper.is_sensitive or mapper.records:
                name = self._tables.name(mapper)
                found[name] = (*found.get(name, ()), mapper)
        return found

    @cached_property
    def _names(self) -> Mapping[str, tuple[str, ...]]:
        """Attributes that may be encrypted, by table: another process may take more for sensitive than this one."""
        names = {table: set().union(*map(_may_be, kinds)) for table, kinds in self._kinds.items()}
        names[self._tables.name(KEPT_WITH)].add(DIGEST_KEY)
        return {table: tuple(sorted(found)) for table, found in names.items()}

    def names(self, table: str) -> tuple[str, ...]:
        """Attributes of items in this table that may be encrypted."""
        return self._names.get(table, ())

    def kind_of(self, table: str, key: Key) -> Mapper[Any] | None:
        """The kind with such attributes that has this key."""
        return next((mapper for mapper in self._kinds.get(table, ()) if mapper.keys.parse(key) is not None), None)

    def is_wanted(self, mapper: Mapper[Any], name: str) -> bool:
        """Whether the settings ask for this attribute to be encrypted."""
        return name in mapper.sensitive_attributes or (self.records and name in mapper.record_attributes)

    def opened(self, table: str, item: Item) -> Item:
        """The item with its values decrypted, each of which remembers its ciphertext; changes the item."""
        for name in self._names.get(table, ()):
            if is_ciphertext(item.get(name)):
                item[name] = self._opened(table, item, name)
        return item

    def _opened(self, table: str, item: Item, name: str) -> AttributeValue:
        value, key = item[name], Key(item["PK"]["S"], item["SK"]["S"])
        if isinstance(value, SealedValue):
            return value
        mapper, sealed = self.kind_of(table, key), value["B"]
        place = (mapper.table if mapper is not None else KEPT_WITH.table, *key, name)
        try:
            cipher = self.keys.named(key_name_of(sealed)).cipher
            return SealedValue(decrypted(sealed, place, cipher), sealed, place)
        except UnreadableError as error:
            return SealedValue(value, sealed, place, str(error), error.is_lost)

    def sealed(
        self, table: str, key: Key, values: Mapping[str, AttributeValue], reader: Engine
    ) -> dict[str, AttributeValue]:
        """The attributes of an item with those encrypted that have to be; one that is already stays as it is.

        `reader` tells whose a batch is. Raises ConfigurationError, EngineError.
        """
        found = dict(values)
        if not any(name in values for name in self._names.get(table, ())):
            return found
        mapper = self.kind_of(table, key)
        if mapper is None:
            return found if not is_digest_key(key) else self._sealed_digest_key(key, found)
        said = plan_in_state(values.get(mapper.tells_plan, {})) if mapper.tells_plan is not None else None
        for name, value in values.items():
            place = (mapper.table, *key, name)
            if isinstance(value, SealedValue) and value.place == place:
                continue
            if self.is_wanted(mapper, name) and "NULL" not in value and not is_ciphertext(value):
                name_and_key = self.keys.current(key_owner(self._plan(mapper, key, reader, said)))
                ciphertext = encrypted(dict(value), place, name_and_key.name, name_and_key.cipher)
                found[name] = SealedValue(value, ciphertext, place)
        return found

    def _sealed_digest_key(self, key: Key, item: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        """The item of a key of digests, which who reads it could try account numbers with: see `models.digest_keys`."""
        value = item[DIGEST_KEY]
        if isinstance(value, SealedValue) or is_ciphertext(value):
            return item
        place = (KEPT_WITH.table, *key, DIGEST_KEY)
        used = self.keys.current(self._owner(item.get("scope", {}).get("S", "")))
        return item | {DIGEST_KEY: SealedValue(value, encrypted(value, place, used.name, used.cipher), place)}

    def keyed_digest(self, table: str, key: Key, name: str, digest: str, reader: Engine) -> str | None:
        """HMAC of the digest of an attribute with its plan's key; None for an attribute that is not encrypted."""
        kind = self.kind_of(table, key)
        if kind is None or not self.is_wanted(kind, name):
            return None
        used = self.keys.current(key_owner(self._plan(kind, key, reader, None)))
        code = hmac.new(used.derived(b"digest"), digest.encode(), hashlib.sha256)
        return f"hmac-sha256:{used.name.key_id}:{code.hexdigest()}"

    def digest_key(self, scope: str) -> tuple[str, bytes]:
        """The id of a key of the plan that a partition (`{table}/{PK}`) belongs to, and what of it digests take.

        Raises ConfigurationError, EngineError.
        """
        used = self.keys.current(self._owner(scope))
        return used.name.key_id, used.derived(DIGESTS)

    def digest_key_again(self, scope: str, key_id: str) -> bytes | None:
        """The same of a key by its id; None for one that was dropped, or cannot be read here. Raises EngineError."""
        try:
            return self.keys.named(KeyName(self._owner(scope), key_id)).derived(DIGESTS)
        except UnreadableError:
            return None

    def _owner(self, scope: str) -> str:
        table, _, pk = scope.partition("/")
        return key_owner(self._plan_of_trail(table, pk))

    def _plan(self, mapper: Mapper[Any], key: Key, reader: Engine, said: str | None) -> str | None:
        """Whose an item is; None for what belongs to no plan."""
        identity: Mapping[str, Any] = mapper.keys.parse(key) or {}
        if identity.get("plan_id") is not None:
            return str(identity["plan_id"])
        if identity.get("batch_id") is not None:
            return self._plan_of_batch(key.pk, reader, said)
        if identity.get("partition") is not None:
            return self._plan_of_trail(identity["table"], identity["partition"])
        return None

    def _plan_of_batch(self, pk: str, reader: Engine, said: str | None) -> str | None:
        """That of a batch never changes, so it is read once; not what a unit that may be dropped says of it.

        Of a batch that has no typed state, what an agent of the drop-in `said` in its own.
        """
        plans = self._plans
        if pk not in plans:
            table = self._tables.name(BATCH_STATE)
            keys = [Key(pk, mapper.keys.sort.prefix) for mapper in (BATCH_STATE, FREE_STATE)]
            found = reader.get(table, keys, consistent=True)
            state, free = (found.get(key, {}) for key in keys)
            plan: str | None = state.get("plan_id", {}).get("S") or said or plan_in_state(free.get("state", {}))
            uncommitted = isinstance(reader, StagedEngine) and any((table, key) in reader.writes for key in keys)
            if plan is None or uncommitted:
                return plan
            if len(plans) >= BATCHES_KEPT:
                plans = self._plans = {}
            plans[pk] = plan
        return plans[pk]

    def _plan_of_trail(self, table: str, pk: str) -> str | None:
        for mapper in self._tables.kinds:
            if mapper.holds_keys:
                continue  # whose key was dropped, not one of its own may tell
            if mapper.table == table and (found := mapper.keys.partition_identity(pk)) is not None:
                return found.get("plan_id")
        return None


def plan_in_state(state: AttributeValue) -> str | None:
    """The plan that an agent's own state of a batch names; None for none, and for what is no plan's name."""
    for name in ("plan_id", "client_id"):
        text = state.get("M", {}).get(name, {}).get("S")
        with suppress(InvalidKeyError):
            return check_plan(text)
    return None


def _may_be(mapper: Mapper[Any]) -> set[str]:
    known = {attribute.attr_name for name, attribute in mapper.attributes.items() if name not in mapper.keys.fields}
    return known if mapper.is_sensitive else set(mapper.record_attributes)
