"""Converts exact numbers, dates and times, for which SQLite has no type."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from bluestar_store.errors import SqlError

MAX_INTEGER = 2**63
"""Whole numbers are smaller, or SQLite does not take them."""


def to_sqlite(value: Any) -> Any:
    """A value that SQLite takes. Times sort as they should, aware ones in UTC.

    Numbers go as numbers, so that the database can compare them. Raises SqlError for one that it would change.
    """
    match value:
        case Decimal():
            return _number(value)
        case datetime():
            utc = value if value.tzinfo is None else value.astimezone(UTC)
            return utc.isoformat(" ", "microseconds")
        case date() | time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
    return value


def _number(value: Decimal) -> int | float:
    if value.is_finite():
        if abs(value) < MAX_INTEGER and value == value.to_integral_value():
            return int(value)
        number = float(value)
        if from_sqlite(number) == value:
            return number
    raise SqlError("SQLite keeps 15 digits of a number that is not whole: give one with more of them as text")


def from_sqlite(value: Any) -> Any:
    """Numbers that are not whole as Decimal, of the 15 digits that SQLite's own output has of them."""
    return Decimal(f"{value:.15g}") if isinstance(value, float) else value
