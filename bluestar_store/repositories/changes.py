"""Changes: what a put or delete of an entity means for its item, without yet writing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from bluestar_store.engines.checks import MAX_CONDITIONS, item_bytes
from bluestar_store.engines.conditions import conflict, equal_values
from bluestar_store.errors import AlreadyExistsError, InvalidEntityError, ItemDecodeError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.models.entity import Entity
from bluestar_store.models.kind import Kind
from bluestar_store.models.values import version_of
from bluestar_store.protocols import (
    ABSENT,
    ACTOR,
    ANY,
    OWN_PREFIX,
    VERSION,
    AsRead,
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
from bluestar_store.repositories.inherited import inherited_rule_error

E = TypeVar("E", bound=Entity)

PutExpectation: TypeAlias = Expected | int | None
"""ABSENT, ANY or a version; None: the version it was read at, or, for a fresh entity, whatever is there."""


MAX_OTHER_BYTES = 1024
"""Another program's attribute that is compared, too: all that a transaction compares counts to its 4 MB (AWS limit)."""


@dataclass(frozen=True)
class Change:
    """One write, the item that it found and the one that it leaves; empty where there is none.

    `settled`: a conflict answers the caller's expectation. Else it only means: look again, and tell what is there then.
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
    """The change that puts an entity over what is stored, which is read first, consistently.

    `bookkeeping` are attributes of the library's own to set besides. Raises InheritedRuleError, InvalidEntityError,
    InvalidKeyError, AlreadyExistsError or VersionConflictError.
    """
    refuse_inherited(access, kind, entity)
    entity = kind.validated(entity)
    current = _expected_item(access, kind, entity, expected)
    settled = current is None and expected is ABSENT
    return change_over(access, kind, entity, current, bookkeeping or {}, settled=settled)


def change_over(
    access: Access,
    kind: Kind[E],
    entity: E,
    current: Item | None,
    bookkeeping: Mapping[str, AttributeValue],
    *,
    settled: bool = False,
) -> Change:
    """The change that brings a validated entity over the stored item, or into the empty place.

    It expects the item as it was read.
    """
    if current is not None:
        return _update(access, kind, entity, current, bookkeeping)
    item = {**new_item(kind, entity), **bookkeeping}
    item = {**access.sealed(kind, key_of(item), item)}
    item |= {ACTOR: {"S": access.actor}} if access.actor else {}
    return Change(Put(access.table(kind), item, ABSENT), {}, item, settled)


def new_item(kind: Kind[E], entity: E) -> Item:
    """The item of an entity that is not stored yet. Raises InvalidKeyError, InvalidEntityError."""
    key = kind.keys.build(kind.identity(entity))
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **kind.encode(entity), VERSION: {"N": "1"}}
    return item | {name: {"S": text} for name, text in kind.index_of(entity).items()}


def delete_change(access: Access, kind: Kind[E], entity: E, expected: PutExpectation = None) -> Change:
    """The change that deletes an entity's item; a check that it is absent when nothing is there.

    Raises as `put_change` does.
    """
    refuse_inherited(access, kind, entity)
    current = _expected_item(access, kind, entity, expected)
    if current is None:
        key = kind.keys.build(kind.identity(entity))
        return Change(Check(access.table(kind), key, ABSENT), {}, {}, settled=False)
    delete = Delete(access.table(kind), key_of(current), as_read(access, kind, current))
    return Change(delete, current, {}, settled=False)


def refuse_inherited(access: Access, kind: Kind[E], entity: E) -> None:
    """InheritedRuleError for what a plan inherits, unless it has become another item: the plan's own, mostly."""
    plan_id, origin = entity.inherited_by, entity.origin
    if plan_id is None or (origin is not None and kind.key(entity) != origin.key):
        return
    raise inherited_rule_error(f"{access.table(kind)}: {kind.key(entity)}", entity, plan_id)


def as_read(access: Access, kind: Kind[Any], item: Item, *own: str) -> AsRead:
    """The expectation that the kind's attributes, and others as far as there is room, are still as in this item.

    Not the library's own bookkeeping, which backfills change (its version stands for what it writes itself), but that
    of these names. Raises ItemDecodeError for a version that is none.
    """
    # What the key says too comes last: a conflict names the first that differs.
    fields = sorted(kind.attributes, key=lambda field: field in kind.keys.fields)
    known = {name: item.get(name) for name in (kind.attributes[field].attr_name for field in fields)}
    known |= {name: item.get(name) for name in own}
    foreign = (
        (name, value)
        for name, value in item.items()
        if name not in known and name not in ("PK", "SK", VERSION) and not name.startswith(OWN_PREFIX)
        if item_bytes({name: value}) <= MAX_OTHER_BYTES
    )
    others = dict(islice(foreign, MAX_CONDITIONS - len(known)))
    return AsRead(item_version(access, kind, item), known, others)


def check_as_read(access: Access, kind: Kind[Any], read: Item, current: Item | None) -> None:
    """VersionConflictError when the stored item is not the one that was read: deleted, made again, or changed."""
    expect = replace(as_read(access, kind, read), others={})
    error = conflict(access.table(kind), key_of(read), expect, current)
    if error is None:
        return
    if isinstance(error, VersionConflictError) and current is not None:
        # A program that keeps no versions leaves the name of whoever wrote before it.
        by_us = error.attribute is None or current.get(ACTOR) != read.get(ACTOR)
        writer = current.get(ACTOR, {}).get("S") if by_us else None
        place = error.place
        error = VersionConflictError(error.item, error.expected, error.found, error.attribute, writer)
        error.place = place
    raise error


def _expected_item(access: Access, kind: Kind[E], entity: E, expected: PutExpectation) -> Item | None:
    """The stored item, where it is as the entity was read, or as `expected` says; None where there is none."""
    read = entity.origin
    if read is not None and expected is None and kind.key(entity) == read.key:
        current = access.engine.get(access.table(kind), [read.key], consistent=True).get(read.key)
        check_as_read(access, kind, read.wire, current)
        return current
    current = current_item(access, kind, entity)
    _expect(access, kind, entity, current, expected)
    return current


def current_item(access: Access, kind: Kind[E], entity: E) -> Item | None:
    """The stored item of the same identity, read consistently, whatever the width of the number in its key.

    A number is looked for by a query, which may be behind a transaction; a step that is done again makes sure.
    """
    table, key = access.table(kind), kind.keys.build(kind.identity(entity))
    if not kind.keys.sort.numbers:
        return access.engine.get(table, [key], consistent=True).get(key)
    identity = kind.identity(entity)
    found = [item for item in access.partition(kind, key.pk) if kind.keys.parse(key_of(item)) == identity]
    if access.is_sure():
        found = list(access.engine.get_isolated(table, dict.fromkeys((key, *map(key_of, found)))).values())
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


def _update(access: Access, kind: Kind[E], entity: E, item: Item, own: Mapping[str, AttributeValue]) -> Change:
    """Set and remove the attributes whose values differ, and our own, and nothing else."""
    expect = as_read(access, kind, item)
    encoded, stored = kind.encode(entity), _encoded_again(access, kind, item)
    is_fresh = entity.origin is None or entity.origin.key != key_of(item)
    wanted: dict[str, AttributeValue] = {}
    gone = kind.index_attributes - kind.index_of(entity).keys()
    for name in expect.attributes:
        value = encoded.get(name)
        if name not in item and is_fresh and value is not None:
            wanted[name] = value  # what the key or a default says besides
        elif equal_values(stored.get(name), value):
            continue  # as it is spelled, a NULL too
        elif value is None:
            gone |= {name}
        else:
            wanted[name] = value
    wanted |= {name: {"S": text} for name, text in kind.index_of(entity).items()}
    wanted |= own
    wanted |= {ACTOR: {"S": access.actor}} if access.actor else {}
    gone |= set() if access.actor else {ACTOR}  # whoever wrote before did not write this
    sets = {name: value for name, value in wanted.items() if item.get(name) != value}
    sets = {**access.sealed(kind, key_of(item), sets)}
    sets[VERSION] = {"N": str(expect.version + 1)}
    removes = frozenset(gone & item.keys())
    after = {name: value for name, value in item.items() if name not in removes} | sets
    return Change(Update(access.table(kind), key_of(item), sets, removes, expect), item, after, settled=False)


def _encoded_again(access: Access, kind: Kind[Any], item: Item) -> Mapping[str, AttributeValue]:
    """What a stored item says, as the library would write it; of one that cannot be read, as it is."""
    try:
        return kind.encode(kind.decode(item, access.table(kind)))
    except (ItemDecodeError, InvalidEntityError):
        return {name: value for name, value in item.items() if "NULL" not in value}
