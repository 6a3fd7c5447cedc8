"""What a merge takes as a whole, or leaves as it is: the work on batches, audit trails, pipelines.

Item by item an older claim would lower a step's fence, a hold that was released would hold again, entries would come
to lie behind their trail's head, where no append ever gets past them, and a pipeline would be a mixture of two.
"""

from __future__ import annotations

from collections.abc import Mapping

from bluestar_store.errors import ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, STEP_CLAIM, STEP_RESULT
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION
from bluestar_store.protocols import AttributeValue, Engine, Item, pages

WORK = (BATCH_STATE, BATCH_RULES, STEP_CLAIM, STEP_RESULT, PLAN_HOLD, HOLD_GUARD, AUDIT_ENTRY, CHAIN_HEAD)
"""Kinds of what was done, or is being done: what the target has of them is never overwritten."""


def not_to_write(
    engine: Engine, table: str, on_disk: str, items: Mapping[Key, Item], stored: Mapping[Key, Item]
) -> set[Key]:
    """The keys of those items of a table that a merge leaves as they are in the target, whether it overwrites or not.

    A trail that the target has goes on as it is: of its entries only those are taken that its head knows of and that
    are not there, as after a merge that was interrupted. A pipeline is taken where the target has no step, or steps of
    the same revision.
    """
    barred = {key for key in stored if any(kind.table == table and kind.keys.parse(key) for kind in WORK)}
    absent = [key for key in items if key not in stored] if table == AUDIT_ENTRY.table else []
    entries = {key: found["seq"] for key in absent if (found := AUDIT_ENTRY.keys.parse(key))}
    ends = _ends(engine, on_disk, {key.pk for key in entries})
    barred |= {key for key, seq in entries.items() if key.pk in ends and not 1 <= seq <= ends[key.pk]}
    steps = [key for key in items if PIPELINE_STEP.keys.parse(key)] if table == PIPELINE_STEP.table else []
    for pk in {key.pk for key in steps}:
        revisions = _revisions(engine, on_disk, pk)
        barred |= {key for key in steps if key.pk == pk and any(items[key].get(REVISION) != one for one in revisions)}
    return barred


def _ends(engine: Engine, on_disk: str, partitions: set[str]) -> dict[str, int]:
    """How many entries the heads of the target's trails know of; 0 for a head that cannot be read."""
    found = engine.get(on_disk, [Key(pk, CHAIN_HEAD.keys.sort.build({})) for pk in sorted(partitions)], consistent=True)
    ends = {}
    for key, item in found.items():
        try:
            ends[key.pk] = CHAIN_HEAD.decode(item).seq
        except ItemDecodeError:
            ends[key.pk] = 0
    return ends


def _revisions(engine: Engine, on_disk: str, pk: str) -> list[AttributeValue | None]:
    """Of each step that the target's pipeline has; None for another program's."""
    found = pages(lambda after: engine.query(on_disk, pk, cursor=after, consistent=True))
    return [item.get(REVISION) for page in found for item in page if PIPELINE_STEP.owns(item)]
