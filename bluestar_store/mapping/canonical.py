"""The canonical form of an entity: what its digest covers, equal wherever and however it is stored."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import plain_value


def canonical(entity: Entity) -> Any:
    """The entity's fields that have a value, and the attributes it does not know, in plain JSON values.

    Numbers are tagged and spelled in one way; version, raw key and the library's own attributes are left out.
    """
    known = {name: value for name in type(entity).model_fields if (value := getattr(entity, name)) is not None}
    extra = entity.origin.extra if entity.origin is not None else {}
    return {"fields": plain_value(known)["M"], "extra": plain_value(extra)}


def digest(value: Any) -> str:
    """SHA-256 in hex of a plain JSON value, keys sorted."""
    return hashlib.sha256(_text(value)).hexdigest()


def canonical_bytes(value: Any) -> int:
    """How many bytes a digest of the value covers."""
    return len(_text(value))


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
