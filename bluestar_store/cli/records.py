"""Entities as plain values that may be shown: bank numbers masked, numbers and times still exact.

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
    from bluestar_store.models.entity import Entity

Record = dict[str, Any]


def record(entity: Entity) -> Record:
    """The entity's fields, its `scope` where it has a level, `version`, `written_by`, and what it does not know."""
    from bluestar_store.models.config import AchConfig
    from bluestar_store.models.entity import is_bank_number
    from bluestar_store.models.vendor import VendorSchema

    found: Record = {}
    for name in type(entity).model_fields:
        value = getattr(entity, name)
        # A vendor's column may be called "Account Number"; what it maps to is no number.
        names_count = not (isinstance(entity, VendorSchema) and name == "mapping")
        found[name] = plain(value, secret=is_bank_number(name), names_count=names_count)
    scope = getattr(entity, "scope", None)
    if scope is not None:
        found["scope"] = str(scope)
    found["version"] = entity.version
    found["written_by"] = entity.written_by
    bank = isinstance(entity, AchConfig)  # whatever another program put there, under whatever name
    found["extra"] = {name: plain(value, secret=bank or is_bank_number(name)) for name, value in entity.extra.items()}
    return found


def records(entities: Iterable[Entity]) -> list[Record]:
    """Each entity's record."""
    return [record(entity) for entity in entities]


def plain(value: Any, *, secret: bool = False, names_count: bool = True) -> Any:
    """A value in JSON's terms, and numbers and times. What is `secret`, or lies under such a name, is masked."""
    from pydantic import BaseModel

    from bluestar_store.models.entity import is_bank_number, masked
    from bluestar_store.models.values import number_text

    match value:
        case None | bool():
            return value
        case BaseModel():
            return plain(dict(value), secret=secret, names_count=names_count)
        case Enum():
            return plain(value.value, secret=secret)
        case Mapping():
            return {
                str(name): plain(
                    inner, secret=secret or (names_count and is_bank_number(str(name))), names_count=names_count
                )
                for name, inner in value.items()
            }
        case Set():
            return sorted((plain(inner, secret=secret) for inner in value), key=str)
        case list() | tuple():
            return [plain(inner, secret=secret, names_count=names_count) for inner in value]
        case datetime():
            return value
        case bytes():
            return plain(base64.b64encode(value).decode(), secret=secret)
        case int() | Decimal():
            return masked(number_text(value)) if secret else value
    return masked(str(value)) if secret else str(value)
