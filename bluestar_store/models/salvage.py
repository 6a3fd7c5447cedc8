"""Entities of items that cannot be read: as much as can be, for whoever is about to mend the item or to delete it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bluestar_store.errors import EncryptedValueError, ItemDecodeError
from bluestar_store.models.entity import Entity, Origin
from bluestar_store.models.kind import Kind
from bluestar_store.protocols import Item

E = TypeVar("E", bound=Entity)


class BrokenOrigin(Origin):
    """Where an entity was read of which attributes were left out, `broken`: by their names on disk."""

    __slots__ = ("broken",)
    broken: frozenset[str]

    def __init__(self, wire: Item, version: int, extra: Mapping[str, Any], broken: frozenset[str]) -> None:
        super().__init__(wire, version, extra)
        object.__setattr__(self, "broken", broken)

    def __reduce__(self) -> tuple[Any, ...]:
        return BrokenOrigin, (self.wire, self.version, self.extra, self.broken)


def salvaged(kind: Kind[E], item: Item, table: str | None = None) -> E:
    """The entity in an item; without the attributes that are no values of its fields, see `broken_attributes`.

    A write of it is checked against the whole item, as any entity's is. Raises ItemDecodeError where that is not enough
    (the key is wrong, or a field has to have a value), and EncryptedValueError: who cannot read a value is not to write
    over it unseen.
    """
    left = dict(item)
    while True:
        try:
            entity = kind.decode(left, table)
        except EncryptedValueError:
            raise
        except ItemDecodeError as error:
            if error.attribute not in left or error.attribute in ("PK", "SK"):
                raise
            del left[error.attribute]
            continue
        origin = entity.origin
        if len(left) == len(item) or origin is None:
            return entity
        return entity.read_from(BrokenOrigin(item, origin.version, origin.extra, frozenset(item.keys() - left.keys())))


def broken_attributes(entity: Entity | None) -> frozenset[str]:
    """The attributes on disk that could not be read, of an entity that was `salvaged`; else none."""
    origin = entity.origin if entity is not None else None
    return origin.broken if isinstance(origin, BrokenOrigin) else frozenset()
