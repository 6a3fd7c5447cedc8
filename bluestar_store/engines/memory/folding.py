"""Several writes of one item as one: a transaction takes each item once (AWS limit)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bluestar_store.engines.conditions import conflict, updated
from bluestar_store.errors import InvalidWriteError
from bluestar_store.protocols import (
    ABSENT,
    ANY,
    EXISTS,
    VERSION,
    AsRead,
    AttributeValue,
    Check,
    Delete,
    Expectation,
    Expected,
    Fits,
    Item,
    Put,
    Update,
    Write,
)


def folded(first: Write, second: Write) -> Write:
    """The write that does what both do, one after the other, expecting what the first did.

    What the second expects of attributes that the first says nothing of is expected besides. Raises AlreadyExistsError
    or VersionConflictError when what the second expects does not hold after the first; InvalidWriteError for a second
    one that expects an item as read after a first one that expects no version.
    """
    if isinstance(first, Check) and isinstance(first.expect, Fits):
        return _after_fits(first.expect, second)
    known = not (isinstance(first, Check) and first.expect is EXISTS and isinstance(second.expect, int | AsRead))
    told, untold = _divided(second.expect, first)
    if known and (error := conflict(second.table, second.key, told, _left_by(first))) is not None:
        raise error
    if isinstance(first, Check) and first.expect is EXISTS:
        return second if second.expect is not ANY else replace(second, expect=EXISTS)
    expect = _with(first.expect, untold, second)
    if expect is ANY and isinstance(first, Update) and isinstance(second.expect, Fits):
        told_of = first.set.keys() | first.remove
        expect = Fits(tuple(test for test in second.expect.tests if test.attribute not in told_of))
    if isinstance(first, Check):
        return replace(second, expect=expect)
    match second:
        case Check():
            return replace(first, expect=expect)
        case Put():
            return replace(second, expect=expect)
        case Delete():
            # What was made and deleted again leaves nothing, and must not have been there.
            return Check(second.table, second.key, ABSENT) if expect is ABSENT else replace(second, expect=expect)
        case Update():
            return replace(_updating(first, second), expect=expect)


def _after_fits(first: Fits, second: Write) -> Write:
    """What does the second, expecting what both do: what is expected as it was read says whether it fits."""
    match second.expect:
        case Fits():
            return replace(second, expect=Fits((*first.tests, *second.expect.tests)))
        case Expected.ANY:
            return replace(second, expect=first)
        case Expected.ABSENT | AsRead():
            found = None if second.expect is ABSENT else _expected(second.expect)
            if (error := conflict(second.table, second.key, first, found)) is not None:
                raise error
            return second
    raise InvalidWriteError(
        f"{second.table}: {second.key}: a write that expects no more than a version, after one that expects more"
    )


def _divided(expect: Expectation, first: Write) -> tuple[Expectation, AsRead | None]:
    """What is expected of attributes that the first write tells of, and of those that it leaves as they are."""
    if not isinstance(expect, AsRead) or isinstance(first, Put | Delete) or first.expect is ABSENT:
        return expect, None
    names = set(first.expect.all_attributes) if isinstance(first.expect, AsRead) else set()
    if isinstance(first, Update):
        names |= first.set.keys() | first.remove
    told = {name: value for name, value in expect.all_attributes.items() if name in names}
    attributes = {name: value for name, value in expect.attributes.items() if name not in names}
    others = {name: value for name, value in expect.others.items() if name not in names}
    untold = AsRead(expect.version, attributes, others) if attributes or others else None
    return AsRead(expect.version, told), untold


def _with(expect: Expectation, untold: AsRead | None, second: Write) -> Expectation:
    match expect:
        case _ if untold is None:
            return expect
        case AsRead():
            attributes, others = {**expect.attributes, **untold.attributes}, {**expect.others, **untold.others}
            return AsRead(expect.version, attributes, others)
        case int():
            return replace(untold, version=expect)
    raise InvalidWriteError(
        f"{second.table}: {second.key}: is to be as it was read, after a write in the same unit that expects no version"
    )


def _updating(first: Put | Update | Delete, second: Update) -> Put | Update:
    match first:
        case Put():
            return replace(first, item=updated(second, first.item))
        case Delete():
            return Put(first.table, updated(second, None))
        case Update():
            kept: Mapping[str, AttributeValue] = {k: v for k, v in first.set.items() if k not in second.remove}
            removes = (first.remove - second.set.keys()) | second.remove
            return replace(first, set={**kept, **second.set}, remove=removes)


def _left_by(write: Write) -> Item | None:
    """As much of the item as an expectation looks at; None when there is none."""
    match write:
        case Put():
            return write.item
        case Delete():
            return None
        case Update():
            before = {name: value for name, value in _expected(write.expect).items() if name not in write.remove}
            return {**before, **write.set}
        case Check():
            return None if write.expect is ABSENT else _expected(write.expect)


def _expected(expect: Expectation) -> Item:
    """What is known of an item that is as expected."""
    match expect:
        case int():
            return {VERSION: {"N": str(expect)}}
        case AsRead():
            found = {name: value for name, value in expect.all_attributes.items() if value is not None}
            return ({} if expect.version is None else {VERSION: {"N": str(expect.version)}}) | found
    return {}
