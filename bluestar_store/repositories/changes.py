"""Changes: what a put or delete of an entity means for its item, without yet writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from bluestar_store.errors import AlreadyExistsError, ItemDecodeError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.models.entity import Entity
from bluestar_store.models.kind import Kind
from bluestar_store.models.values import version_of
from bluestar_store.protocols import (
    ABSENT,
    ACTOR,
    ANY,
    VERSION,
    AttributeValue,
    Check,
    Delete,
    Expected,
    Item,
    Put,
    Update,
    Write,
    key_of,
)
from bluestar_store.repositories.access import Access

E = TypeVar("E", bound=Entity)

PutExpectation: TypeAlias = Expected | int | None
"""ABSENT, ANY or a version; None: the version it was read at, or, for a fresh entity, whatever is there."""


@dataclass(frozen=True)
class Change:
    """One write, the item that it found and the one that it leaves; empty where there is none.

    `settled` is False where a conflict does not answer the caller's expectation but only means: look again.
    """

    write: Write
    before: Item
    after: Item
    settled: bool


def put_change(
    access: Access,
    kind: Kind[E],
    entity: E,
    expected: PutExpectation = None,
    *,
    bookkeeping: Mapping[str, AttributeValue] | None = None,
) -> Change:
    """The change that puts an entity. Reads the item first, consistently, unless the entity carries it.

    `bookkeeping` are attributes of the library's own to set besides. Raises InvalidEntityError, InvalidKeyError,
    AlreadyExistsError or VersionConflictError.
    """
    entity = kind.validated(entity)
    own = bookkeeping or {}
    if entity.origin is not None and expected is None and kind.key(entity) == entity.origin.key:
        known = kind.decode(entity.origin.wire)
        changed = {name for name in kind.attributes if getattr(known, name) != getattr(entity, name)}
        return _update(access, kind, entity, entity.origin.wire, changed, own, settled=True)
    current = current_item(access, kind, entity)
    _expect(access, kind, entity, current, expected)
    settled = expected is ABSENT if current is None else isinstance(expected, int)
    return change_over(access, kind, entity, current, own, settled=settled)


def change_over(
    access: Access,
    kind: Kind[E],
    entity: E,
    current: Item | None,
    bookkeeping: Mapping[str, AttributeValue],
    *,
    settled: bool,
) -> Change:
    """The change that brings a validated entity over the stored item, or into the empty place."""
    if current is not None:
        return _update(access, kind, entity, current, set(kind.attributes), bookkeeping, settled=settled)
    item = {**new_item(kind, entity), **bookkeeping}
    item |= {ACTOR: {"S": access.actor}} if access.actor else {}
    return Change(Put(access.table(kind), item, ABSENT), {}, item, settled)


def new_item(kind: Kind[E], entity: E) -> Item:
    """The item of an entity that is not stored yet. Raises InvalidKeyError, InvalidEntityError."""
    key = kind.keys.build(kind.identity(entity))
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **kind.encode(entity), VERSION: {"N": "1"}}
    return item | {name: {"S": text} for name, text in kind.index_of(entity).items()}


def delete_change(access: Access, kind: Kind[E], entity: E, expected: PutExpectation = None) -> Change:
    """The change that deletes an entity's item; a check that it is absent when nothing is there."""
    if entity.origin is not None and expected is None and kind.key(entity) == entity.origin.key:
        delete = Delete(access.table(kind), entity.origin.key, entity.origin.version)
        return Change(delete, entity.origin.wire, {}, settled=True)
    current = current_item(access, kind, entity)
    _expect(access, kind, entity, current, expected)
    if current is None:
        key = kind.keys.build(kind.identity(entity))
        return Change(Check(access.table(kind), key, ABSENT), {}, {}, settled=False)
    version = item_version(access, kind, current)
    return Change(Delete(access.table(kind), key_of(current), version), current, {}, settled=isinstance(expected, int))


def current_item(access: Access, kind: Kind[E], entity: E) -> Item | None:
    """The stored item of the same identity, read consistently, whatever the width of the number in its key."""
    identity = kind.identity(entity)
    key = kind.keys.build(identity)
    if not kind.keys.sort.numbers:
        return access.engine.get(access.table(kind), [key], consistent=True).get(key)
    found = [item for item in access.partition(kind, key.pk) if kind.keys.parse(key_of(item)) == identity]
    if len(found) > 1:
        raise ambiguous(access.table(kind), key_of(found[0]), key_of(found[1]))
    return found[0] if found else None


def ambiguous(table: str, one: Key, other: Key) -> ItemDecodeError:
    """The error for two items of one identity, `STEP#100` beside `STEP#0100`: neither can be preferred."""
    reason = f"has the same number as SK={other.sk!r}; delete one of them"
    return ItemDecodeError(table, reason, pk=one.pk, sk=one.sk, attribute="SK")


def _expect(access: Access, kind: Kind[E], entity: E, current: Item | None, expected: PutExpectation) -> None:
    if expected is None or expected is ANY:
        return
    place = f"{access.table(kind)}: {kind.keys.build(kind.identity(entity))}"
    if expected is ABSENT:
        if current is not None:
            raise AlreadyExistsError(f"{place}: exists already")
        return
    found = item_version(access, kind, current) if current is not None else None
    if isinstance(expected, int) and found != expected:
        raise VersionConflictError(place, expected, found)
    if current is None:
        raise VersionConflictError(place, None, None)


def item_version(access: Access, kind: Kind[Any], item: Item) -> int:
    """The version of a stored item; ItemDecodeError when it is no whole number."""
    try:
        return version_of(item)
    except ValueError as error:
        key = key_of(item)
        raise ItemDecodeError(access.table(kind), str(error), pk=key.pk, sk=key.sk, attribute=VERSION) from None


def _update(
    access: Access,
    kind: Kind[E],
    entity: E,
    item: Item,
    changed: set[str],
    own: Mapping[str, AttributeValue],
    *,
    settled: bool,
) -> Change:
    """Set and remove the changed fields' attributes and our own, and nothing else."""
    version = item_version(access, kind, item)
    encoded = kind.encode(entity)
    names = {kind.attributes[field].attr_name for field in changed}
    wanted = {name: value for name, value in encoded.items() if name in names}
    wanted |= {name: {"S": text} for name, text in kind.index_of(entity).items()}
    wanted |= own
    wanted |= {ACTOR: {"S": access.actor}} if access.actor else {}
    gone = (names - encoded.keys()) | (kind.index_attributes - kind.index_of(entity).keys())
    gone |= set() if access.actor else {ACTOR}  # whoever wrote before did not write this
    sets = {name: value for name, value in wanted.items() if item.get(name) != value}
    sets[VERSION] = {"N": str(version + 1)}
    removes = frozenset(gone & item.keys())
    after = {name: value for name, value in item.items() if name not in removes} | sets
    return Change(Update(access.table(kind), key_of(item), sets, removes, version), item, after, settled)
