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
    map_to_wire,
    number_text,
    stored_time,
    utc_from_text,
    utc_text,
    whole_number,
    whole_number_text,
)
from bluestar_store.mapping.wire import from_wire


class DecimalAttribute(Attribute[Decimal]):
    """An exact number. PynamoDB's NumberAttribute goes through json, so through float."""

    attr_type = NUMBER
    serialize = staticmethod(number_text)
    deserialize = staticmethod(Decimal)


class IntegerAttribute(Attribute[int]):
    """A whole number; one with a fraction is refused instead of cut off."""

    attr_type = NUMBER
    serialize = staticmethod(whole_number_text)
    deserialize = staticmethod(whole_number)


class UtcAttribute(Attribute[datetime]):
    """A UTC time as ISO 8601 text. PynamoDB's own refuses the dates without a time that other programs wrote."""

    attr_type = STRING
    serialize = staticmethod(stored_time)
    deserialize = staticmethod(utc_from_text)


class BytesAttribute(Attribute[bytes]):
    """Bytes as they are. PynamoDB's BinaryAttribute asks which of its own encodings is meant."""

    attr_type = BINARY


class EntryTimeAttribute(UtcAttribute):
    """The time of an audit entry, as 0.1.0 spells it, whose `audit verify` takes another spelling for a change."""

    serialize = staticmethod(utc_text)


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
    serialize = staticmethod(map_to_wire)

    def deserialize(self, value: dict[str, Any]) -> Mapping[str, Any]:
        return from_wire({MAP: value})  # type: ignore[no-any-return]  # a map becomes an immutabledict


def _only_text(value: dict[str, Any]) -> str:
    if STRING not in value:
        raise ValueError(f"contains a value of type {next(iter(value), '?')} where text (S) is needed")
    return str(value[STRING])
