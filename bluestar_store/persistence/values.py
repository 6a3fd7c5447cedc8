"""Converts wire items to dicts of plain Python values, and back."""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Any

from bluestar_store.errors import InvalidWriteError
from bluestar_store.mapping.values import ENDLESS, to_wire
from bluestar_store.mapping.wire import PLAIN, as_it_is, from_wire, visitor
from bluestar_store.persistence.protocols import PlainItem
from bluestar_store.protocols import Item


def _number(text: str) -> int | float:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)


_plain = visitor(
    {**PLAIN, "N": _number, "NS": lambda content: set(map(_number, content)), "SS": set, "BS": set},
    list_of=as_it_is,
    map_of=as_it_is,
)


def plain_item(item: Item) -> PlainItem:
    """The item as a dict of the caller's own: numbers as int, or float where they are not whole."""
    return {name: _plain(value) for name, value in item.items()}


def wire_item(item: Mapping[str, Any]) -> Item:
    """A dict as a wire item; a float stands for the number that Python prints. Raises InvalidWriteError."""
    try:
        wire: Item = to_wire(_exact(item))["M"]
    except ValueError as error:
        raise InvalidWriteError(f"an item with a value that {error}") from None
    return wire


def exact_document(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A dict as the typed API has it: immutable, floats as the number that Python prints. Raises InvalidWriteError."""
    document: Mapping[str, Any] = from_wire({"M": wire_item(values)})
    return document


def _exact(value: Any, depth: int = 0) -> Any:
    if depth > ENDLESS:
        raise ValueError("contains itself, or is nested too deep")
    match value:
        case float():
            return Decimal(repr(value))
        case Mapping():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("contains a mapping with a key that is no text")
            return {name: _exact(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple():
            return [_exact(inner, depth + 1) for inner in value]
        case Set():
            return {_exact(inner, depth + 1) for inner in value}
    return value
