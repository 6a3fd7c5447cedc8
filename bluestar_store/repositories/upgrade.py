"""Backfill: give the items that lack them the library's index attributes, and change nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bluestar_store.errors import ItemDecodeError, VersionConflictError
from bluestar_store.models.kind import Kind
from bluestar_store.models.tables import KINDS, index_specs
from bluestar_store.protocols import Item, Update, key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import item_version


def backfill(access: Access) -> int:
    """How many items got index attributes.

    The version stays, and is checked: an item that changes meanwhile got its attributes from whoever changed it, or
    is found by the next run. An item that does not decode has no place in an index and is left alone.
    """
    return sum(_backfill(access, kind) for kind in KINDS if kind.index_names)


def _backfill(access: Access, kind: Kind[Any]) -> int:
    count = 0
    for item in _lacking(access, kind):
        try:
            entity = kind.decode(item, access.table(kind))
            attributes = {name: {"S": text} for name, text in kind.index(entity).items()}
            if not attributes:
                continue
            version = item_version(access, kind, item)
            access.engine.write(Update(access.table(kind), key_of(item), attributes, expect=version))
        except (ItemDecodeError, VersionConflictError):
            continue
        count += 1
    return count


def _lacking(access: Access, kind: Kind[Any]) -> Iterator[Item]:
    attributes = {spec.partition_attribute for spec in index_specs(kind).values()}
    for attribute in sorted(attributes):
        cursor = None
        while True:
            page = access.engine.scan(
                access.table(kind), sk_prefix=kind.keys.sort.prefix, lacking=attribute, cursor=cursor, consistent=True
            )
            yield from filter(kind.owns, page.items)
            if (cursor := page.cursor) is None:
                break
