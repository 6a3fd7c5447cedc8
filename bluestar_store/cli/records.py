"""Entities as plain values that may be shown: secrets masked, numbers and times still exact.

Whatever a command prints of an entity, as a table or as JSON, comes from here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bluestar_store.mapping.entity import Entity

Record = dict[str, Any]


def record(entity: Entity) -> Record:
    """The entity's fields, its `scope` where it has a level, `version`, `written_by`, and what it does not know."""
    from bluestar_store.mapping.salvage import DROPPED
    from bluestar_store.models.audit import SALT
    from bluestar_store.redaction.masking import names_tell, sensitive_fields

    sensitive = sensitive_fields(type(entity))

    found: Record = {}
    for name in type(entity).model_fields:
        value = getattr(entity, name)
        names_count = names_tell(type(entity), name)
        if value is None and name in sensitive and name in entity.unreadable:  # of a bank account
            found[name] = DROPPED
            continue
        found[name] = plain(value, name, secret=name in sensitive, names_count=names_count, numbers=False)
    scope = getattr(entity, "scope", None)
    if scope is not None:
        found["scope"] = str(scope)
    found["version"] = entity.version
    found["written_by"] = entity.written_by
    # Beside a bank account, whatever another program put there, under whatever name.
    found["extra"] = {
        name: plain(value, name, secret=bool(sensitive)) for name, value in entity.extra.items() if name != SALT
    }
    return found


def records(entities: Iterable[Entity]) -> list[Record]:
    """Each entity's record."""
    return [record(entity) for entity in entities]


def plain(value: Any, name: str = "", *, secret: bool = False, names_count: bool = True, numbers: bool = True) -> Any:
    """A value in JSON's terms, and numbers and times, as `redacted` shows it. What is `secret` is masked."""
    from bluestar_store.redaction.masking import redacted

    return _in_json(redacted(name, value, numbers=numbers, names=names_count, secret=secret))


def _in_json(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case None | bool() | str() | datetime() | int() | Decimal():
            return value
        case Mapping():
            return {key: _in_json(one) for key, one in value.items()}
        case Set():
            return sorted(map(_in_json, value), key=str)
        case list() | tuple():
            return [_in_json(one) for one in value]
        case bytes():
            return base64.b64encode(value).decode()
    from bluestar_store.redaction.masking import masked_digits

    return masked_digits(str(value))
