"""Batches: one payroll file on its way through a plan's pipeline. Never cached, read consistently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from immutabledict import immutabledict

from bluestar_store.deprecation import renamed
from bluestar_store.errors import InvalidEntityError, InvalidTransitionError
from bluestar_store.keys import check_identifier, check_new_identifier
from bluestar_store.mapping.indexes import BY_LEVEL
from bluestar_store.mapping.values import utc_text
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry
from bluestar_store.models.batches import (
    BATCH_RULES,
    BATCH_STATE,
    INDEXES_CHECKED,
    STEP_CLAIM,
    STEP_NUMBERS,
    STEP_RESULT,
    BatchRules,
    BatchState,
    BatchStatus,
    StepClaim,
    StepResult,
)
from bluestar_store.models.free_form import FREE_STATE, FreeResult, FreeState
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import ABSENT, Item
from bluestar_store.repositories.audit import visible_entries
from bluestar_store.repositories.base import Repository, owned, owned_without_lost
from bluestar_store.repositories.batch_pages import BatchPage, BatchPages
from bluestar_store.repositories.batch_traces import check_unused, delete_untouched
from bluestar_store.repositories.changes import (
    PlannedWrite,
    PutExpectation,
    Target,
    change_over,
    delete_change,
    put_change,
)
from bluestar_store.repositories.free_form import free_results
from bluestar_store.repositories.holds import seen_holds
from bluestar_store.repositories.identifiers import new_id
from bluestar_store.repositories.open_store import OpenStore
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.snapshot import PlanSnapshot
from bluestar_store.repositories.steps import check_claim
from bluestar_store.repositories.stored_items import Wanted, current_item
from bluestar_store.repositories.trail import has_head, trail_items
from bluestar_store.repositories.transaction import StagedWrites
from bluestar_store.repositories.work_conditions import begins_step, check_step, require_no_open_hold

TRANSITIONS: Mapping[BatchStatus, frozenset[BatchStatus]] = immutabledict(
    {
        BatchStatus.RECEIVED: frozenset(
            {BatchStatus.RUNNING, BatchStatus.ON_HOLD, BatchStatus.FAILED, BatchStatus.CANCELLED}
        ),
        BatchStatus.RUNNING: frozenset(
            {
                BatchStatus.RUNNING,
                BatchStatus.ON_HOLD,
                BatchStatus.COMPLETED,
                BatchStatus.FAILED,
                BatchStatus.CANCELLED,
            }
        ),
        BatchStatus.ON_HOLD: frozenset({BatchStatus.RUNNING, BatchStatus.FAILED, BatchStatus.CANCELLED}),
        BatchStatus.FAILED: frozenset({BatchStatus.RUNNING, BatchStatus.CANCELLED}),
        BatchStatus.COMPLETED: frozenset(),
        BatchStatus.CANCELLED: frozenset(),
    }
)
"""Where a batch may go from each status. A failed one may be run again; a completed or cancelled one is over."""

PINNED = ("plan_id", "pay_freq", "year", "rules_digest")
"""What a batch was started under: once it is said, it stays."""


@dataclass(frozen=True)
class BatchHistory:
    """All that is known of one batch, as of one moment: steps by number, audit entries by number.

    `rules` is None for a batch that another program started. What agents of the drop-in saved is in `free_state` (None
    when they saved none) and, by the names of their steps, `free_results`; so is what old programs keep of a step under
    `RESULT#{name}`, all attributes of it.
    """

    state: BatchState
    rules: BatchRules | None
    claims: tuple[StepClaim, ...]
    results: tuple[StepResult, ...]
    audit: tuple[AuditEntry, ...]
    free_state: FreeState | None = None
    free_results: tuple[FreeResult, ...] = ()


@dataclass(frozen=True)
class RulesVerification:
    """Whether a plan's rules still are what a batch was started under.

    `changed`, `came` and `went` name items as `PlanSnapshot.item_digests` does, `{table}/{PK}/{SK}`, sorted. `current`
    is the digest of what there is now: where limits or a whole pipeline are missing, and no batch could be started, it
    covers the rest and is no snapshot's. `unknown` names items of which nothing can be told: their digests were made
    with a key that this store does not have, because they were imported without it or a plan's key was dropped; or what
    is there now cannot be decrypted here.
    """

    started_under: str | None
    current: str
    changed: tuple[str, ...]
    came: tuple[str, ...]
    went: tuple[str, ...]
    unknown: tuple[str, ...] = ()

    @property
    def unchanged(self) -> bool:
        """Whether all are unchanged; False, too, if that cannot be determined."""
        return self.started_under == self.current

    @property
    def cannot_tell(self) -> bool:
        """Whether no item is known to have changed, but some are `unknown`."""
        return bool(self.unknown) and not (self.changed or self.came or self.went)


class BatchRepository(Repository[BatchState]):
    """Items of the table processing-metadata."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, BATCH_STATE)
        index_reader = store.index_reader
        self._pages, self._snapshots = BatchPages(index_reader), store.snapshots
        self._marks, self._recheck = index_reader.marks, index_reader.recheck

    def get(self, batch_id: str) -> BatchState:
        """The state of a batch. Raises BatchNotFoundError."""
        key = self._mapper.keys.build({"batch_id": batch_id})
        found = self._stored([key])
        if key not in found:
            raise self.not_found(f"no batch {batch_id!r}")
        return found[key]

    def for_plan(self, plan_id: str, *, limit: int | None = None, cursor: str | None = None) -> BatchPage:
        """The plan's batches, newest first; one without `created` counts as oldest.

        All of them, or `limit` at most and a cursor for those behind them: InvalidKeyError for a cursor that is of
        another plan, or of nothing. What other programs keep of a batch in a shape of their own is in the page's
        `free_states`. Each is as it is stored, as far as the index knows by now; not all as of one moment. Raises
        IndexMissingError for a large table without the index.
        """
        return self._pages.page(self._sessions.current(), plan_id, limit, cursor)

    def history(self, batch_id: str) -> BatchHistory:
        """The state, claims, results and audit trail of a batch, as of one moment. Raises BatchNotFoundError."""
        session = self._sessions.current()
        pk = self._mapper.keys.partition({"batch_id": batch_id})
        items = trail_items(session, pk)
        states = owned(session, self._mapper, items)
        if not states:
            raise self.not_found(f"no batch {batch_id!r}")
        rules, free = owned(session, BATCH_RULES, items), owned_without_lost(session, FREE_STATE, items)
        return BatchHistory(
            states[0],
            rules[0] if rules else None,
            owned(session, STEP_CLAIM, items),
            owned_without_lost(session, STEP_RESULT, items),
            visible_entries(owned_without_lost(session, AUDIT_ENTRY, items), has_head=has_head(items)),
            free[0] if free else None,
            free_results(session, items),
        )

    def verify_rules(self, batch: BatchState) -> RulesVerification:
        """Compare the plan's rules of now with those that the batch was started under, consistently, past the cache.

        Limits or a pipeline that are gone are among what `went`. Raises InvalidEntityError for a batch that does not
        say its plan, frequency and year.
        """
        session = self._sessions.current()
        if batch.plan_id is None or batch.pay_freq is None or batch.year is None:
            raise InvalidEntityError(f"batch {batch.batch_id!r} has no plan_id, pay_freq or year: it has no rules")
        now = self._snapshots.contents(batch.plan_id, batch.pay_freq, batch.year)
        key = BATCH_RULES.keys.build({"batch_id": batch.batch_id})
        table = session.table(BATCH_RULES)
        stored = session.engine.get(table, [key], consistent=True).get(key)
        then = (BATCH_RULES.decode(stored, table).items if stored else None) or {}
        found = now.digests_again(then)
        unknown = tuple(name for name, digest in found.items() if digest is None)
        return RulesVerification(
            batch.rules_digest,
            now.digest_of({name: digest or "unknown" for name, digest in found.items()}),
            tuple(name for name, digest in found.items() if name in then and digest not in (None, then[name])),
            tuple(name for name in found if name not in then),
            tuple(sorted(then.keys() - found.keys())),
            unknown,
        )

    # ------------------------------------------------------------------------------------------------------- writing

    def start(
        self, plan_id: str, pay_freq: str, year: int, batch_id: str | None = None, *, actor: str | None = None
    ) -> BatchState:
        """Begin a batch, RECEIVED; returns its state. `batch_id` is a ULID where none is given.

        The plan's rules are read consistently, past the cache, and their digests pinned: see `verify_rules`. `actor` is
        who writes, the setting's where none is given. Beside the answer, and without keeping it waiting, pages of
        tables that are marked as indexed may be read and their items given index attributes. Raises AlreadyExistsError
        for an id that is taken, or was until its batch was deleted, InvalidKeyError for what cannot be one,
        InvalidEntityError, and what `Store.plan_snapshot` raises.
        """
        self._sessions.current().acting_as(actor)  # which refuses what is no actor, before anything is read
        batch_id = new_id() if batch_id is None else check_identifier("batch_id", batch_id)
        check_new_identifier("batch_id", batch_id)
        snapshot, checked = self._pinned(plan_id, pay_freq, year)
        for name, value in (("plan_id", plan_id), ("pay_freq", pay_freq)):  # by another name its holds would not count
            check_new_identifier(name, value)
        now = self._sessions.now()
        state = self._mapper.made(
            batch_id=batch_id,
            plan_id=plan_id,
            pay_freq=pay_freq,
            year=year,
            status=BatchStatus.RECEIVED,
            rules_digest=snapshot.digest,
            created=now,
            updated=now,
        )
        rules = BatchRules(batch_id=state.batch_id, digest=snapshot.digest, items=snapshot.item_digests)
        pinned = {} if checked is None else {INDEXES_CHECKED: {"S": utc_text(checked)}}
        steps = {STEP_NUMBERS: {"NS": sorted({str(step.step_order) for step in snapshot.steps})}}
        # The commit finds out whether the id is taken; who is within a unit of work hears of it before.
        looks = self._sessions.unit_here() is not None
        with self._sessions.unit(actor) as session:
            if looks:
                current = current_item(session, self._mapper, state)
                put_change(session, Target.of(self._mapper, state, ABSENT), current)
            begun = change_over(session, self._mapper, state, None, steps, settled=True)
            session.engine.write(
                begun.write, change_over(session, BATCH_RULES, rules, None, pinned, settled=True).write
            )
            session.run_step(partial(check_unused, batch_id=batch_id, look=looks))
        self._recheck.beside_start()
        return self._after(begun)

    def _pinned(self, plan_id: str, pay_freq: str, year: int) -> tuple[PlanSnapshot, datetime | None]:
        """The snapshot that a batch starts under, and the recheck that it relies on, if its table is marked."""
        before = self._marks.last_checked(VALIDATION_RULE, BY_LEVEL)
        snapshot = self._snapshots.take(plan_id, pay_freq, year)
        if self._sessions.indexes_complete:
            return snapshot, None
        return snapshot, before or self._marks.last_checked(VALIDATION_RULE, BY_LEVEL)

    def advance(
        self,
        batch: BatchState,
        status: BatchStatus | None = None,
        step: int | None = None,
        claim: StepClaim | None = None,
        *,
        actor: str | None = None,
    ) -> BatchState:
        """Move a batch on: another status, another current step, or both; returns its state as stored.

        `batch` is as it was read: VersionConflictError when it has moved since. `actor` is who writes, the setting's
        where none is given. Raises InvalidTransitionError for a status that cannot follow on its own (see TRANSITIONS),
        PlanOnHoldError when it is to run, to go to another step or to be completed and its plan has an open hold,
        ClaimLostError when `claim` is given and over, InvalidEntityError for a copy that names another plan, frequency,
        year or digest, and for a step that it does not have (see `step_numbers`). Then nothing is written.
        """
        if batch.origin is None:
            raise InvalidEntityError(f"batch {batch.batch_id!r} was not read from a store: batches.get gives it")
        if claim is not None and claim.batch_id != batch.batch_id:
            raise InvalidEntityError(f"a claim of batch {claim.batch_id!r} says nothing of batch {batch.batch_id!r}")
        read = self._decode(batch.origin.wire)
        if read.batch_id != batch.batch_id:
            raise InvalidEntityError(f"batch {batch.batch_id!r} was read as {read.batch_id!r}: batches.get gives it")
        moved = {
            "status": status or read.status or BatchStatus.RECEIVED,  # whatever a copy says; other programs may not
            "current_step": batch.current_step if step is None else step,
            "updated": self._sessions.now(),
        }
        return self._moved(batch.model_copy(update=moved), None, actor, asked=status, claim=claim)

    def put(self, entity: BatchState, expected: PutExpectation = None, *, actor: str | None = None) -> BatchState:
        """See Repository; a batch that is there goes no other way than by `advance`.

        Raises InvalidTransitionError for a status that cannot follow, PlanOnHoldError as for `advance`,
        InvalidEntityError for another plan, frequency, year, digest or step than it has.
        """
        return self._moved(entity, expected, actor)

    def delete(self, entity: BatchState, expected: PutExpectation = None, *, actor: str | None = None) -> None:
        """Delete a batch that is RECEIVED and was never worked on, with its rules; `expected` and `actor` as for `put`.

        What stays is its trail, which says who deleted it; its id is used up. Raises InvalidTransitionError for any
        other batch, which can be cancelled.
        """

        def rules(session: Session, change: PlannedWrite, staged: StagedWrites, _: Sequence[Item | None]) -> None:
            if change.before:
                delete_untouched(session, self._decode(change.before), staged)

        self._written(delete_change, entity, expected, actor, rules)

    def _moved(
        self,
        batch: BatchState,
        expected: PutExpectation,
        actor: str | None,
        *,
        asked: BatchStatus | None = None,
        claim: StepClaim | None = None,
    ) -> BatchState:
        """The batch as stored; `asked` is the status that it is to get, None for the one that it has."""
        stored: list[BatchState] = []
        looks = [] if claim is None else [Wanted.of(STEP_CLAIM, claim)]
        # Other programs place holds without the guard: those are looked at beside the batch.
        read = None if batch.origin is None else self._decode(batch.origin.wire)
        plan_id = batch.plan_id if begins_step(read, batch, asked) else None
        beside = None if plan_id is None else partial(seen_holds, plan_id=plan_id)

        def rules(session: Session, change: PlannedWrite, staged: StagedWrites, found: Sequence[Any]) -> None:
            after = self._after(change)
            before = self._decode(change.before) if change.before else None
            if before is None:
                check_unused(session, staged, after.batch_id, look=True)
            else:
                _check_move(before, after, asked)
                if after.current_step is not None and after.current_step != before.current_step:
                    check_step(after.batch_id, after.current_step, change.before)
            if claim is not None:
                check_claim(session, claim, staged, found[0])
            if begins_step(before, after, asked) and after.plan_id is not None:
                holds = found[-1] if plan_id is not None else seen_holds(session, after.plan_id)
                require_no_open_hold(session, after.plan_id, staged, holds)
            stored[:] = [after]

        self._written(put_change, self._mapper.validated(batch), expected, actor, rules, looks, beside)
        return stored[0]


def _check_move(before: BatchState, after: BatchState, asked: BatchStatus | None) -> None:
    other = [name for name in PINNED if getattr(before, name) not in (None, getattr(after, name))]
    if other:
        raise InvalidEntityError(f"batch {before.batch_id!r} keeps its {', '.join(other)}: start another batch")
    was, becomes = (batch.status or BatchStatus.RECEIVED for batch in (before, after))  # other programs may not say
    stays = asked is None and becomes is was
    if becomes not in TRANSITIONS[was] and not (stays and TRANSITIONS[was]):
        raise InvalidTransitionError(
            f"batch {before.batch_id!r} is {was} and cannot become {becomes}; it can become "
            f"{', '.join(sorted(TRANSITIONS[was])) or 'nothing else: it is over'}"
        )


__getattr__ = renamed(__name__, {"Batches": f"{__name__}:BatchRepository"})  # for one release
