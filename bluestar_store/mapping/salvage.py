"""Entities of items that cannot be read: as much as can be, for whoever is about to mend the item or to delete it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bluestar_store.errors import EncryptedValueError, ItemDecodeError
from bluestar_store.mapping.entity import Entity, Origin
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import lost_in
from bluestar_store.protocols import Item

E = TypeVar("E", bound=Entity)

UNREADABLE = "(cannot be read)"
"""Stands for a stored value that is none of its field."""
DROPPED = "(nobody can read it again: its key was dropped)"
"""Stands for a stored value that was encrypted with a key that is no more."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BrokenOrigin(Origin):
    """Where an entity was read of which attributes were left out, `broken`: by their names on disk."""

    broken: frozenset[str] = frozenset()

    def __reduce__(self) -> tuple[Any, ...]:
        return BrokenOrigin, (self.wire, self.version, self.extra, self.stale, self.broken)


def salvaged(mapper: Mapper[E], item: Item, table: str | None = None, identity: Mapping[str, Any] | None = None) -> E:
    """The entity in an item; without the attributes that are no values of its fields, see `broken_attributes`.

    A write of it is checked against the whole item, as any entity's is. Raises ItemDecodeError where that is not enough
    (the key is wrong, or a field has to have a value), and EncryptedValueError for a value that somebody else may read:
    who cannot is not to write over it unseen. What was encrypted with a key that was dropped nobody can read again: it
    is left out.
    """
    left = dict(item)
    while True:
        try:
            entity = mapper.decode(left, table, identity=identity)
        except ItemDecodeError as error:
            if isinstance(error, EncryptedValueError) and not error.is_lost:
                raise
            if error.attribute not in left or error.attribute in ("PK", "SK"):
                raise
            del left[error.attribute]
            continue
        return _of_whole(item, left, entity)


def without_lost(mapper: Mapper[E], item: Item, table: str | None = None) -> E:
    """The entity in an item, without the values whose key was dropped: its `unreadable` names them.

    Raises ItemDecodeError for anything else that cannot be read.
    """
    lost = lost_in(item)
    if not lost:
        return mapper.decode(item, table)
    left = {name: value for name, value in item.items() if name not in lost}
    return _of_whole(item, left, mapper.decode(left, table))


def _of_whole(item: Item, left: Item, entity: E) -> E:
    """The entity that was read from what is `left` of an item, as one that was read from the whole."""
    origin = entity.origin
    if len(left) == len(item) or origin is None:
        return entity
    broken = frozenset(item.keys() - left.keys())
    return entity.read_from(BrokenOrigin(item, origin.version, origin.extra, broken=broken))


def bare(mapper: Mapper[E], item: Item, identity: Mapping[str, Any], *names: str) -> E:
    """An entity that knows its identity and these attributes, as far as they can be read; its origin is the item."""
    read = {name: item[name] for name in ("PK", "SK", *names) if name in item}
    while True:
        try:
            entity = mapper.decode(read, identity=identity)
        except ItemDecodeError as error:
            if error.attribute not in names or read.pop(error.attribute, None) is None:
                raise
        else:
            if (origin := entity.origin) is not None:
                entity.read_from(Origin(item, origin.version, origin.extra))
            return entity


def stand_ins(entity: Entity | None) -> Mapping[str, str]:
    """What stands for the values that could not be read, by their attributes on disk: UNREADABLE or DROPPED."""
    lost = entity.unreadable if entity is not None else ()
    return {name: DROPPED if name in lost else UNREADABLE for name in broken_attributes(entity)}


def broken_attributes(entity: Entity | None) -> frozenset[str]:
    """The attributes on disk that could not be read, of an entity that was `salvaged`; else none."""
    origin = entity.origin if entity is not None else None
    return origin.broken if isinstance(origin, BrokenOrigin) else frozenset()
