"""Reads JSON exactly: numbers as int and Decimal, and an error for names that are given twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from bluestar_store.engines.item_json import unique_names

MAX_DIGITS, MAX_EXPONENT = 1000, 1000
"""Of a number: far more than DynamoDB keeps, which says where it stands; what is beyond takes too long to look at."""


MAX_VALUES = 2_000_000
"""Of a file of a stranger: 64 MB of empty lists would be 1.5 GB, and take ten seconds."""


def exact_json(data: bytes, most_values: int | None = MAX_VALUES) -> Any:
    """The value that the text holds. ValueError says in words what is wrong with it, and where.

    `most_values`: how many it may have, counted by their separators; None for one of our own.
    """
    if most_values is not None and sum(map(data.count, (b",", b"[", b"{"))) > most_values:
        raise ValueError(f"has more than {most_values:,} values")
    try:
        return json.loads(
            data.decode(),
            parse_int=_whole,
            parse_float=_decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=unique_names,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ArithmeticError as error:
        raise ValueError(f"has a number that is none ({type(error).__name__})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _whole(text: str) -> int:
    return int(_bounded(text))


def _decimal(text: str) -> Decimal:
    number = Decimal(_bounded(text))
    if number and abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"{text[:50]} is no number that anything could be kept as")
    return number


def _bounded(text: str) -> str:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{text[:20]}... is a number of {len(text)} characters")
    return text


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def pointer_part(part: object) -> str:
    """A part of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")
