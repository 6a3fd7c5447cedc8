"""Conditions for work on a batch: its plan has no open hold, the batch is not over, and it has the step.

Claiming a step, saving a result and advancing a batch make this a condition of their transaction: the plan's guard
counts no open hold, and the batch's status is not a final one. Nothing is read for it. If the condition fails, the
items are read to say why. A guard whose count is too high, because another program released or deleted a hold, is
corrected then.
"""

from __future__ import annotations

from collections.abc import Sequence

from bluestar_store.errors import InvalidEntityError, InvalidTransitionError, PlanOnHoldError
from bluestar_store.mapping.salvage import broken_attributes, salvaged
from bluestar_store.models.batches import BATCH_STATE, STEP_NUMBERS, BatchState, BatchStatus
from bluestar_store.models.holds import HOLD_GUARD, HoldGuard, PlanHold
from bluestar_store.protocols import ABSENT, AsRead, Check, Fit, Fits, Item, Write
from bluestar_store.repositories.changes import as_read, change_over
from bluestar_store.repositories.holds import plan_holds, stored_guard
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.transaction import StagedWrites

OVER = (BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED)
"""Nobody works on a batch that is one of these; a failed one may be run again, and then is not."""
_NONE_OPEN = Fits((Fit("open_holds", "one of", ({"N": "0"},)),))
_NOT_OVER = Fit("status", "none of", tuple({"S": status.value} for status in OVER))
_BEGUN = Fit("status", "one of", tuple({"S": one.value} for one in (BatchStatus.RUNNING, BatchStatus.ON_HOLD)), True)
_STEPS_SHOWN = 12


def require_no_open_hold(session: Session, plan_id: str, staged: StagedWrites, seen: Sequence[PlanHold] = ()) -> None:
    """A step that lets its unit fail when the plan has an open hold as it commits. Raises PlanOnHoldError.

    `seen` are holds that were read already: an open one among them, which may be another program's, is looked at again.
    """
    if any(hold.is_open for hold in seen):
        _refuse_open(session, plan_id)
    table, key = session.table(HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": plan_id})
    if (table, key) not in staged.refused and isinstance(staged.writes.get((table, key)), Check | None):
        staged.stage_retryable(Check(table, key, _NONE_OPEN))
        return
    guard = stored_guard(session, plan_id)  # before the holds: who changes one of them afterwards changes it
    _refuse_open(session, plan_id)
    if guard is None:
        staged.stage_retryable(Check(table, key, ABSENT))
        return
    counted = salvaged(HOLD_GUARD, guard, table)
    if counted.open_holds or broken_attributes(counted):
        staged.stage_retryable(change_over(session, HOLD_GUARD, HoldGuard(plan_id=plan_id), guard, {}).write)
    else:
        staged.stage_retryable(Check(table, key, as_read(HOLD_GUARD, guard)))


def _refuse_open(session: Session, plan_id: str) -> None:
    if found := [hold.hold_id for hold in plan_holds(session, plan_id, salvaged) if hold.is_open]:
        raise PlanOnHoldError(plan_id, found)


def require_open_batch(
    session: Session,
    batch_id: str,
    step: int | None,
    staged: StagedWrites,
    state: Item | None = None,
    begun: BatchState | None = None,
    *,
    claimed: bool = False,
) -> None:
    """A step that lets its unit fail when the batch is over, or does not have the step, as it commits.

    `state` is the stored one, where it was read; where it was not, `begun` is a batch of which somebody says that it is
    past RECEIVED and of that plan: the unit fails when it is not. `claimed`: by the holder of a claim, whose last
    result and entry may go with the end of the batch that the unit itself writes, unless that cancels it. Raises
    InvalidTransitionError, InvalidEntityError.
    """
    table, key = session.table(BATCH_STATE), BATCH_STATE.keys.build({"batch_id": batch_id})
    write = staged.writes.get((table, key))
    moved = not isinstance(write, Check | None)
    if moved or (table, key) in staged.refused:
        state = session.engine.get(table, [key], consistent=True).get(key)
    if state is not None:
        status = state.get("status", {}).get("S")
        may_end = claimed and moved and status != BatchStatus.CANCELLED and not _was_over(write)
        if status in OVER and not may_end:
            raise InvalidTransitionError(f"batch {batch_id!r} is {status}, it is over: nobody works on it any more")
        if step is not None:
            check_step(batch_id, step, state)
    if not moved:
        has_step = () if step is None else (Fit(STEP_NUMBERS, "contains", ({"N": str(step)},)),)
        as_said = (_NOT_OVER,) if begun is None else (_BEGUN, *_of_plan(begun))
        staged.stage_retryable(Check(table, key, Fits((*as_said, *has_step))))


def _of_plan(batch: BatchState) -> tuple[Fit, ...]:
    return () if batch.plan_id is None else (Fit("plan_id", "one of", ({"S": batch.plan_id},), required=True),)


def _was_over(write: Write | None) -> bool:
    """Whether the batch was over before the unit wrote its state."""
    read = write.expect.attributes if write is not None and isinstance(write.expect, AsRead) else {}
    return (read.get("status") or {}).get("S") in OVER


def check_step(batch_id: str, step: int, state: Item) -> None:
    """InvalidEntityError for a step that a batch's state does not name; one that names none may have any."""
    texts = state.get(STEP_NUMBERS, {"NS": ()}).get("NS")
    if texts is None or not all(map(str.isdecimal, texts)):
        raise InvalidEntityError(f"the state of batch {batch_id!r} has no whole numbers in {STEP_NUMBERS}")
    numbers = sorted(map(int, texts))
    if numbers and step not in numbers:
        more = ", ..." if len(numbers) > _STEPS_SHOWN else ""
        shown = ", ".join(map(str, numbers[:_STEPS_SHOWN]))
        raise InvalidEntityError(f"batch {batch_id!r} has no step {step}: its steps are {shown}{more}")


def begins_step(before: BatchState | None, after: BatchState, asked: BatchStatus | None) -> bool:
    """Whether a step begins, or the last one ends: the batch is to run or is completed, or goes to another step.

    A new batch, and one that a plan is named for, begins what it says. `asked` is the status that it is to get, None
    for the one that it has.
    """
    known = before if before is not None and before.plan_id == after.plan_id else None
    if after.current_step != (known.current_step if known else None):
        return True
    moves = asked is not None or known is None or known.status is not after.status
    return moves and after.status in (BatchStatus.RUNNING, BatchStatus.COMPLETED)
