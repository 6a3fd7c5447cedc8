"""Items as readable JSON: numbers exact, names in order. What JSON does not have stands under a name with a `$`.

Binary is {"$binary": "<base64>"}, a set {"$set": [...]}; a map of the user's own that would look like one of these, or
like the next, is {"$map": {...}}.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import simplejson

from bluestar_store.documents.values import LEAVES
from bluestar_store.mapping.wire import as_it_is, visitor
from bluestar_store.protocols import AttributeValue, Item

BINARY, SET, MAP = "$binary", "$set", "$map"
MARKS = (BINARY, SET, MAP)


def item_text(item: Item) -> str:
    """One item, without a newline at the end."""
    return _text(json_item(item))


def tables_text(tables: Mapping[str, Iterable[Item]]) -> str:
    """Several tables in one file, as test data is: {table: [items]}."""
    return _text({table: [json_item(item) for item in items] for table, items in tables.items()}) + "\n"


def _text(value: Any) -> str:
    return str(simplejson.dumps(value, ensure_ascii=False, indent=2, sort_keys=True, use_decimal=True))


def _binary(content: bytes) -> dict[str, str]:
    return {BINARY: base64.b64encode(content).decode()}


def _set_of(kind: str) -> Callable[[list[Any]], dict[str, Any]]:
    one = _binary if kind == "B" else LEAVES[kind]
    return lambda content: {SET: [one(member) for member in sorted(content)]}


_value = visitor(
    {**LEAVES, "B": _binary, "SS": _set_of("S"), "NS": _set_of("N"), "BS": _set_of("B")},
    list_of=as_it_is,
    map_of=lambda inner: {MAP: inner} if len(inner) == 1 and inner.keys() & set(MARKS) else inner,
)
"""A wire value as values that JSON has, and Decimals."""


def json_item(item: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """An item as values that JSON has, and Decimals."""
    return {name: _value(value) for name, value in item.items()}


def from_json(value: Any) -> Any:
    """The Python value that parsed JSON stands for; ValueError for a mark with something else behind it."""
    match value:
        case {"$binary": str(text), **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error:
                raise ValueError(f"has a {BINARY} that is not base64") from None
        case {"$set": list(members), **rest} if not rest:
            try:
                found = {from_json(member) for member in members}
            except TypeError:
                raise ValueError(f"has a {SET} with a member that is no text, number or {BINARY}") from None
            if len(found) != len(members):
                raise ValueError(f"has a {SET} that holds a member twice")
            return found
        case {"$map": dict(inner), **rest} if not rest:
            return {name: from_json(member) for name, member in inner.items()}
        case dict() if len(value) == 1 and value.keys() & set(MARKS):
            raise ValueError(f"has a {next(iter(value))} that is none")
        case dict():
            return {name: from_json(member) for name, member in value.items()}
        case list():
            return [from_json(member) for member in value]
    return value
