"""The canonical form of an entity: what its digest covers, equal wherever and however it is stored."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Set
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import number_text, utc_text


def canonical(entity: Entity) -> Any:
    """The entity's fields that have a value, and the attributes it does not know, in plain JSON values.

    Numbers are tagged and spelled in one way; version, raw key and the library's own attributes are left out.
    """
    fields = {name: getattr(entity, name) for name in type(entity).model_fields}
    known = {name: plain_value(value) for name, value in fields.items() if value is not None}
    return {"fields": known, "extra": plain_value(entity.extra)}


def digest(value: Any) -> str:
    """SHA-256 in hex of a plain JSON value, keys sorted."""
    return hashlib.sha256(_text(value)).hexdigest()


def canonical_bytes(value: Any) -> int:
    """How many bytes a digest of the value covers."""
    return len(_text(value))


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def plain_value(value: Any) -> Any:
    """A frozen value in plain JSON values, in the one way that digests are made of."""
    match value:
        case None | bool() | str():
            return value
        case int() | Decimal():
            return {"N": number_text(value)}
        case Enum():
            return plain_value(value.value)
        case datetime():
            return {"T": utc_text(value)}
        case date():
            return {"D": value.isoformat()}
        case BaseModel():
            return {"M": {name: plain_value(getattr(value, name)) for name in type(value).model_fields}}
        case bytes():
            return {"B": base64.b64encode(value).decode()}
        case Mapping():
            return {"M": {name: plain_value(inner) for name, inner in value.items()}}
        case Set():
            return {
                "SET": sorted(
                    (plain_value(inner) for inner in value), key=lambda inner: json.dumps(inner, sort_keys=True)
                )
            }
        case list() | tuple():
            return [plain_value(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} in an entity")
