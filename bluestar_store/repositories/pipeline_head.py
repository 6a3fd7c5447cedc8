"""The head of a pipeline's audit trail: every replacement writes it, and it says how many steps there have to be.

Concurrent replacements need not share a step, but they share the head: of two at once, one has to look again. And a
reader who sees no step of ours learns from it whether there should be some.
"""

from __future__ import annotations

from bluestar_store.errors import TableMissingError
from bluestar_store.keys import Key
from bluestar_store.models.audit import CHAIN_HEAD, ChainHead
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import Item, Write
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import change_over

COUNT = "bs_steps"
"""The head's attribute with the number of steps that the last replacement left."""


def read_head(access: Access, pk: str) -> Item | None:
    """The stored head of a pipeline, None when the library never replaced it."""
    key = _key(pk)
    return access.engine.get(access.table(CHAIN_HEAD), [key], consistent=True).get(key)


def steps_written(access: Access, pk: str) -> int:
    """How many steps the library left in the pipeline; 0 when it never wrote one, or removed it."""
    try:
        head = read_head(access, pk)
    except TableMissingError:  # of a store that other programs made: then the library never wrote
        return 0
    return int(head[COUNT]["N"]) if head is not None and COUNT in head else 0


def head_write(access: Access, pk: str, stored: Item | None, count: int) -> Write:
    """The change of the head that goes with a replacement; it fails when another replacement was faster."""
    head = CHAIN_HEAD.decode(stored) if stored else ChainHead(table=PIPELINE_STEP.table, partition=pk)
    return change_over(access, CHAIN_HEAD, head, stored, {COUNT: {"N": str(count)}}, settled=False).write


def _key(pk: str) -> Key:
    return CHAIN_HEAD.keys.build({"batch_id": None, "table": PIPELINE_STEP.table, "partition": pk})
