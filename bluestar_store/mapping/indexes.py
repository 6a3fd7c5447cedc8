"""The library's own indexes: sparse, on attributes that nobody else writes, projecting keys only.

Their entries may be older than the table and may miss items that other programs wrote;
`repositories/index_reader.py` reads them with both in mind.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

SEPARATOR = "\x1f"
"""Between the parts of an index sort key: a control character, so no identifier has it."""
MAX_PART_BYTES = 480
"""Two parts and a separator fit into the 1024 bytes of an index sort key (AWS limit)."""

BY_LEVEL, BY_PLAN, OPEN_HOLDS = "by_level", "by_plan", "open_holds"


class ByLevel(GlobalSecondaryIndex[Any]):
    """Everything there is of one kind, by level (a plan, GLOBAL, DEFAULT): plans, categories, vendors, overrides."""

    class Meta:
        index_name = BY_LEVEL
        projection = KeysOnlyProjection()

    bs_kind = UnicodeAttribute(hash_key=True)
    bs_level = UnicodeAttribute(range_key=True)


class ByPlan(GlobalSecondaryIndex[Any]):
    """A plan's batches by creation time."""

    class Meta:
        index_name = BY_PLAN
        projection = KeysOnlyProjection()

    bs_plan = UnicodeAttribute(hash_key=True)
    bs_plan_created = UnicodeAttribute(range_key=True)


class OpenHolds(GlobalSecondaryIndex[Any]):
    """The holds that are not released, by creation time."""

    class Meta:
        index_name = OPEN_HOLDS
        projection = KeysOnlyProjection()

    bs_open = UnicodeAttribute(hash_key=True)
    bs_open_created = UnicodeAttribute(range_key=True)


def index_part(text: str) -> str:
    """An identifier as part of an index key: long ones are cut and told apart by their digest."""
    data = text.encode()
    if len(data) <= MAX_PART_BYTES:
        return text
    return data[:400].decode(errors="ignore") + hashlib.sha256(data).hexdigest()


def index_text(*parts: str) -> str:
    """An index sort key of several parts."""
    return SEPARATOR.join(map(index_part, parts))


def level_prefix(level: str) -> str:
    """What the sort keys of one level in `by_level` begin with."""
    return index_part(level) + SEPARATOR
