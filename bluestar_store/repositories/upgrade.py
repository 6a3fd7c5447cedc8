"""Backfills the library's index attributes on items that lack them, and changes nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from bluestar_store.engines.checks import MAX_WRITES
from bluestar_store.errors import ConflictError, InvalidKeyError, InvalidWriteError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import bare
from bluestar_store.mapping.values import version_of
from bluestar_store.models.index_marks import labels
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import EXISTS, AsRead, Expectation, Item, Update, key_of, scan_pages
from bluestar_store.repositories.index_marks import IndexMarks
from bluestar_store.repositories.session import Session

ATTEMPTS = 10
"""Tries of an item that others change at the same time."""


def indexed_kinds(tables: Tables) -> Mapping[str, tuple[Mapper[Any], ...]]:
    """The kinds that have an index, by the name of their table on disk."""
    found: dict[str, tuple[Mapper[Any], ...]] = {}
    for mapper in tables.kinds:
        if mapper.index_names:
            found[tables.name(mapper)] = (*found.get(tables.name(mapper), ()), mapper)
    return found


def backfill(session: Session, marks: IndexMarks) -> int:
    """Every table's items, and then its mark; returns how many items got index attributes."""
    return sum(renew(session, marks, table) for table in indexed_kinds(session.tables))


def renew(session: Session, marks: IndexMarks, table: str) -> int:
    """One table's. Raises ConflictError when others keep changing an item: then the table is not marked."""
    kinds = indexed_kinds(session.tables)[table]
    began, count, pages_read = session.now(), 0, 0
    prefixes = {mapper.keys.sort.prefix for mapper in kinds}
    # What the filter leaves out is read all the same, but not sent: results and trails beside the batches.
    for items in scan_pages(session.committed, table, sk_prefix=prefixes.pop() if len(prefixes) == 1 else ""):
        count += stamp(session, table, kinds, items)
        pages_read += 1
    marks.completed(table, labels(kinds), began, pages_read)
    return count


def stamp(session: Session, table: str, kinds: Sequence[Mapper[Any]], items: Iterable[Item]) -> int:
    """Give these items of a table the attributes that they lack; returns to how many. Raises as `renew` does.

    The version stays. An item that changes meanwhile is read again.
    """
    updates = iter([update for item in items if (update := missing(table, kinds, item)) is not None])
    count = 0
    while together := list(islice(updates, MAX_WRITES)):
        count += _write(session, kinds, together)
    return count


def missing(table: str, kinds: Iterable[Mapper[Any]], item: Item) -> Update | None:
    """What mends the item's index attributes, missing or copied from another item; None when they are right.

    Of an item that does not decode as a whole, what can be read counts: a list has to find it, and to say what is
    wrong with it.
    """
    mapper = next((mapper for mapper in kinds if mapper.owns(item)), None)
    if mapper is None:
        return None
    try:
        attributes = {name: {"S": text} for name, text in mapper.index_of(_entity(mapper, item)).items()}
    except (ItemDecodeError, InvalidKeyError):
        return None
    sets = {name: value for name, value in attributes.items() if item.get(name) != value}
    stale = frozenset((mapper.index_attributes - attributes.keys()) & item.keys())
    if not sets and not stale:
        return None
    return Update(table, key_of(item), sets, stale, expect=_expectation(mapper, item))


def _entity(mapper: Mapper[Any], item: Item) -> Any:
    try:
        return mapper.decode(item)
    except ItemDecodeError:
        names = (attribute.attr_name for attribute in mapper.attributes.values())
        return bare(mapper, item, mapper.keys.parse(key_of(item)) or {}, *names)


def _expectation(mapper: Mapper[Any], item: Item) -> Expectation:
    """The item as it was read: what another program changes meanwhile may have another place in the index."""
    try:
        version = version_of(item)
    except ValueError:  # that no condition can check
        return EXISTS
    return AsRead(
        version, {attribute.attr_name: item.get(attribute.attr_name) for attribute in mapper.attributes.values()}
    )


def _write(session: Session, kinds: Sequence[Mapper[Any]], updates: Sequence[Update]) -> int:
    """How many were written: all at once, or one by one when somebody changed one of them meanwhile."""
    try:
        session.committed.write(*updates)
    except (ConflictError, InvalidWriteError):  # changed meanwhile; or large items, over 4 MB together
        return sum(_write_one(session, kinds, update) for update in updates)
    return len(updates)


def _write_one(session: Session, kinds: Sequence[Mapper[Any]], update: Update) -> int:
    """Whether it was written: what changed meanwhile may have got its attributes, or be gone."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            session.committed.write(update)
            return 1
        except InvalidWriteError:  # no room for them
            return 0
        except ConflictError:
            if attempt == ATTEMPTS:
                raise
        found = _stored(session, update.table, update.key)
        again = None if found is None else missing(update.table, kinds, found)
        if again is None:
            return 0
        update = again
    return 0


def _stored(session: Session, table: str, key: Key) -> Item | None:
    return session.committed.get(table, [key], consistent=True).get(key)
