"""Expectations: whether an item is as a write expects it, and the error when it is not."""

from __future__ import annotations

from decimal import Decimal

from bluestar_store.errors import AlreadyExistsError, ConflictError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.mapping.values import version_of
from bluestar_store.mapping.wire import PLAIN, as_it_is, visitor
from bluestar_store.protocols import AsRead, AttributeValue, Expectation, Expected, Fit, Fits, Item


def equal_values(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Whether DynamoDB's `=` holds: of one type, numbers by value, sets in any order. None equals None only."""
    if one is None or other is None:
        return one is other
    return one == other or _comparable(one) == _comparable(other)


_comparable = visitor(
    {**PLAIN, "N": Decimal, "NS": lambda content: frozenset(map(Decimal, content)), "SS": frozenset, "BS": frozenset}
    | {"BOOL": lambda content: ("BOOL", content)},  # to Python, True is 1
    list_of=tuple,
    map_of=as_it_is,
)


def found_version(item: Item | None) -> int | None:
    """The version of an item: None when there is none, -1 for a `version` that is no whole number."""
    if item is None:
        return None
    try:
        return version_of(item)
    except ValueError:
        return -1


def conflict(table: str, key: Key, expect: Expectation, item: Item | None) -> ConflictError | None:
    """The error when the stored `item` (None: there is none) is not as expected; None when it is."""
    error = _conflict(f"{table}: {key}", expect, item)
    if error is not None:
        error.place = (table, key)
    return error


def _conflict(place: str, expect: Expectation, item: Item | None) -> ConflictError | None:
    match expect:
        case Expected.ANY:
            return None
        case Expected.ABSENT:
            return AlreadyExistsError(f"{place}: exists already") if item is not None else None
        case Expected.EXISTS:
            return VersionConflictError(place, None, None) if item is None else None
        case int():
            found = found_version(item)
            return None if found == expect else VersionConflictError(place, expect, found)
        case AsRead():
            version = Expected.EXISTS if expect.version is None else expect.version
            return _conflict(place, version, item) or _changed(place, expect, item or {})
        case Fits():
            failed = next((test.attribute for test in expect.tests if not passes(test, item or {})), None)
            return None if failed is None else ConflictError(f"{place}: its {failed} is not as this write needs it")


def passes(test: Fit, item: Item) -> bool:
    """Whether an item passes a test; one that lacks the attribute does, unless that is required."""
    found = item.get(test.attribute)
    if found is None:
        return not test.required
    if test.how == "contains":
        ((kind, wanted),) = test.values[0].items()
        return any(equal_values({kind: one}, {kind: wanted}) for one in found.get(f"{kind}S", ()))
    return any(equal_values(found, value) for value in test.values) == (test.how == "one of")


def _changed(place: str, expect: AsRead, item: Item) -> ConflictError | None:
    for name, value in expect.all_attributes.items():
        if not equal_values(item.get(name), value):
            return VersionConflictError(place, expect.version, found_version(item), attribute=name)
    return None
