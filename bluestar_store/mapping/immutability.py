"""Which types of fields cannot be changed by whoever reads them: what the cache gives out is shared."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel

from bluestar_store.mapping.values import frozen

IMMUTABLE = (
    "str, int, bool, bytes, Number, Count, UtcTime, date, an Enum, Literal, TextTuple, TextMap, Document, a tuple or "
    "frozenset of such, or a frozen pydantic model"
)
"""What a field may be, in words."""

_VALUES = (str, int, bytes, Decimal, date, Enum, NoneType)
"""A bool is an int, a datetime a date."""


def is_immutable(annotation: Any, *metadata: Any) -> bool:
    """Whether every value that a field of this type takes is immutable; no for a type that is not known here."""
    if any(isinstance(mark, AfterValidator) and mark.func is frozen for mark in metadata):
        return True  # TextMap, Document: whatever it was is frozen when it is validated
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return is_immutable(*inner)
    if origin is Literal:
        return True
    if origin in (tuple, frozenset, Union, UnionType):
        return all(is_immutable(one) for one in inner if one is not Ellipsis)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _is_frozen(annotation)
    return isinstance(annotation, type) and issubclass(annotation, _VALUES)


def _is_frozen(model: type[BaseModel]) -> bool:
    if not model.model_config.get("frozen") or model.model_config.get("extra") == "allow":
        return False
    # A model within itself is what it is without that.
    fields = [field for field in model.model_fields.values() if model not in _named(field.annotation)]
    return all(is_immutable(field.annotation, *field.metadata) for field in fields)


def _named(annotation: Any) -> list[Any]:
    return [annotation, *(name for inner in get_args(annotation) for name in _named(inner))]
