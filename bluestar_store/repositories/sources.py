"""Cache sources: load items and partitions of one kind, and encode them for Redis."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache, partial
from typing import Generic, Self, TypeVar

from pydantic_core import from_json

from bluestar_store.engines.checks import item_bytes
from bluestar_store.engines.item_json import item_from_json, to_json
from bluestar_store.errors import BlueStarError, ItemDecodeError
from bluestar_store.keys import GLOBAL, Key
from bluestar_store.mapping.entity import Entity, Origin, UnreadOrigin
from bluestar_store.mapping.mapper import KEY, Mapper
from bluestar_store.protocols import CacheKey, FailedRead, Item, key_of
from bluestar_store.repositories.digests import is_sensitive
from bluestar_store.repositories.moments import KeyRange, read_levels
from bluestar_store.repositories.session import Session

E = TypeVar("E", bound=Entity)

KEYS_KEPT = 4096
"""Keys that need not be built and checked again, of each repository."""
ENTITY_BYTES, ATTRIBUTE_BYTES = 1400, 300
"""What an entity takes in the process, and each attribute of the item that it remembers, besides what they say.

Measured on CPython 3.11 to 3.13: by this estimate a rule is 0.9 to 1.1 of what it takes.
"""
UNREAD_FACTOR = 8
"""The same by the length of an item's JSON, in which an attribute takes some 40 bytes."""
_UNUSUAL = re.compile(rb'"N(?:S"|"\s*:\s*"(?![0-9.]{1,170}"))').search
"""Finds in the JSON of items what makes it worth looking at their numbers one by one: sets of them, signs, exponents,
more digits than DynamoDB takes. Whoever hides one from this has made an item whose version cannot be asked for."""


class MapperSource(Generic[E]):
    """What sources of items and partitions share. An encoded value names its cache key, which reading it checks."""

    def __init__(self, session: Session, mapper: Mapper[E]) -> None:
        self._session, self._mapper, self._table = session, mapper, session.table(mapper)

    def through(self, session: Session) -> Self:
        """The same for a call that loads through this session. Keys that were built before are shared."""
        if session is self._session:
            return self
        other = copy(self)
        other._session = session  # noqa: SLF001  # the same class
        return other

    @property
    def sensitive(self) -> bool:
        """Whether the values neither leave the process nor are believed from outside it: bank accounts."""
        return self._mapper.is_sensitive

    def _may_leave(self, entities: Iterable[Entity]) -> bool:
        """Whether none of them has what is shown masked, such as an account number that another program put there."""
        return not any(is_sensitive(self._mapper, entity) for entity in entities)

    def _decoded(self, item: Item) -> E | FailedRead:
        try:
            return self._mapper.decode(item, self._table)
        except ItemDecodeError as error:
            return FailedRead(error)


class ItemSource(MapperSource[E]):
    """One item each: an entity, None where there is none, or why it does not decode. The first entity settles."""

    def __init__(self, session: Session, mapper: Mapper[E]) -> None:
        super().__init__(session, mapper)
        self._kept_key = lru_cache(KEYS_KEPT)(self._key)
        self._kept_head = lru_cache(KEYS_KEPT)(self._head)
        self._kept_absence = lru_cache(KEYS_KEPT)(partial(_encoded, entities=()))

    def key(self, cache_key: CacheKey) -> Key:
        """The key of the item of a cache key. Raises InvalidKeyError."""
        try:
            return self._kept_key(cache_key)
        except TypeError:  # it cannot be hashed
            return self._key(cache_key)

    def check(self, cache_keys: Sequence[CacheKey]) -> None:
        """InvalidKeyError for a cache key that cannot be in a table."""
        try:
            for cache_key in cache_keys:
                self._kept_key(cache_key)
        except TypeError:
            for cache_key in cache_keys:
                self._key(cache_key)

    def settles(self, value: E | None) -> bool:
        """See Source."""
        return value is not None

    def load(self, cache_keys: Sequence[CacheKey]) -> Mapping[CacheKey, E | FailedRead | None]:
        """All in one call to the engine.

        Several are read as of one moment: a rule that moves between a plan and GLOBAL is never missing.
        """
        keys = {cache_key: self.key(cache_key) for cache_key in cache_keys}
        engine = self._session.engine
        if len(keys) > 1:
            items = engine.get_isolated(self._table, keys.values())
        else:
            items = engine.get(self._table, keys.values(), consistent=True)
        return {cache_key: self._decoded(items[key]) if key in items else None for cache_key, key in keys.items()}

    def _key(self, cache_key: CacheKey) -> Key:
        return self._mapper.keys.build(dict(zip(self._mapper.keys.fields, cache_key[1:], strict=True)))

    def encode(self, cache_key: CacheKey, value: E | None) -> bytes | None:
        """See Source."""
        if value is not None and not self._may_leave([value]):
            return None
        if value is not None and value.origin is not None:
            item, identity = value.origin.wire, self._mapper.identity(value)
            if self._mapper.reading.entity(item, identity) is not None:
                return self._head(cache_key) + to_json(item).encode()[1:]
        return _encoded(cache_key, [] if value is None else [value])

    def _head(self, cache_key: CacheKey) -> bytes:
        """The beginning of the encoded value of an ordinary item: its identity, before its attributes."""
        mapper = self._mapper
        identity = {"": [mapper.reading.form, *cache_key], **dict(zip(mapper.keys.fields, cache_key[1:], strict=True))}
        return f'{{"{KEY}":{to_json(identity)},'.encode()

    def decode(self, cache_key: CacheKey, data: bytes) -> E | None:
        """See Source."""
        mapper = self._mapper
        if data.startswith(self._kept_head(cache_key)) and _UNUSUAL(data) is None:
            entity = mapper.reading.from_json(data, UnreadOrigin(partial(self._origin, cache_key), data))
            if entity is not None:
                return entity
        if data == self._kept_absence(cache_key):
            return None
        items = _items(cache_key, data, self._table)
        if not items:
            return None
        self._check_key(cache_key, items[0])
        return mapper.decode(items[0], self._table, identity=dict(zip(mapper.keys.fields, cache_key[1:], strict=True)))

    def _origin(self, cache_key: CacheKey, data: bytes) -> Origin:
        """What was not looked at when the value was taken: it comes from Redis, where it may have been forged."""
        key = self._kept_key(cache_key)
        try:
            item = item_from_json(self._table, _items(cache_key, data, self._table)[0])
            self._check_key(cache_key, item)
            return self._mapper.origin(item)
        except (BlueStarError, ValueError, TypeError, LookupError) as error:
            raise ItemDecodeError(
                self._table, f"what Redis has of it cannot be read: {error}", pk=key.pk, sk=key.sk
            ) from None

    def _check_key(self, cache_key: CacheKey, item: Item) -> None:
        if key_of(item) != self._kept_key(cache_key):
            raise ValueError("has the key of another item")

    def weigh(self, value: E | None) -> int:
        """See Source."""
        return 0 if value is None else _weight(value)


class PartitionSource(MapperSource[E]):
    """All items of the kind in a partition: a tuple of entities in order, or why it cannot be read."""

    def __init__(
        self,
        session: Session,
        mapper: Mapper[E],
        in_order: Callable[[Iterable[Item]], tuple[E, ...]],
    ) -> None:
        """`in_order` makes entities of a partition's items."""
        super().__init__(session, mapper)
        self._in_order = in_order
        self._kept_pk = lru_cache(KEYS_KEPT)(self._pk)

    def pk(self, cache_key: CacheKey) -> str:
        """The partition key of a cache key. Raises InvalidKeyError."""
        try:
            return self._kept_pk(cache_key)
        except TypeError:  # it cannot be hashed
            return self._pk(cache_key)

    def settles(self, value: tuple[E, ...]) -> bool:
        """See Source: all partitions are needed."""
        return False

    def load(self, cache_keys: Sequence[CacheKey]) -> Mapping[CacheKey, tuple[E, ...] | FailedRead]:
        """A query each, all at once, and as of one moment: see `moments`."""
        parts = {
            cache_key: KeyRange(self._table, self.pk(cache_key), self._mapper.keys.sort.prefix)
            for cache_key in cache_keys
        }
        levels = [self._level(cache_key) for cache_key in cache_keys] if self._mapper.is_of_level else []
        found = read_levels(self._session, levels, list(parts.values()))
        return {cache_key: self._answer(found[part]) for cache_key, part in parts.items()}

    def _level(self, cache_key: CacheKey) -> str:
        identity = dict(zip(self._mapper.partition_fields, cache_key[1:], strict=True))
        return str(identity.get("plan_id") or GLOBAL)

    def _pk(self, cache_key: CacheKey) -> str:
        return self._mapper.keys.partition(dict(zip(self._mapper.partition_fields, cache_key[1:], strict=True)))

    def _answer(self, items: Iterable[Item]) -> tuple[E, ...] | FailedRead:
        try:
            return self._in_order(items)
        except ItemDecodeError as error:
            return FailedRead(error)

    def encode(self, cache_key: CacheKey, value: tuple[E, ...]) -> bytes | None:
        """See Source."""
        return _encoded(cache_key, value) if self._may_leave(value) else None

    def decode(self, cache_key: CacheKey, data: bytes) -> tuple[E, ...]:
        """See Source."""
        known = dict(zip(self._mapper.partition_fields, cache_key[1:], strict=True))
        decode, sort, pk = self._mapper.decode, self._mapper.keys.sort, {"S": self._kept_pk(cache_key)}
        items = _items(cache_key, data, self._table)
        if any(item["PK"] != pk for item in items):
            raise ValueError("has an item of another partition")
        return tuple(decode(item, self._table, identity=known | (sort.parse(item["SK"]["S"]) or {})) for item in items)

    def weigh(self, value: tuple[E, ...]) -> int:
        """See Source."""
        return sum(map(_weight, value))


def _encoded(cache_key: CacheKey, entities: Iterable[Entity]) -> bytes:
    """The items as they were read, in DynamoDB's JSON: numbers are strings in it, and so stay exact."""
    items = [entity.origin.wire for entity in entities if entity.origin is not None]
    return to_json([cache_key, items]).encode()


def _items(cache_key: CacheKey, data: bytes, table: str) -> list[Item]:
    content = from_json(data)
    if isinstance(content, dict):
        named, items = content.pop(KEY)[""][1:], [content]
    else:
        named, items = content
    if tuple(named) != cache_key or not isinstance(items, list):
        raise ValueError("is the value of another cache key")
    # Only binary values look otherwise in JSON than on the wire.
    look = b'"B"' in data or b'"BS"' in data or _UNUSUAL(data) is not None
    return [item_from_json(table, item) for item in items] if look else items


def _weight(entity: Entity) -> int:
    """Text by its length; whatever contains other values by its size on disk, which is about half of what it takes."""
    origin = entity.origin
    if origin is None:
        return ENTITY_BYTES
    if isinstance(origin, UnreadOrigin):  # what it comes to when somebody asks for the rest
        return ENTITY_BYTES + UNREAD_FACTOR * len(origin.data)
    weight = ENTITY_BYTES + ATTRIBUTE_BYTES * len(origin.wire)
    for value in origin.wire.values():
        for kind, content in value.items():
            if kind == "S":
                weight += len(content)
            elif kind not in ("N", "BOOL", "NULL"):
                weight += 2 * item_bytes({kind: value})
    return weight
