"""What writes leave behind: copies of items, and items after a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bluestar_store.engines.checks import check_size
from bluestar_store.keys import Key
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
    return {name: _copy(value) for name, value in item.items()}


def _copy(value: AttributeValue) -> dict[str, Any]:
    if type(value) is not dict:  # one that knows its ciphertext: see `models.sealed`
        return value.copy()
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": copied(content)}
    if kind == "L":
        return {"L": [_copy(inner) for inner in content]}
    return {kind: list(content) if isinstance(content, list) else content}
