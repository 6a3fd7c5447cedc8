"""Keeps a batch that somebody works on from being deleted, and its id from being used twice.

An audit entry writes the head of the batch's trail (`CHAIN`), and so does the first claim or result of a batch that
could be deleted or does not exist yet. Deleting a batch is conditional on there being no head, and leaves one that
marks the deletion. So of a first claim and a deletion at the same time, one fails. A batch past RECEIVED cannot be
deleted: its status becomes a condition of the claim, and nothing is read for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bluestar_store.errors import AlreadyExistsError, BatchNotFoundError, InvalidTransitionError
from bluestar_store.keys import Key
from bluestar_store.mapping.values import utc_text
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, AuditEntry, ChainHead, Trail
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, BatchState, BatchStatus
from bluestar_store.protocols import ABSENT, Check, Delete, Item, key_of
from bluestar_store.repositories.changes import as_read, change_over
from bluestar_store.repositories.revisions import says_nothing_else
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.trail import append_after, stored_head, trail_items
from bluestar_store.repositories.transaction import StagedWrites

DELETED = "bs_deleted"
"""The attribute of a trail's head that says when its batch was deleted."""
SHOWN = 3
"""Items of a batch that an error names."""


@dataclass(frozen=True)
class Traces:
    """The stored items that decide whether a batch can be deleted: its state and the head of its trail.

    Or, where nothing was read, `begun`: what the caller says of it, which has to be a condition (`require_open_batch`).
    """

    state: Item | None = None
    head: Item | None = None
    begun: BatchState | None = None


def traces_of(session: Session, batch: BatchState | str, staged: StagedWrites) -> Traces:
    """Those of a batch, or of its id, in a step of the unit.

    Of one that was past RECEIVED when it was read nothing is read, unless the unit changes its state, or was refused
    because of it: it may have been read in a unit of work that was never committed.
    """
    batch_id = batch.batch_id if isinstance(batch, BatchState) else batch
    state, head = BATCH_STATE.keys.build({"batch_id": batch_id}), _head_key(batch_id)
    table = session.table(BATCH_STATE)
    if isinstance(batch, BatchState) and _was_past_received(batch):
        place = table, state
        if place not in staged.refused and isinstance(staged.writes.get(place), Check | None):
            return Traces(begun=batch)
    sure = session.needs_isolated_read()
    found = {} if sure else session.engine.get(table, [state, head], consistent=True)
    if not found:  # else it may just have been started
        found = session.engine.get_isolated(table, [state, head])
    return Traces(found.get(state), found.get(head))


def leave_trace(session: Session, batch_id: str, found: Traces, staged: StagedWrites) -> None:
    """Part of a step that claims or saves a result, given what it read: from then on the batch cannot be deleted.

    Raises BatchNotFoundError for a batch that was deleted.
    """
    if found.begun is not None:
        return
    if found.head is not None and DELETED in found.head:
        raise BatchNotFoundError(f"batch {batch_id!r} was deleted")
    is_head = found.head is not None and not says_nothing_else(found.head)
    if not is_head and _is_received((found.state or {}).get("status", {}).get("S")):
        staged.stage_retryable(change_over(session, CHAIN_HEAD, ChainHead(batch_id=batch_id), found.head, {}).write)


def _was_past_received(batch: BatchState) -> bool:
    """By what was read of it, which also has to be of it and name its plan: a copy may say anything."""
    if batch.origin is None or batch.origin.key != BATCH_STATE.keys.build({"batch_id": batch.batch_id}):
        return False
    status, plan_id = (batch.origin.wire.get(name, {}).get("S") for name in ("status", "plan_id"))
    return not _is_received(status) and plan_id == batch.plan_id


def _is_received(status: str | None) -> bool:
    """Other programs may not say."""
    return status in (None, BatchStatus.RECEIVED)


def _head_key(batch_id: str) -> Key:
    return CHAIN_HEAD.keys.build(CHAIN_HEAD.identity(ChainHead(batch_id=batch_id)))


def check_unused(session: Session, staged: StagedWrites, batch_id: str, *, look: bool) -> None:
    """A step of starting a batch: AlreadyExistsError for the id of a deleted one.

    Without `look` there most likely is no trail yet, and the commit finds out.
    """
    head = stored_head(session, Trail(batch_id=batch_id)) if look or staged.is_rerun else None
    if head is not None and DELETED in head:
        raise AlreadyExistsError(f"batch {batch_id!r} was deleted; an id is used once")
    expect = ABSENT if head is None else as_read(CHAIN_HEAD, head, DELETED)
    staged.stage_retryable(Check(session.table(CHAIN_HEAD), _head_key(batch_id), expect))


def delete_untouched(session: Session, batch: BatchState, staged: StagedWrites) -> None:
    """A step that goes with the deletion of a batch's state: its rules go too, and an entry says who did it.

    Raises InvalidTransitionError for a batch that is or has been worked on.
    """
    if not _is_received(batch.status):
        raise InvalidTransitionError(
            f"batch {batch.batch_id!r} is {batch.status}: only one that is RECEIVED can be deleted"
        )
    if batch.current_step is not None:
        raise InvalidTransitionError(
            f"batch {batch.batch_id!r} is at step {batch.current_step}: it can be cancelled, and not deleted any more"
        )
    pk, table = BATCH_STATE.keys.partition({"batch_id": batch.batch_id}), session.table(BATCH_STATE)
    rules = BATCH_RULES.keys.build({"batch_id": batch.batch_id})
    items = {key_of(item): item for item in trail_items(session, pk)}
    traces = [key.sk for key, item in items.items() if key != rules and not BATCH_STATE.owns(item)]
    if traces:
        more = f" and {len(traces) - SHOWN} more" if len(traces) > SHOWN else ""
        raise InvalidTransitionError(
            f"batch {batch.batch_id!r} has been worked on and cannot be deleted, only cancelled: there are "
            f"{', '.join(traces[:SHOWN])}{more}"
        )
    if rules in items:
        staged.stage_retryable(Delete(table, rules, as_read(BATCH_RULES, items[rules])))
    now = session.now()
    entry = AuditEntry(
        batch_id=batch.batch_id,
        seq=0,
        actor=session.actor,
        action="delete",
        at=now,
        details={"plan_id": batch.plan_id, "pay_freq": batch.pay_freq, "rules_digest": batch.rules_digest},
    )
    append_after(session, AUDIT_ENTRY.validated(entry), None, staged, {DELETED: {"S": utc_text(now)}})
