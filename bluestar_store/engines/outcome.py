"""Whether a transaction was written, as far as the items tell it: for when no answer does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bluestar_store.engines.conditions import found_version
from bluestar_store.keys import Key
from bluestar_store.models.values import version_of
from bluestar_store.protocols import AsRead, AttributeValue, Check, Delete, Item, Put, Update, Write


def is_written(writes: Sequence[Write], found: Mapping[tuple[str, Key], Item]) -> bool | None:
    """What these items, all as of one moment, say of the transaction; None where they do not tell.

    An item that is written once (`Put.once`) says it by itself, for all time. Otherwise it was written if every item is
    as the transaction writes it, at least one of them at the version that it writes over another; and it was not if one
    is still at the version it expects, or is another item at the version that it writes. What only is equal proves
    nothing: somebody else may have created an item just like it.
    """
    for write in writes:
        if isinstance(write, Put) and write.once:
            item = found.get((write.table, write.key))
            return _stands(write, item)
    stand, moved = True, False
    for write in writes:
        if isinstance(write, Check):
            continue
        item = found.get((write.table, write.key))
        stands = _stands(write, item)
        stand &= stands
        if (versions := _versions(write)) is None or item is None:
            continue
        version = found_version(item)
        if version == versions[0] or (version == versions[1] and not stands):
            return False
        moved |= version == versions[1]
    return True if stand and moved else None


def _stands(write: Put | Update | Delete, item: Item | None) -> bool:
    """Whether the item is as the write leaves it."""
    match write:
        case Delete():
            return item is None
        case Put():
            return item is not None and _same(item, write.item)
        case Update():
            return (
                item is not None
                and _same({name: item.get(name) for name in write.set}, write.set)
                and not write.remove & item.keys()
            )


def _versions(write: Put | Update | Delete) -> tuple[int, int] | None:
    """The version that the write expects, and the one that it writes over it; None when it does not tell them apart."""
    expected = write.expect.version if isinstance(write.expect, AsRead) else write.expect
    if not isinstance(expected, int) or isinstance(write, Delete):
        return None
    content = write.item if isinstance(write, Put) else write.set
    try:
        written = version_of(content)
    except ValueError:
        return None
    return (expected, written) if written > expected >= 1 else None


def _same(one: Mapping[str, AttributeValue | None], other: Mapping[str, AttributeValue | None]) -> bool:
    return bool(_in_order(one) == _in_order(other))


def _in_order(value: Any) -> Any:
    """The value with the members of its sets in order: DynamoDB keeps none."""
    match value:
        case {"SS": members} | {"NS": members} | {"BS": members} if len(value) == 1:
            return {kind: sorted(members) for kind in value}
        case Mapping():
            return {name: _in_order(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_in_order(inner) for inner in value]
    return value
