"""The order in which records are listed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from bluestar_store.models.batches import BatchState
from bluestar_store.models.holds import PlanHold

NEVER = datetime.min.replace(tzinfo=UTC)

R = TypeVar("R", PlanHold, BatchState)


def by_created(records: Iterable[R]) -> tuple[R, ...]:
    """Oldest first; one without `created` counts as oldest, and those of one moment go by their keys."""
    return tuple(sorted(records, key=lambda record: (record.created or NEVER, record.origin and record.origin.key)))
