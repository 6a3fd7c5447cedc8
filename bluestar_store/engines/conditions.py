"""What a write finds and leaves: whether the item is as the write expects it, and the item after it."""

from __future__ import annotations

from collections.abc import Iterable

from bluestar_store.engines.checks import check_sizes
from bluestar_store.errors import AlreadyExistsError, ConflictError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.mapping.values import version_of
from bluestar_store.mapping.wire import comparable
from bluestar_store.protocols import (
    VERSION,
    AsRead,
    AttributeValue,
    Delete,
    Expectation,
    Expected,
    Fit,
    Fits,
    Item,
    Place,
    Put,
    Update,
    Write,
)

SPELLED_ONE_WAY = frozenset(("S", "B", "BOOL", "NULL"))
"""Types of which each value has one spelling."""


def equal_values(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether DynamoDB's `=` holds: of one type, numbers by value, sets in any order. None equals None only."""
    if one is None or other is None:
        return one is other
    if one == other:
        return True
    return not SPELLED_ONE_WAY.issuperset(one) and one.keys() == other.keys() and comparable(one) == comparable(other)


def found_version(item: Item | None) -> int | None:
    """The version of an item: None when there is none, -1 for a `version` that is no whole number."""
    if item is None:
        return None
    try:
        return version_of(item)
    except ValueError:
        return -1


def left_behind(found: Iterable[tuple[Place, Write, Item | None]]) -> list[tuple[Place, Item | None]]:
    """The items after a transaction, by what is stored where it writes; a Check leaves none.

    Raises for the first expectation that does not hold, and ItemTooLargeError.
    """
    left: list[tuple[Place, Item | None]] = []
    for place, write, item in found:
        if (error := _conflict(write.expect, item, place)) is not None:
            raise error
        match write:
            case Put():
                left.append((place, write.item))
            case Delete():
                left.append((place, None))
            case Update():
                left.append((place, _updated(write, item)))
    check_sizes((place, item) for place, item in left if item is not None)
    return left


def updated(write: Update, current: Item | None) -> Item:
    """The item after an update of this one. ItemTooLargeError when it would grow too far."""
    item = _updated(write, current)
    check_sizes([((write.table, write.key), item)])
    return item


def _updated(write: Update, current: Item | None) -> Item:
    key: Item = {"PK": {"S": write.key.pk}, "SK": {"S": write.key.sk}}
    kept = {name: value for name, value in (current or {}).items() if name not in write.remove}
    return {**key, **kept, **write.set}


def conflict(table: str, key: Key, expect: Expectation, item: Item | None) -> ConflictError | None:
    """The error when the stored `item` (None: there is none) is not as expected; None when it is."""
    return _conflict(expect, item, (table, key))


def _conflict(expect: Expectation, item: Item | None, place: Place) -> ConflictError | None:
    if (error := _unexpected(expect, item, place)) is not None:
        error.place = place
    return error


def _unexpected(expect: Expectation, item: Item | None, place: Place) -> ConflictError | None:
    match expect:
        case Expected.ANY:
            return None
        case Expected.ABSENT:
            return AlreadyExistsError(f"{_named(place)}: exists already") if item is not None else None
        case Expected.EXISTS:
            return VersionConflictError(_named(place), None, None) if item is None else None
        case int():
            return _other_version(expect, item, place)
        case AsRead():
            if expect.version is not None:
                error: ConflictError | None = _other_version(expect.version, item, place)
            else:
                error = VersionConflictError(_named(place), None, None) if item is None else None
            return error or _changed(expect, item or {}, place)
        case Fits():
            failed = next((test.attribute for test in expect.tests if not passes(test, item or {})), None)
            if failed is None:
                return None
            return ConflictError(f"{_named(place)}: its {failed} is not as this write needs it")


def _named(place: Place) -> str:
    return f"{place[0]}: {place[1]}"


def _other_version(expected: int, item: Item | None, place: Place) -> VersionConflictError | None:
    if item is not None and item.get(VERSION) == {"N": str(expected)}:  # the usual case, without a look at its type
        return None
    found = found_version(item)
    return None if found == expected else VersionConflictError(_named(place), expected, found)


def passes(test: Fit, item: Item) -> bool:
    """Whether an item passes a test; one that lacks the attribute does, unless that is required."""
    found = item.get(test.attribute)
    if found is None:
        return not test.required
    if test.how == "contains":
        ((kind, wanted),) = test.values[0].items()
        return any(equal_values({kind: one}, {kind: wanted}) for one in found.get(f"{kind}S", ()))
    return any(equal_values(found, value) for value in test.values) == (test.how == "one of")


def _changed(expect: AsRead, item: Item, place: Place) -> ConflictError | None:
    for expected in (expect.attributes, expect.others):
        for name, value in expected.items():
            if item.get(name) != value and not equal_values(item.get(name), value):
                return VersionConflictError(_named(place), expect.version, found_version(item), attribute=name)
    return None
