"""Items as JSON: DynamoDB's own form, binary as base64."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from bluestar_store.engines.checks import checked_item
from bluestar_store.protocols import Item


def to_json(value: Any) -> str:
    """One line of JSON; binary as base64, as in DynamoDB's own JSON."""
    return _ENCODER.encode(value)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in an item")


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_base64)  # dumps would make one a call


def item_from_json(table: str, item: Any) -> Item:
    """The item in parsed JSON; ValueError (or an EngineError) when it is none."""
    if not isinstance(item, Mapping):
        raise ValueError("is not an object")
    return checked_item(table, {name: value_from_json(value) for name, value in item.items()})


def value_from_json(value: Any) -> Any:
    """The wire value in parsed JSON of one; ValueError when it is none."""
    match value:
        case {"B": str(text), **rest} if not rest:
            return {"B": _bytes(text)}
        case {"BS": list(texts), **rest} if not rest:
            return {"BS": [_bytes(text) for text in texts]}
        case {"L": list(members), **rest} if not rest:
            return {"L": [value_from_json(member) for member in members]}
        case {"M": dict(members), **rest} if not rest:
            return {"M": {name: value_from_json(member) for name, member in members.items()}}
        case dict():
            return value
    raise ValueError("has an attribute that is not of the form {type: value}")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("has a binary value that is not base64") from None


def unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook`: a name given twice is a ValueError, else JSON would silently lose one of the values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"has {json.dumps(name)[:100]} twice in one object")
    return found
