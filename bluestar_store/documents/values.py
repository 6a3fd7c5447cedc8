"""Converts documents, plain dicts, to wire items and back.

Numbers are exact: whole ones come back as int, others as Decimal. A float is refused, as by boto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Any, TypeAlias

from bluestar_store.engines.checks import MAX_ITEM_BYTES, item_bytes, normal_value
from bluestar_store.keys import MAX_PK_BYTES, shown
from bluestar_store.mapping.values import number_text, to_wire
from bluestar_store.mapping.wire import PLAIN, as_it_is, in_order, visitor
from bluestar_store.protocols import AttributeValue, Item

Document: TypeAlias = dict[str, Any]
"""An item as its users see it: it belongs to the caller."""
Documents: TypeAlias = list[Document]
"""Several of them; a class that has a method `list` cannot name the type itself."""


class UnsupportedValueError(ValueError):
    """What DynamoDB cannot hold; `attribute` is the name under which it stands, None when it is the whole item."""

    def __init__(self, attribute: object, reason: str) -> None:
        super().__init__(f"attribute {shown(attribute)} {reason}" if attribute is not None else reason)
        self.attribute, self.reason = attribute, reason


def wire_document(document: Mapping[str, Any]) -> Item:
    """The document in wire form. Raises UnsupportedValueError."""
    return {name: _wire(name, value) for name, value in document.items()}


def _wire(name: Any, value: Any) -> AttributeValue:
    if not isinstance(name, str):
        raise UnsupportedValueError(name, "has a name that is no text")
    try:
        return normal_value(name, to_wire(_plain_types(value)))
    except ValueError as error:
        raise UnsupportedValueError(name, str(error)) from None
    except RecursionError:
        raise UnsupportedValueError(name, "is nested too deeply") from None


def _plain_types(value: Any) -> Any:
    """The value without subclasses of str, and with names that are text all the way down."""
    match value:
        case str():
            return str.__str__(value)
        case Mapping():
            if not all(isinstance(name, str) for name in value):
                raise ValueError("contains a mapping with a name that is no text")
            return {str.__str__(name): _plain_types(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain_types(inner) for inner in value]
        case Set():
            return {str.__str__(inner) if isinstance(inner, str) else inner for inner in value}
    return value


def check_size(item: Item) -> None:
    """Raises UnsupportedValueError for an item that DynamoDB would not take as a whole."""
    if item_bytes(item) > MAX_ITEM_BYTES:
        raise UnsupportedValueError(None, "Item size has exceeded the maximum allowed size (400 KB)")


def check_text(name: str, value: Any) -> str:
    """The value, where it can be a key of a table or of an index. Raises UnsupportedValueError."""
    if not isinstance(value, str):
        raise UnsupportedValueError(name, f"is a key and must be text, not {type(value).__name__}")
    if not value:
        raise UnsupportedValueError(name, "is a key and is empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise UnsupportedValueError(name, "is not valid Unicode") from None
    if size > MAX_PK_BYTES:
        raise UnsupportedValueError(name, f"is a key of {size} bytes; {MAX_PK_BYTES} at most (an AWS limit)")
    return str.__str__(value)


def _number(text: str) -> int | Decimal:
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else Decimal(number_text(number))


LEAVES = {**PLAIN, "N": _number}
"""What a document has for the content of each type that is no set, list or map."""
plain_value = visitor(
    {**LEAVES, "NS": lambda content: set(map(_number, content)), "SS": set, "BS": set},
    list_of=as_it_is,
    map_of=in_order,
)
"""A wire value as new Python objects, the names of dicts in order."""


def plain_document(item: Item) -> Document:
    """A new dict, its names in order, those of inner dicts too."""
    return {name: plain_value(value) for name, value in sorted(item.items())}


def same_items(one: Item, other: Item) -> bool:
    """Whether two items are the same, however their numbers are spelled and their sets ordered."""
    return wire_document(plain_document(one)) == wire_document(plain_document(other))
