"""The steps of a batch: who works on them, and what they found. Never cached, read consistently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from bluestar_store.deprecation import renamed
from bluestar_store.engines.checks import item_bytes
from bluestar_store.errors import (
    ClaimLostError,
    ClaimTakenError,
    InvalidEntityError,
    ItemTooLargeError,
    ResultConflictError,
)
from bluestar_store.mapping.canonical import digest
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.values import plain_value
from bluestar_store.models.batches import BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, StepClaim, StepResult
from bluestar_store.models.merge_marks import merge_mark
from bluestar_store.protocols import Check, Item, key_of
from bluestar_store.redaction.masking import has_secret
from bluestar_store.repositories.base import Reader, owned
from bluestar_store.repositories.batch_traces import Traces, leave_trace, traces_of
from bluestar_store.repositories.changes import as_read, change_over
from bluestar_store.repositories.identifiers import check_known
from bluestar_store.repositories.moments import KeyRange, read_parts
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import HasSessions
from bluestar_store.repositories.stored_items import Wanted, current_item, stored_items
from bluestar_store.repositories.transaction import StagedWrites
from bluestar_store.repositories.work_conditions import require_no_open_hold, require_open_batch

E = TypeVar("E", bound=Entity)

SKEW = timedelta(seconds=1)
"""How far the clocks of two machines may be apart: a claim is taken over that much later than it expires."""
MAX_RESULT_BYTES = 350 * 1024
"""Of a result, as an item: DynamoDB takes 400 KB (AWS limit), and the library's own attributes need room."""


class StepRecords(Reader[E]):
    """Results or claims of a batch's steps: one for each step. Those of a batch that a merge is not done with are none.

    What other programs keep beside them by other keys (`RESULT#match_step`) is passed over.
    """

    def get(self, batch_id: str, step: int) -> E:
        """The record of one step, whatever the width of the number in its key. Raises BatchNotFoundError."""
        session = self._sessions.current()
        key = self._mapper.keys.build({"batch_id": batch_id, "step": step})
        mark, table = merge_mark(self._mapper, key.pk), session.table(self._mapper)
        found = session.engine.get(table, [key, mark], consistent=True)
        if key in found and mark not in found:
            return self._decode(found[key])
        for record in self.for_batch(batch_id):
            if getattr(record, "step", None) == step:
                return record
        raise self.not_found(f"no {self._mapper.entity.__name__} for step {step} of batch {batch_id!r}")

    def for_batch(self, batch_id: str) -> tuple[E, ...]:
        """The records of a batch by step, as of one moment; empty when there is none."""
        session = self._sessions.current()
        pk, table = self._mapper.keys.partition({"batch_id": batch_id}), session.table(self._mapper)
        part = KeyRange(table, pk, self._mapper.keys.sort.prefix)
        items = read_parts(session, [session.revisions.of_trail(pk)], [part])[part]
        if merge_mark(self._mapper, pk) in map(key_of, items):
            state = BATCH_STATE.keys.build({"batch_id": batch_id})
            if not session.engine.get(table, [state], consistent=True):
                return ()
        return owned(session, self._mapper, items)


class StepClaimRepository(StepRecords[StepClaim]):
    """Which worker owns a step.

    A claim carries a fencing number that only grows: a write that brings a claim is conditioned on it, so that a worker
    that lost its claim cannot write, whatever its clock says.
    """

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, STEP_CLAIM)

    def claim(
        self, batch: BatchState | str, step: int, worker: str, lease_seconds: float, *, actor: str | None = None
    ) -> StepClaim:
        """Own a step for so long; returns the claim. A worker that claims its own step again has a new claim.

        `actor` is who writes, the setting's where none is given. Raises ClaimTakenError until a second after another
        worker's claim has expired, PlanOnHoldError while the plan has an open hold, InvalidTransitionError for a batch
        that is over, and InvalidEntityError for a step that it does not have, a lease of no time or a worker without a
        name.
        """
        session = self._sessions.current().acting_as(actor)
        if not worker:
            raise InvalidEntityError("a claim needs the name of a worker")
        wanted = self._mapper.made(batch_id=_id_of(batch), step=step, worker=worker)
        check_known(session, self._mapper, batch_id=wanted.batch_id)
        made: list[StepClaim] = []

        def take(session: Session, staged: StagedWrites) -> None:
            found, (traces,) = session.beside(
                partial(self._found, wanted), [partial(traces_of, session, batch, staged)]
            )
            now = session.now()
            if found is not None and _holds_off(found, worker, now):
                raise ClaimTakenError(_place(wanted), str(found.worker), found.expires or now)
            fence = (found.fence or 0) + 1 if found is not None else 1
            claim = wanted.model_copy(update={"fence": fence, "claimed": now, "expires": _end(now, lease_seconds)})
            require_open_batch(session, wanted.batch_id, wanted.step, staged, traces.state, traces.begun)
            if (plan_id := _plan_of(batch, traces.state)) is not None:
                require_no_open_hold(session, plan_id, staged)
            if found is None:
                leave_trace(session, wanted.batch_id, traces, staged)
            made[:] = [self._keep(session, staged, claim, found)]

        with self._sessions.unit(actor) as session:
            session.run_step(take)
        return made[0]

    def heartbeat(self, claim: StepClaim, lease_seconds: float, *, actor: str | None = None) -> StepClaim:
        """Own the step for so long from now on; returns the claim as it is now. `actor` as for `claim`.

        Raises ClaimLostError.
        """
        return self._renewed(claim, lambda now: {"expires": _end(now, lease_seconds)}, actor)

    def release(self, claim: StepClaim, *, actor: str | None = None) -> None:
        """Own the step no longer. `actor` as for `claim`. Raises ClaimLostError."""
        self._renewed(claim, lambda now: {"worker": None, "expires": None}, actor)

    def _renewed(self, claim: StepClaim, update: Callable[[datetime], dict[str, Any]], actor: str | None) -> StepClaim:
        made: list[StepClaim] = []

        def renew(session: Session, staged: StagedWrites) -> None:
            found = self._owned(claim)
            made[:] = [self._keep(session, staged, found.model_copy(update=update(session.now())), found)]

        with self._sessions.unit(actor) as session:
            session.run_step(renew)
        return made[0]

    def _found(self, claim: StepClaim) -> StepClaim | None:
        item = current_item(self._sessions.current(), self._mapper, claim)
        return None if item is None else self._decode(item)

    def _owned(self, claim: StepClaim) -> StepClaim:
        """The claim as it is stored. Raises ClaimLostError."""
        found = self._found(claim)
        if found is None or not _is_standing(claim, found):
            raise _lost(claim)
        return found

    def _keep(self, session: Session, staged: StagedWrites, claim: StepClaim, found: StepClaim | None) -> StepClaim:
        # Over what was looked at, and not what is there by now: that may be another worker's.
        before = found.origin.wire if found is not None and found.origin is not None else None
        change = change_over(session, self._mapper, self._mapper.validated(claim), before, {})
        staged.stage_retryable(change.write)
        return self._after(change)


def check_claim(session: Session, claim: StepClaim, staged: StagedWrites, stored: Item | None) -> None:
    """A step that lets its unit fail unless the claim stands, then and when it commits. Raises ClaimLostError.

    `stored` was read in the same step. Its time does not matter: as long as nobody else took the step, nobody else
    works on it.
    """
    found = None if stored is None else STEP_CLAIM.decode(stored, session.table(STEP_CLAIM))
    if stored is None or not _is_standing(claim, found):
        raise _lost(claim)
    staged.stage_retryable(Check(session.table(STEP_CLAIM), key_of(stored), as_read(STEP_CLAIM, stored)))


def _is_standing(claim: StepClaim, found: StepClaim | None) -> bool:
    if found is None or claim.fence is None or (found.worker, found.fence) != (claim.worker, claim.fence):
        return False
    return claim.claimed in (None, found.claimed)  # else it was deleted and made again, and fences began anew


def _lost(claim: StepClaim) -> ClaimLostError:
    return ClaimLostError(f"{claim.worker!r} does not own {_place(claim)} any more; claim it again")


class StepResultRepository(StepRecords[StepResult]):
    """What the steps of a batch found, once a step."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, STEP_RESULT)

    def save(
        self,
        batch: BatchState | str,
        step: int,
        result: Mapping[str, Any],
        claim: StepClaim | None = None,
        *,
        worker: str | None = None,
        actor: str | None = None,
    ) -> StepResult:
        """Save what a step found; returns it as stored. Saving the equal result again changes nothing.

        `actor` is who writes, the setting's where none is given. Raises ResultConflictError when the step has another
        result, ClaimLostError when `claim` is given and over, InvalidTransitionError for a batch that is over,
        ItemTooLargeError over 350 KB, InvalidEntityError for a step that the batch does not have, what DynamoDB cannot
        hold and another step's claim. A hold of the plan does not keep it from being saved.
        """
        session = self._sessions.current().acting_as(actor)
        by = worker or (claim.worker if claim else None)
        now = session.now()
        wanted = self._mapper.made(batch_id=_id_of(batch), step=step, result=result, worker=by, saved=now)
        check_known(session, self._mapper, batch_id=wanted.batch_id)
        if claim is not None and (claim.batch_id, claim.step) != (wanted.batch_id, wanted.step):
            raise InvalidEntityError(f"a claim of {_place(claim)} says nothing of {_place(wanted)}")
        size = item_bytes(self._mapper.encode(wanted))
        if size > MAX_RESULT_BYTES:
            raise ItemTooLargeError(
                f"the result of {_place(wanted)} is {size} bytes, more than 350 KB: put it into the file store "
                "(store.files.write) and save its path"
            )
        found_digest = _digest(wanted)
        saved = [wanted]

        def keep(session: Session, staged: StagedWrites) -> None:
            traces = Traces()
            if claim is None:
                stored = partial(current_item, session, self._mapper, wanted)
                item, (traces,) = session.beside(stored, [partial(traces_of, session, batch, staged)])
                if item is None:
                    leave_trace(session, wanted.batch_id, traces, staged)
            else:  # which has left a trace
                item, claimed = stored_items(session, [Wanted.of(self._mapper, wanted), Wanted.of(STEP_CLAIM, claim)])
                check_claim(session, claim, staged, claimed)
            if item is None:
                is_claimed = claim is not None
                require_open_batch(
                    session, wanted.batch_id, wanted.step, staged, traces.state, traces.begun, claimed=is_claimed
                )
                change = change_over(session, self._mapper, self._with_digest(wanted, found_digest), None, {})
                staged.stage_retryable(change.write)
                saved[:] = [self._after(change)]
                return
            saved[:] = [self._decode(item)]
            if _digest(saved[0]) != found_digest:
                raise ResultConflictError(f"{_place(wanted)} has another result already; it stays as it is")

        with self._sessions.unit(actor) as session:
            session.run_step(keep)
        return saved[0]

    def _with_digest(self, result: StepResult, digest: str) -> StepResult:
        """With the digest of what was found.

        Where that is encrypted, or shown masked in part, it is keyed: who cannot read it cannot try values.
        """
        session = self._sessions.current()
        key = self._mapper.key(result)
        made = session.keyed_digest(self._mapper, key, "result", digest)
        if made is None and has_secret("result", result.result):
            made = session.digests.of_value(self._mapper, key.pk, plain_value(result.result))
        return result.model_copy(update={"digest": made or digest})


def _digest(result: StepResult) -> str:
    return digest(plain_value(result.result))


def _id_of(batch: BatchState | str) -> str:
    return batch.batch_id if isinstance(batch, BatchState) else batch


def _plan_of(batch: BatchState | str, state: Item | None) -> str | None:
    """The plan whose holds count: what is stored says it, where it was read; None where nobody does."""
    if state is not None:
        return state.get("plan_id", {}).get("S")
    return batch.plan_id if isinstance(batch, BatchState) else None


def _place(record: StepClaim | StepResult) -> str:
    return f"step {record.step} of batch {record.batch_id!r}"


def _holds_off(claim: StepClaim, worker: str, now: datetime) -> bool:
    if claim.worker in (None, worker) or claim.expires is None:
        return False
    return now - SKEW <= claim.expires


def _end(now: datetime, lease_seconds: float) -> datetime:
    """When a lease is over. Raises InvalidEntityError for one of no time, or of more than the calendar has."""
    try:
        end = now + timedelta(seconds=lease_seconds)
    except (OverflowError, TypeError, ValueError):  # inf, text or a Decimal, NaN
        end = now
    if not end > now:
        raise InvalidEntityError(
            f"lease_seconds is {lease_seconds!r}: a lease is a number of seconds above 0 (int or float) that ends "
            "before the year 10000"
        )
    return end


__getattr__ = renamed(
    __name__, {"Claims": f"{__name__}:StepClaimRepository", "Results": f"{__name__}:StepResultRepository"}
)  # for one release
