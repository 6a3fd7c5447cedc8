"""Several writes of one item as one: a transaction takes each item once (AWS limit)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bluestar_store.engines.conditions import conflict
from bluestar_store.engines.images import updated
from bluestar_store.protocols import (
    ABSENT,
    ANY,
    EXISTS,
    VERSION,
    AttributeValue,
    Check,
    Delete,
    Item,
    Put,
    Update,
    Write,
)


def folded(first: Write, second: Write) -> Write:
    """The write that does what both do, one after the other, expecting what the first did.

    Raises AlreadyExistsError or VersionConflictError when what the second expects does not hold after the first.
    """
    known = not (isinstance(first, Check) and first.expect is EXISTS and isinstance(second.expect, int))
    if known and (error := conflict(second.table, second.key, second.expect, _left_by(first))) is not None:
        raise error
    expect = first.expect
    if isinstance(first, Check):
        return replace(second, expect=second.expect if expect is EXISTS and second.expect is not ANY else expect)
    match second:
        case Check():
            return first
        case Put():
            return replace(second, expect=expect)
        case Delete():
            # What was made and deleted again leaves nothing, and must not have been there.
            return Check(second.table, second.key, ABSENT) if expect is ABSENT else replace(second, expect=expect)
        case Update():
            return _updating(first, second)


def _updating(first: Put | Update | Delete, second: Update) -> Put | Update:
    match first:
        case Put():
            return replace(first, item=updated(second, first.item))
        case Delete():
            return Put(first.table, updated(second, None), first.expect)
        case Update():
            kept: Mapping[str, AttributeValue] = {k: v for k, v in first.set.items() if k not in second.remove}
            removes = (first.remove - second.set.keys()) | second.remove
            return replace(first, set={**kept, **second.set}, remove=removes)


def _left_by(write: Write) -> Item | None:
    """As much of the item as an expectation looks at; None when there is none."""
    version = {VERSION: {"N": str(write.expect)}} if isinstance(write.expect, int) else {}
    match write:
        case Put():
            return write.item
        case Delete():
            return None
        case Update():
            return {**version, **write.set}
        case Check():
            return None if write.expect is ABSENT else version
