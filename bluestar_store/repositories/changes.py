"""Changes: what a put or delete of an entity means for its item, without yet writing it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

from bluestar_store.checks.meaning import Level, declared
from bluestar_store.engines.checks import MAX_CONDITIONS, item_bytes
from bluestar_store.engines.conditions import conflict, equal_values
from bluestar_store.errors import AlreadyExistsError, InvalidEntityError, ItemDecodeError, VersionConflictError
from bluestar_store.keys import Key, check_new_identifier
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import broken_attributes, salvaged
from bluestar_store.mapping.values import version_of
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
    Place,
    Put,
    Update,
    Write,
    key_of,
)
from bluestar_store.repositories.inherited import inherited_rule_error
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.repositories.stored_items import Wanted

E = TypeVar("E", bound=Entity)

PutExpectation: TypeAlias = Expected | int | None
"""ABSENT, ANY or a version; None: the version it was read at, or, for a fresh entity, whatever is there."""


MAX_OTHER_BYTES = 1024
"""Another program's attribute that is compared, too: all that a transaction compares counts to its 4 MB (AWS limit)."""


@dataclass(frozen=True)
class Target(Generic[E]):
    """The entity that a put or delete is about, where its item lies, and what is expected of it."""

    mapper: Mapper[E]
    entity: E
    expected: PutExpectation
    identity: Mapping[str, Any]
    key: Key
    """Where the library puts it."""
    read_at: Key | None
    """Where the item lay that the entity was read from, if that is expected there, as it was read."""

    @classmethod
    def of(cls, mapper: Mapper[E], entity: E, expected: PutExpectation) -> Target[E]:
        """Raises InvalidKeyError."""
        identity = mapper.identity(entity)
        key = mapper.keys.build(identity)
        read_at = entity.origin.key if entity.origin is not None and expected is None else None
        if read_at not in (None, key) and mapper.keys.parse(read_at) != identity:
            read_at = None
        return cls(mapper, entity, expected, identity, key, read_at)

    @property
    def wanted(self) -> Wanted:
        """What has to be read to plan its change: the very item that the entity was read from, mostly."""
        known = None if self.mapper.keys.sort.numbers else self.key
        return Wanted(self.mapper, self.identity, self.read_at or known)


@dataclass
class PlannedWrite:
    """One write of an entity's item, the item that it found and the one that it leaves; empty where there is none.

    `settled`: a conflict answers the caller's expectation. Else it only means: look again, and tell what is there then.
    `identity`: what the keys of both items say; None: they are parsed. Both items are decoded once at most.
    """

    mapper: Mapper[Any]
    write: Write
    before: Item
    after: Item
    settled: bool
    identity: Mapping[str, Any] | None = None
    read: Entity | None = None
    """What `before` was read as, if it was."""
    _left: Entity | None = None

    def entity_before(self) -> Entity:
        """What `before` says. Raises ItemDecodeError."""
        if self.read is None:
            self.read = self.mapper.decode(self.before, self.write.table, identity=self.identity)
        return self.read

    def entity_after(self) -> Entity:
        """What `after` says. Raises ItemDecodeError."""
        if self._left is None:
            self._left = self.mapper.decode(self.after, self.write.table, identity=self.identity)
        return self._left


def put_change(session: Session, target: Target[Any], current: Item | None) -> PlannedWrite:
    """The change that puts a validated entity over the stored item, what was read of `target.wanted`.

    Raises InvalidEntityError, InvalidKeyError, AlreadyExistsError or VersionConflictError.
    """
    _check_expected(session, target, current)
    if current is not None:
        return _update(session, target.mapper, target.entity, target.identity, current, {})
    check_new(target.mapper, target.entity)
    return change_over(session, target.mapper, target.entity, None, {}, settled=target.expected is ABSENT)


def change_over(
    session: Session,
    mapper: Mapper[E],
    entity: E,
    current: Item | None,
    bookkeeping: Mapping[str, AttributeValue],
    *,
    settled: bool = False,
) -> PlannedWrite:
    """The change that brings a validated entity over the stored item, or into the empty place.

    It expects the item as it was read.
    """
    if current is not None:
        return _update(session, mapper, entity, mapper.identity(entity), current, bookkeeping)
    _check_meaning(session, mapper, entity)
    item = {**new_item(mapper, entity), **bookkeeping}
    item = {**session.sealed(mapper, key_of(item), item)}
    item |= {ACTOR: {"S": session.actor}} if session.actor else {}
    return PlannedWrite(mapper, Put(session.table(mapper), item, ABSENT), {}, item, settled, mapper.identity(entity))


def check_new(mapper: Mapper[E], entity: E) -> None:
    """InvalidKeyError for an identity that items may have, and no new one is given: see `check_new_identifier`.

    Alike for what the entity names and is not its own key: the plan of a batch or of a vendor's schema.
    """
    named = {name: getattr(entity, name, None) for name in ("plan_id", "pay_freq", "batch_id")}
    for name, value in (named | mapper.identity(entity)).items():
        if isinstance(value, str):
            check_new_identifier(name, value)


def new_item(mapper: Mapper[E], entity: E, key: Key | None = None) -> Item:
    """The item of an entity that is not stored yet; `key` is its own. Raises InvalidKeyError, InvalidEntityError."""
    key = mapper.keys.build(mapper.identity(entity)) if key is None else key
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **mapper.encode(entity), VERSION: {"N": "1"}}
    return item | {name: {"S": text} for name, text in mapper.index_of(entity).items()}


def update_of(
    session: Session,
    mapper: Mapper[Any],
    place: Place,
    item: Item,
    sets: Mapping[str, AttributeValue],
    removes: Collection[str] = (),
) -> Update:
    """The update that sets and removes attributes of the item that was read at a place, and counts its version.

    What is to be encrypted is sealed in `sets` already.
    """
    expect = as_read(mapper, item)
    sets = {**sets, VERSION: {"N": str((expect.version or 0) + 1)}}
    if not session.actor:
        removes = {*removes, ACTOR}  # whoever wrote before did not write this
    elif item.get(ACTOR) != (actor := {"S": session.actor}):
        sets[ACTOR] = actor
    return Update(*place, sets, frozenset(item.keys() & removes), expect)


def item_after(update: Update, item: Item) -> Item:
    """What an update of an item leaves."""
    return {**{name: value for name, value in item.items() if name not in update.remove}, **update.set}


def delete_change(session: Session, target: Target[Any], current: Item | None) -> PlannedWrite:
    """The change that deletes the stored item of an entity; a check that it is absent when nothing is there.

    Raises InheritedRuleError, InvalidKeyError or VersionConflictError.
    """
    mapper, table = target.mapper, session.table(target.mapper)
    refuse_inherited(session, mapper, target.entity)
    _check_expected(session, target, current)
    if current is None:
        return PlannedWrite(mapper, Check(table, target.key, ABSENT), {}, {}, settled=False)
    delete = Delete(table, key_of(current), as_read(mapper, current))
    return PlannedWrite(mapper, delete, current, {}, settled=False, identity=target.identity)


def refuse_inherited(parts: StoreParts, mapper: Mapper[E], entity: E) -> None:
    """InheritedRuleError for what a plan inherits, unless it has become the plan's own.

    Of an entity without a level, a vendor's schema, any other item than the one that was read counts as that.
    """
    plan_id, origin = entity.inherited_by, entity.origin
    if plan_id is None:
        return
    if not isinstance(entity, PlanEntity) and origin is not None and mapper.key(entity) != origin.key:
        return
    raise inherited_rule_error(f"{parts.table(mapper)}: {mapper.key(entity)}", entity, plan_id)


def as_read(mapper: Mapper[Any], item: Item, *own: str) -> AsRead:
    """The expectation that the kind's attributes, and others as far as there is room, are still as in this item.

    Not the library's own bookkeeping, which backfills change (its version stands for what it writes itself), but that
    of these names.
    """
    known = {name: item.get(name) for name in (*mapper.compared, *own)}
    version: int | None = None
    try:
        version = version_of(item)
    except ValueError:  # another program's, which counts nothing
        known[VERSION] = item[VERSION]
    foreign = (
        (name, value)
        for name, value in item.items()
        if name not in known and name not in ("PK", "SK", VERSION) and not name.startswith(OWN_PREFIX)
        if item_bytes({name: value}) <= MAX_OTHER_BYTES
    )
    others = dict(islice(foreign, MAX_CONDITIONS - len(known)))
    return AsRead(version, known, others)


def check_as_read(session: Session, mapper: Mapper[Any], read: Item, current: Item | None) -> None:
    """VersionConflictError when the stored item is not the one that was read: deleted, made again, or changed."""
    if current == read:
        return
    if current is not None and key_of(current) != key_of(read):
        current = None  # it lies under another spelling of its number: it was made again
    expect = replace(as_read(mapper, read), others={})
    error = conflict(session.table(mapper), key_of(read), expect, current)
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


def _check_expected(session: Session, target: Target[Any], current: Item | None) -> None:
    """AlreadyExistsError or VersionConflictError unless the stored item is as it was read, or as `expected` says."""
    if target.read_at is not None and (origin := target.entity.origin) is not None:
        check_as_read(session, target.mapper, origin.wire, current)
    else:
        _expect(session, target, current)


def _expect(session: Session, target: Target[Any], current: Item | None) -> None:
    mapper, expected = target.mapper, target.expected
    if expected is ANY:
        return
    if expected is None:
        if current is not None:
            item_version(session, mapper, current)  # who counts otherwise is written over by who says so only
        return
    place = f"{session.table(mapper)}: {target.key}"
    if expected is ABSENT:
        if current is not None:
            raise AlreadyExistsError(f"{place}: exists already")
        return
    found = item_version(session, mapper, current) if current is not None else None
    if isinstance(expected, int) and found != expected:
        raise VersionConflictError(place, expected, found)
    if current is None:
        raise VersionConflictError(place, None, None)


def item_version(session: Session, mapper: Mapper[Any], item: Item) -> int:
    """The version of a stored item; ItemDecodeError when it is no whole number."""
    try:
        return version_of(item)
    except ValueError as error:
        key = key_of(item)
        raise ItemDecodeError(session.table(mapper), str(error), pk=key.pk, sk=key.sk, attribute=VERSION) from None


def _update(
    session: Session,
    mapper: Mapper[E],
    entity: E,
    identity: Mapping[str, Any],
    item: Item,
    own: Mapping[str, AttributeValue],
) -> PlannedWrite:
    """Set and remove the attributes whose values differ, and our own, and nothing else."""
    table, key = session.table(mapper), key_of(item)
    encoded, index = mapper.encode(entity), mapper.index_of(entity)
    stored, read = None, None
    is_fresh = entity.origin is None or entity.origin.key != key
    wanted: dict[str, AttributeValue] = {}
    gone = mapper.index_attributes - index.keys()
    for name in mapper.compared:
        value = encoded.get(name)
        if name not in item and is_fresh and value is not None:
            wanted[name] = value  # what the key or a default says besides
            continue
        if value == item.get(name):
            continue
        if stored is None:
            read, stored = _encoded_again(mapper, item, table, identity)
        if equal_values(stored.get(name), value):
            continue  # as it is spelled, a NULL too
        if value is None:
            gone |= {name}
        else:
            wanted[name] = value
    wanted |= {name: {"S": text} for name, text in index.items()}
    wanted |= own
    sets = {name: value for name, value in wanted.items() if item.get(name) != value}
    if declared(mapper.entity):
        new = {field for field, attribute in mapper.attributes.items() if attribute.attr_name in {*sets, *gone}}
        _check_meaning(session, mapper, entity, new.difference(mapper.keys.fields))
    update = update_of(session, mapper, (table, key), item, session.sealed(mapper, key, sets), gone)
    return PlannedWrite(mapper, update, item, item_after(update, item), False, identity, read)


def _check_meaning(session: Session, mapper: Mapper[E], entity: E, fields: Collection[str] | None = None) -> None:
    """InvalidEntityError for what a check declared beside a field (of these, if given) knows to be wrong."""
    found = session.checks.findings(entity, fields)
    if wrong := [str(finding) for finding in found if finding.level is Level.WRONG]:
        raise InvalidEntityError(f"{mapper.entity.__name__}: {'; '.join(wrong)}")


def _encoded_again(
    mapper: Mapper[E], item: Item, table: str, identity: Mapping[str, Any]
) -> tuple[E | None, Mapping[str, AttributeValue]]:
    """The stored entity, if all of it can be read, and what its item says, as the library would write it.

    What of it cannot be read is given as it is.
    """
    try:
        read = mapper.decode(item, table, identity=identity)
        return read, mapper.encode(read)
    except (ItemDecodeError, InvalidEntityError):
        pass
    try:
        entity = salvaged(mapper, item, table, identity)
        return None, {**mapper.encode(entity), **{name: item[name] for name in broken_attributes(entity)}}
    except (ItemDecodeError, InvalidEntityError):
        return None, {name: value for name, value in item.items() if "NULL" not in value}
