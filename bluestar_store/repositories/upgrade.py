"""Backfill: give the items that lack them the library's index attributes, and change nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from bluestar_store.engines.checks import MAX_WRITES
from bluestar_store.errors import ConflictError, InvalidKeyError, InvalidWriteError, ItemDecodeError
from bluestar_store.models.kind import Kind
from bluestar_store.protocols import Item, Update, key_of, scan_pages
from bluestar_store.repositories.access import Access


def backfill(access: Access) -> int:
    """How many items got index attributes.

    The version stays, and is checked: an item that changes meanwhile got its attributes from whoever changed it, or
    is found by the next run. An item that does not decode has no place in an index and is left alone.
    """
    return sum(_backfill(access, kind) for kind in access.tables.kinds if kind.index_names)


def _backfill(access: Access, kind: Kind[Any]) -> int:
    updates = (update for item in _items(access, kind) if (update := _update(access, kind, item)) is not None)
    count = 0
    while together := list(islice(updates, MAX_WRITES)):
        count += _write(access, together)
    return count


def _update(access: Access, kind: Kind[Any], item: Item) -> Update | None:
    """What mends the item's index attributes, missing or copied from another item; None when they are right."""
    try:
        entity = kind.decode(item, access.table(kind))
        attributes = {name: {"S": text} for name, text in kind.index_of(entity).items()}
    except (ItemDecodeError, InvalidKeyError):
        return None
    sets = {name: value for name, value in attributes.items() if item.get(name) != value}
    stale = frozenset((kind.index_attributes - attributes.keys()) & item.keys())
    if not sets and not stale:
        return None
    return Update(access.table(kind), key_of(item), sets, stale, expect=entity.version or 0)


def _write(access: Access, updates: Sequence[Update]) -> int:
    """How many were written: all at once, or one by one when somebody changed one of them meanwhile."""
    try:
        access.engine.write(*updates)
    except (ConflictError, InvalidWriteError):  # changed meanwhile; or large items, over 4 MB together
        if len(updates) == 1:
            return 0
        return sum(_write(access, [update]) for update in updates)
    return len(updates)


def _items(access: Access, kind: Kind[Any]) -> Iterator[Item]:
    for items in scan_pages(access.engine, access.table(kind), sk_prefix=kind.keys.sort.prefix):
        yield from filter(kind.owns, items)
