"""`created` and `modified`: ISO 8601 text in UTC, unless an item brings a shape of its own.

Its own shape is a number (seconds or milliseconds since 1970) or a map with `at`, such as {"at": "...", "by": {...}}:
who made a change is not known here, so that `modified` is then {"at": ...} only. Anything else is not touched.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from bluestar_store.mapping.values import utc_text
from bluestar_store.protocols import AttributeValue, Item

CREATED, MODIFIED = "created", "modified"

MILLISECONDS = Decimal(10) ** 11
"""A number of this size or more counts milliseconds: as seconds it would be the year 5138."""


def now() -> datetime:
    """The time of a change."""
    return datetime.now(UTC)


def stamped(item: Item, at: datetime) -> Item:
    """The new item with both timestamps; one that it has already stays, and the other takes its shape."""
    example = item.get(CREATED) or item.get(MODIFIED)
    stamp = shaped(example, at) or shaped(None, at) or {}
    return {CREATED: stamp, MODIFIED: stamp} | item


def shaped(example: AttributeValue | None, at: datetime) -> AttributeValue | None:
    """The time in the shape of the example; None for an example that is no timestamp we know."""
    match example:
        case None | {"S": _}:
            return {"S": utc_text(at)}
        case {"N": str(text)}:
            milliseconds = abs(Decimal(text)) >= MILLISECONDS
            return {"N": str(int(at.timestamp() * (1000 if milliseconds else 1)))}
        case {"M": {"at": dict(inner)}}:
            stamp = shaped(inner, at)
            return stamp and {"M": {"at": stamp}}
    return None
