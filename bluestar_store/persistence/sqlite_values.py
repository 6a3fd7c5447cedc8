"""What SQLite has no type for: exact numbers, dates and times."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any


def to_sqlite(value: Any) -> Any:
    """A value that SQLite takes. Numbers stay exact, as text; times sort as they should, aware ones in UTC."""
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            utc = value if value.tzinfo is None else value.astimezone(UTC)
            return utc.isoformat(" ", "microseconds")
        case date() | time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
    return value


def from_sqlite(value: Any) -> Any:
    """Numbers that are not whole as Decimal, of the 15 digits that SQLite's own output has of them."""
    return Decimal(f"{value:.15g}") if isinstance(value, float) else value
