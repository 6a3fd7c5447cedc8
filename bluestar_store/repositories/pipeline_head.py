"""The head of a pipeline's audit trail: every replacement writes it, and it says how many steps there have to be.

Concurrent replacements need not share a step, but they share the head: of two at once, one has to look again. And a
reader who sees no step of ours learns from it whether there should be some.
"""

from __future__ import annotations

from bluestar_store.errors import InvalidKeyError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.models.audit import CHAIN_HEAD, ChainHead
from bluestar_store.models.pipeline import PIPELINE_STEP, step_count
from bluestar_store.protocols import Item, Write
from bluestar_store.repositories.changes import change_over
from bluestar_store.repositories.session import Session

COUNT = "bs_steps"
"""The head's attribute with the number of steps that the last replacement left."""


def read_head(session: Session, pk: str, *, consistent: bool = True) -> Item | None:
    """The stored head of a pipeline, None when the library never replaced it."""
    key = head_key(pk)
    return session.engine.get(session.table(CHAIN_HEAD), [key], consistent=consistent).get(key)


def steps_written(session: Session, pk: str, *, consistent: bool = True) -> int:
    """How many steps the library left in the pipeline; 0 when it never wrote one, or removed it."""
    try:
        head = read_head(session, pk, consistent=consistent)
    except (TableMissingError, InvalidKeyError):  # then the library never wrote, or could not: the key is too long
        return 0
    return (step_count(head) if head is not None else None) or 0


def head_write(session: Session, pk: str, stored: Item | None, count: int) -> Write:
    """The change of the head that goes with a replacement; it fails when another replacement was faster."""
    head = CHAIN_HEAD.decode(stored) if stored else ChainHead(table=PIPELINE_STEP.table, partition=pk)
    return change_over(session, CHAIN_HEAD, head, stored, {COUNT: {"N": str(count)}}).write


def head_key(pk: str) -> Key:
    """Where the head of a pipeline lies; InvalidKeyError when the pipeline's own key leaves no room for it."""
    return CHAIN_HEAD.keys.build({"batch_id": None, "table": PIPELINE_STEP.table, "partition": pk})
