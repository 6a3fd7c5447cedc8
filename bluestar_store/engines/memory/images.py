"""What writes leave behind: copies of items, and items after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bluestar_store.engines.checks import check_size
from bluestar_store.keys import Key
from bluestar_store.mapping.wire import copied_value
from bluestar_store.protocols import AttributeValue, Item, Update


class Image(NamedTuple):
    """An item after a write; None when the write deleted it."""

    table: str
    key: Key
    item: Item | None


def updated(write: Update, current: Item | None) -> Item:
    """The item after an update of this one. ItemTooLargeError when it would grow too far."""
    item: Item = {"PK": {"S": write.key.pk}, "SK": {"S": write.key.sk}}
    item |= {name: value for name, value in (current or {}).items() if name not in write.remove}
    item |= write.set
    check_size(write.table, write.key, item)
    return item


def copied(item: Mapping[str, AttributeValue]) -> Item:
    """A deep copy of a wire item."""
    return {name: copied_value(value) if type(value) is dict else value.copy() for name, value in item.items()}
