"""Items as other programs write them."""

from __future__ import annotations

from typing import Any

from bluestar_store.protocols import Item
from tests.store_suite.side_door import wire

ACME = "CLIENT#ACME_BiWeeklyFri"


def indexed(kind: str, level: str, pk: str, sk: str, **attributes: Any) -> Item:
    """An item with the index attributes that it should have."""
    return wire(pk, sk, bs_kind=kind, bs_level=level.replace("|", "\x1f"), **attributes)


def stamped(number: int, revision: str | None, count: int = 3) -> Item:
    own = {"bs_revision": revision, "bs_steps": {"N": str(count)}} if revision else {}
    return indexed("pipeline-step", "P|Weekly", "CLIENT#P_Weekly", f"STEP#{number:04d}", **own)
