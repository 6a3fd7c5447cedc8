"""Values: exact numbers, UTC times, frozen containers; as DynamoDB's wire form, and as digests spell them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, Overflow, Subnormal
from enum import Enum
from typing import Annotated, Any

from immutabledict import immutabledict
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer

from bluestar_store.keys import unseen
from bluestar_store.protocols import VERSION, AttributeValue

MAX_DIGITS = 38
"""DynamoDB keeps 38 significant digits of a number (AWS limit)."""
MIN_EXPONENT, MAX_EXPONENT = -130, 125
"""Magnitudes from 1E-130 to 9.99...E+125 (AWS limit)."""

ENDLESS = 100
"""Levels of a value that are looked at; DynamoDB takes 32, which the engines see to."""

_EXACT = Context(MAX_DIGITS, Emin=MIN_EXPONENT, Emax=MAX_EXPONENT, traps=[Inexact, Overflow, Subnormal])
"""Raises for a number that it would have to change: one that DynamoDB cannot hold."""
NORMAL_NUMBER = re.compile(r"0|-?(?:[1-9][0-9]*|(?:0|[1-9][0-9]*)\.[0-9]*[1-9])")
"""What a number looks like that is spelled as DynamoDB gives it back, if it has no more than MAX_DIGITS characters."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")


def exact_number(value: Any) -> Decimal:
    """The number, exactly; ValueError for a float, a bool, or what DynamoDB's 38 digits cannot hold."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS and NORMAL_NUMBER.fullmatch(value):
        return Decimal(value)  # the usual case, too short to be too much
    if isinstance(value, float):
        raise ValueError("is a float, which is not exact: give a Decimal or text")
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"is no number but {type(value).__name__}")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError("is no number")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError("is not a finite number")
    if number == 0:
        return Decimal(0) if number.is_signed() else number
    try:
        _EXACT.plus(number)
    except ArithmeticError:
        if MIN_EXPONENT <= number.adjusted() <= MAX_EXPONENT:
            raise ValueError(f"has more than the {MAX_DIGITS} digits that DynamoDB keeps") from None
        raise ValueError(f"is outside DynamoDB's range of 1E{MIN_EXPONENT} to 1E+{MAX_EXPONENT + 1}") from None
    return number


def number_text(value: Any) -> str:
    """The one spelling of a number that DynamoDB gives back: no exponent, no trailing zeros."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS and NORMAL_NUMBER.fullmatch(value):
        return value  # the usual case, without the way through Decimal
    number = exact_number(value)
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text


def whole_number(value: Any) -> int:
    """The whole number that a number, or the text of one, says; ValueError for one with a fraction."""
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= MAX_DIGITS:
        return int(value)  # the usual case, without the way through Decimal
    number = exact_number(value)
    if number != number.to_integral_value():
        raise ValueError("is no whole number")
    return int(number)


def whole_number_text(value: Any) -> str:
    """The text of a whole number; ValueError for what is none."""
    return str(value) if type(value) is int and abs(value) < 10**MAX_DIGITS else str(whole_number(value))


def utc(value: Any) -> datetime:
    """An aware UTC time from an aware datetime or ISO 8601 text; ValueError for a naive datetime."""
    if isinstance(value, str):
        return utc_from_text(value)
    if not isinstance(value, datetime):
        raise ValueError(f"is no time but {type(value).__name__}")
    if value.tzinfo is None:
        raise ValueError("has no time zone: give an aware datetime, such as datetime.now(UTC)")
    return _as_utc(value)


def utc_from_text(value: str) -> datetime:
    """ISO 8601 text as UTC. Other programs wrote dates without a time, and times without a zone: both mean UTC."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("is no ISO 8601 date or time") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else _as_utc(time)


def _as_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first hours of year 1, the last ones of year 9999
        raise ValueError("is no time of the years 1 to 9999 in UTC") from None


def utc_text(value: datetime) -> str:
    """A UTC time as text of one width, so that it sorts as time: in index keys, and in what digests cover."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def stored_time(value: datetime) -> str:
    """A UTC time as PynamoDB's UTCDateTimeAttribute writes it, which reads no other spelling."""
    return utc_text(value).removesuffix("+00:00") + "+0000"


def frozen(value: Any) -> Any:
    """The value with every container immutable: mappings, lists and sets all the way down.

    ValueError for what DynamoDB does not have: it could be mutable, and could not be written.
    """
    return _frozen(value, 0)


def _frozen(value: Any, depth: int) -> Any:
    if depth > ENDLESS:
        raise ValueError("contains itself, or is nested too deep")
    match value:
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("contains a mapping with a key that is no text")
            return immutabledict({_frozen(key, depth): _frozen(inner, depth + 1) for key, inner in value.items()})
        case list() | tuple():
            return tuple(_frozen(inner, depth + 1) for inner in value)
        case Set():
            return frozenset(_frozen(inner, depth + 1) for inner in value)
        case float():
            raise ValueError("contains a float, which is not exact: give a Decimal or text")
        case bytearray():
            return bytes(value)
        case str():
            check_unicode(value)
            return value
        case None | bool() | bytes() | int() | Decimal():
            return value
    raise ValueError(f"contains a {type(value).__name__}, which DynamoDB cannot hold")


def check_unicode(text: str) -> None:
    """ValueError for lone surrogates, which pydantic lets pass and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Frozen containers as dict and list, for serialisers that know only those."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def to_wire(value: Any) -> AttributeValue:
    """A Python value in DynamoDB's wire form; ValueError for a type that DynamoDB does not have."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal() | float():
            return {"N": number_text(value)}
        case bytes() | bytearray():
            return {"B": bytes(value)}
        case Mapping():
            return {"M": map_to_wire(value)}
        case Set():
            return _set_to_wire(value)
        case Sequence():
            return {"L": [to_wire(inner) for inner in value]}
    raise ValueError(f"is of type {type(value).__name__}, which DynamoDB cannot hold")


def map_to_wire(value: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """A mapping as the content of a wire value of type M; ValueError as `to_wire`."""
    return {str(key): to_wire(inner) for key, inner in value.items()}


def _set_to_wire(value: Set[Any]) -> AttributeValue:
    wired = [to_wire(inner) for inner in value]
    kinds = {kind for inner in wired for kind in inner}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise ValueError("is a set that is empty, mixed, or not of texts, numbers or bytes")
    kind = kinds.pop()
    return {f"{kind}S": sorted(inner[kind] for inner in wired)}


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


def version_of(item: Mapping[str, AttributeValue]) -> int:
    """The version of a wire item, 0 when it has none; ValueError when it is no whole number from 0."""
    wire = item.get(VERSION)
    if wire is None:
        return 0
    text = wire["N"] if "N" in wire else content_of(wire, "N")
    if text.isdecimal() and text.isascii() and len(text) <= MAX_DIGITS:
        return int(text)
    number = exact_number(text)
    if number != number.to_integral_value() or number < 0:
        raise ValueError("is no whole number from 0")
    return int(number)


def content_of(wire: AttributeValue, needed: str) -> Any:
    """The content of a wire value of the type that is needed; ValueError when it is of another type."""
    if needed not in wire:
        raise ValueError(f"is of type {next(iter(wire), '?')} where {needed} is needed")
    return wire[needed]


Number = Annotated[Decimal, BeforeValidator(exact_number)]
"""Money, a limit or a percentage: exact to 38 digits, never a float."""
UtcTime = Annotated[datetime, BeforeValidator(utc)]
"""An aware time in UTC."""
TextTuple = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""A list of texts, frozen."""
TextMap = Annotated[Mapping[str, str], AfterValidator(frozen), PlainSerializer(plain)]
"""A mapping of texts, frozen."""
Document = Annotated[Mapping[str, Any], AfterValidator(frozen), PlainSerializer(plain)]
"""A free-form JSON-like value, frozen."""
Count = Annotated[int, Field(ge=0)]
"""A whole number from 0."""
MAX_ACTOR_CHARACTERS = 200


def _visible(value: str) -> str:
    if (reason := unseen(value)) is not None:
        raise ValueError(reason)
    return value


Actor = Annotated[str, Field(min_length=1, max_length=MAX_ACTOR_CHARACTERS), AfterValidator(_visible)]
"""Who writes, as trails and items say it: in a name with invisible characters nobody sees who it was."""
