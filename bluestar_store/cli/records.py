"""Entities as plain values that may be shown: secrets masked, numbers and times still exact.

Whatever a command prints of an entity, as a table or as JSON, comes from here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bluestar_store.models.entity import Entity

Record = dict[str, Any]


def record(entity: Entity) -> Record:
    """The entity's fields, its `scope` where it has a level, `version`, `written_by`, and what it does not know."""
    from bluestar_store.models.audit import SALT
    from bluestar_store.models.masking import sensitive_fields
    from bluestar_store.models.vendor import VendorSchema

    sensitive = sensitive_fields(type(entity))

    found: Record = {}
    for name in type(entity).model_fields:
        value = getattr(entity, name)
        # A vendor's column may be called "Account Number"; what it maps to is no number.
        names_count = not (isinstance(entity, VendorSchema) and name == "mapping")
        found[name] = plain(value, name, secret=name in sensitive, names_count=names_count)
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


def plain(value: Any, name: str = "", *, secret: bool = False, names_count: bool = True) -> Any:
    """A value in JSON's terms, and numbers and times. What is `secret`, or lies under such a name, is masked.

    So are the account numbers and SSNs in free text that are known by their digits.
    """
    from pydantic import BaseModel

    from bluestar_store.models.masking import (
        MaskedText,
        is_identifier,
        is_secret_name,
        masked,
        masked_digits,
    )
    from bluestar_store.models.values import number_text

    secret = secret or (names_count and is_secret_name(name)) or isinstance(value, MaskedText)
    inside = partial(plain, secret=secret, names_count=names_count)
    match value:
        case None | bool():
            return value
        case BaseModel():
            return inside(dict(value))
        case Enum():
            return inside(value.value, name)
        case Mapping():
            return {str(key): inside(inner, str(key)) for key, inner in value.items()}
        case Set():
            return sorted((inside(inner, name) for inner in value), key=str)
        case list() | tuple():
            return [inside(inner, name) for inner in value]
        case datetime():
            return value
        case bytes():
            return inside(base64.b64encode(value).decode(), name)
        case int() | Decimal():
            return masked(number_text(value)) if secret else value
    text = str(value)
    return masked(text) if secret else text if is_identifier(name) else masked_digits(text)
