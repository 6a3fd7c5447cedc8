"""PynamoDB attributes that keep what PynamoDB's own would change: see each one's reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.constants import BINARY, LIST, MAP, NUMBER, STRING

from bluestar_store.mapping.values import (
    exact_number,
    number_text,
    stored_time,
    utc_from_text,
    utc_text,
)
from bluestar_store.mapping.wire import from_wire, to_wire


class DecimalAttribute(Attribute[Decimal]):
    """An exact number. PynamoDB's NumberAttribute goes through json, so through float."""

    attr_type = NUMBER

    def serialize(self, value: Any) -> str:
        return number_text(value)

    def deserialize(self, value: str) -> Decimal:
        return Decimal(value)


class IntegerAttribute(Attribute[int]):
    """A whole number; one with a fraction is refused instead of cut off."""

    attr_type = NUMBER

    def serialize(self, value: Any) -> str:
        number = exact_number(value)
        if number != number.to_integral_value():
            raise ValueError("is no whole number")
        return str(int(number))

    def deserialize(self, value: str) -> int:
        if value.isdecimal() and value.isascii():  # the usual case, without the way through Decimal
            return int(value)
        number = Decimal(value)
        if number != number.to_integral_value():
            raise ValueError("is no whole number")
        return int(number)


class UtcAttribute(Attribute[datetime]):
    """A UTC time as ISO 8601 text. PynamoDB's own refuses the dates without a time that other programs wrote."""

    attr_type = STRING

    def serialize(self, value: datetime) -> str:
        return stored_time(value)

    def deserialize(self, value: str) -> datetime:
        return utc_from_text(value)


class BytesAttribute(Attribute[bytes]):
    """Bytes as they are. PynamoDB's BinaryAttribute asks which of its own encodings is meant."""

    attr_type = BINARY


class EntryTimeAttribute(UtcAttribute):
    """The time of an audit entry, as 0.1.0 spells it, whose `audit verify` takes another spelling for a change."""

    def serialize(self, value: datetime) -> str:
        return utc_text(value)


class EnumAttribute(Attribute[StrEnum]):
    """The value of a StrEnum; which values there are, the entity says."""

    attr_type = STRING

    def serialize(self, value: StrEnum) -> str:
        return str(value.value)


class TextListAttribute(Attribute[tuple[str, ...]]):
    """A list of texts, read as a tuple."""

    attr_type = LIST

    def serialize(self, value: Any) -> list[dict[str, str]]:
        return [{STRING: text} for text in value]

    def deserialize(self, value: list[dict[str, Any]]) -> tuple[str, ...]:
        return tuple(_only_text(inner) for inner in value)


class TextMapAttribute(Attribute[Mapping[str, str]]):
    """A mapping of texts."""

    attr_type = MAP

    def serialize(self, value: Any) -> dict[str, dict[str, str]]:
        return {key: {STRING: text} for key, text in value.items()}

    def deserialize(self, value: dict[str, dict[str, Any]]) -> Mapping[str, str]:
        return {key: _only_text(inner) for key, inner in value.items()}


class DocumentAttribute(Attribute[Mapping[str, Any]]):
    """A free-form map. PynamoDB's DynamicMapAttribute writes a stray key and makes floats of numbers."""

    attr_type = MAP

    def serialize(self, value: Any) -> dict[str, Any]:
        return to_wire(value)[MAP]  # type: ignore[no-any-return]  # the content of a map is a map

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, Any]:
        return from_wire({MAP: value})  # type: ignore[no-any-return]  # a map becomes an immutabledict


def _only_text(value: dict[str, Any]) -> str:
    if STRING not in value:
        raise ValueError(f"contains a value of type {next(iter(value), '?')} where text (S) is needed")
    return str(value[STRING])
