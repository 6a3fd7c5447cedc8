"""Free-form states and results of other programs' batches, given beside the typed ones: `FreeState`, `FreeResult`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.batches import BATCH_STATE, STEP_RESULT
from bluestar_store.models.free_form import FREE_RESULT, FreeResult, FreeState
from bluestar_store.models.merge_marks import is_merge_mark
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.base import owned_without_lost
from bluestar_store.repositories.session import Session


def free_results(session: Session, items: Iterable[Item]) -> tuple[FreeResult, ...]:
    """The free-form results among a batch's items, by the names of their steps.

    Those that agents of the drop-in saved, and those of old programs, which lie where the typed ones do
    (`RESULT#match_step`), with all their attributes. Of one name, the former.
    """
    found = list(items)
    old = (_old_result(item) for item in found if _is_old_result(item))
    results = {result.step: result for result in (*old, *owned_without_lost(session, FREE_RESULT, found))}
    return tuple(result for _, result in sorted(results.items()))


def _is_old_result(item: Item) -> bool:
    prefix = STEP_RESULT.keys.sort.prefix
    key = key_of(item)
    is_result = key.sk.startswith(prefix) and key.sk != prefix and not is_merge_mark(key)
    return is_result and not STEP_RESULT.owns(item)


def _old_result(item: Item) -> FreeResult:
    key = key_of(item)
    batch = STEP_RESULT.keys.partition_identity(key.pk) or {}
    return FreeResult(**batch, step=key.sk.removeprefix(STEP_RESULT.keys.sort.prefix), result=_document(item))


def old_state(item: Item) -> FreeState:
    """The item at a batch's `STATE`, where it is no BatchState, with all its attributes."""
    return FreeState(**(BATCH_STATE.keys.parse(key_of(item)) or {}), state=_document(item))


def _document(item: Item) -> dict[str, Any]:
    """All that an item says, but its key."""
    return {name: from_wire(value) for name, value in item.items() if name not in ("PK", "SK")}
