"""Holds: why a plan's batches must wait. Never cached, read consistently.

Placing or releasing a hold updates the count of open holds in the plan's guard, in the same transaction. Whoever begins
a step of a batch makes it a condition that the guard counts none: see `working`. Other programs place holds without the
guard: advancing a batch reads the plan's holds too, and so notices them, at the next advance at the latest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bluestar_store.deprecation import renamed
from bluestar_store.errors import ItemDecodeError
from bluestar_store.keys import check_identifier
from bluestar_store.mapping.indexes import OPEN_HOLDS
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import salvaged
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.holds import HOLD_GUARD, OPEN, PLAN_HOLD, HoldGuard, PlanHold
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.base import Repository, Rules, in_order
from bluestar_store.repositories.changes import (
    PlannedWrite,
    PutExpectation,
    change_over,
    check_new,
    delete_change,
    put_change,
)
from bluestar_store.repositories.identifiers import check_known, new_id
from bluestar_store.repositories.moments import KeyRange, read_parts
from bluestar_store.repositories.open_store import OpenStore
from bluestar_store.repositories.order import by_created
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored_items import Wanted, current_item, stored_items
from bluestar_store.repositories.transaction import StagedWrites


class PlanHoldRepository(Repository[PlanHold]):
    """Items of the table batch-state."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, PLAN_HOLD)
        self._index_reader = store.index_reader

    def get(self, plan_id: str, hold_id: str) -> PlanHold:
        """One hold, open or released. Raises HoldNotFoundError."""
        key = self._mapper.keys.build({"plan_id": plan_id, "hold_id": hold_id})
        found = self._stored([key])
        if key not in found:
            raise self.not_found(f"no hold {hold_id!r} of plan {plan_id!r}")
        return found[key]

    def for_plan(self, plan_id: str) -> tuple[PlanHold, ...]:
        """All holds of a plan, released ones too, oldest first; one without `created` counts as oldest."""
        return plan_holds(self._sessions.current(), plan_id)

    def open(self, plan_id: str) -> tuple[PlanHold, ...]:
        """The plan's holds that are not released, oldest first."""
        return tuple(hold for hold in self.for_plan(plan_id) if hold.is_open)

    def all_open(self) -> tuple[PlanHold, ...]:
        """Every plan's open holds, oldest first. Raises IndexMissingError for a large table without the index.

        Each as it is stored, as far as the index knows by now; not all as of one moment, as those of one plan are.
        """
        session = self._sessions.current()
        entries = self._index_reader.find(session, self._mapper, OPEN_HOLDS, OPEN)
        # Released holds lack the index's attributes too; they come whole, so there is no need to read them again.
        keys = (key_of(entry) for entry in entries if not _is_released(entry))
        found = self._index_reader.stored(session, self._mapper, keys)
        return by_created(hold for hold in map(self._decode, found.values()) if hold.is_open)

    # ------------------------------------------------------------------------------------------------------- writing

    def place(
        self,
        plan_id: str,
        reason: str,
        *,
        hold_id: str | None = None,
        batch_id: str | None = None,
        created_by: str | None = None,
        actor: str | None = None,
    ) -> PlanHold:
        """Place a hold; returns it as stored. `hold_id` is a ULID where none is given.

        A hold of that id that is there already, open or released, is returned as it is: repeating a call whose answer
        was lost places nothing twice and opens nothing again. `actor` is who writes, the setting's where none is given;
        `created_by` is the actor unless it says otherwise. Raises InvalidKeyError, InvalidEntityError.
        """
        session = self._sessions.current().acting_as(actor)
        if batch_id is not None:
            check_known(session, BATCH_STATE, batch_id=check_identifier("batch_id", batch_id))
        wanted = self._mapper.made(
            plan_id=plan_id,
            hold_id=new_id() if hold_id is None else hold_id,
            reason=reason,
            batch_id=batch_id,
            created=session.now(),
            created_by=created_by or session.actor,
        )
        check_new(self._mapper, wanted.model_copy(update={"batch_id": None}))
        placed = [wanted]

        def step(session: Session, staged: StagedWrites) -> None:
            found = current_item(session, self._mapper, wanted)
            if found is not None:
                placed[:] = [self._decode(found)]
                return
            self._keep(session, staged, wanted, None, placed)

        with self._sessions.unit(actor) as session:
            session.run_step(step)
        return placed[0]

    def release(
        self, plan_id: str, hold_id: str, *, released_by: str | None = None, actor: str | None = None
    ) -> PlanHold:
        """Release a hold, which stays as a record; returns it as stored. One that is released stays as it is.

        What cannot be read of it, another program's words for a time, is taken away: it would keep the plan's batches
        waiting for ever. `actor` and `released_by` as for `place`. Raises HoldNotFoundError, InvalidEntityError.
        """
        released: list[PlanHold] = []

        def step(session: Session, staged: StagedWrites) -> None:
            found = self._to_release(plan_id, hold_id)
            released[:] = [found]
            if found.is_open:
                by = released_by or session.actor
                after = found.model_copy(update={"released": session.now(), "released_by": by})
                self._keep(session, staged, after, found.origin.wire if found.origin else None, released)

        with self._sessions.unit(actor) as session:
            session.run_step(step)
        return released[0]

    def _to_release(self, plan_id: str, hold_id: str) -> PlanHold:
        session = self._sessions.current()
        try:
            return self.get(plan_id, hold_id)
        except ItemDecodeError:
            item = current_item(session, self._mapper, PlanHold(plan_id=plan_id, hold_id=hold_id))
            if item is None:  # by now
                raise
            return salvaged(self._mapper, item, session.table(self._mapper))

    def put(self, entity: PlanHold, expected: PutExpectation = None, *, actor: str | None = None) -> PlanHold:
        """See Repository; updates the plan's guard."""
        entity = self._mapper.validated(entity)
        change = self._written(put_change, entity, expected, actor, *self._counting(entity))
        return self._after(change)

    def delete(self, entity: PlanHold, expected: PutExpectation = None, *, actor: str | None = None) -> None:
        """See Repository; updates the plan's guard. Released holds are records: use `release` in most cases."""
        self._written(delete_change, entity, expected, actor, *self._counting(entity))

    def _counting(self, entity: PlanHold) -> tuple[Rules, Sequence[Wanted]]:
        """What counts the plan's holds when one of them is changed."""

        def count(session: Session, _: PlannedWrite, staged: StagedWrites, found: Sequence[Item | None]) -> None:
            self._count(session, entity.plan_id, staged, found[0])

        return count, [guard_of(entity.plan_id)]

    def _keep(
        self, session: Session, staged: StagedWrites, hold: PlanHold, before: Item | None, stored: list[PlanHold]
    ) -> None:
        change = change_over(session, self._mapper, self._mapper.validated(hold), before, {})
        staged.stage_retryable(change.write)
        stored[:] = [self._after(change)]
        self._count(session, hold.plan_id, staged, stored_guard(session, hold.plan_id))

    def _count(self, session: Session, plan_id: str, staged: StagedWrites, before: Item | None) -> None:
        """The guard's part; counted anew each time, since other programs place and release holds without it.

        The guard was read before: who changes a hold meanwhile changes it.
        """
        is_open = [hold.is_open for hold in plan_holds(session, plan_id, salvaged)]
        guard = HoldGuard(plan_id=plan_id, open_holds=sum(is_open))
        staged.stage_retryable(change_over(session, HOLD_GUARD, guard, before, {}).write)


def plan_holds(
    session: Session, plan_id: str, decode: Callable[[Mapper[PlanHold], Item, str], PlanHold] = Mapper.decode
) -> tuple[PlanHold, ...]:
    """See `PlanHoldRepository.for_plan`. To count holds, pass `salvaged`: one that cannot be read counts as open."""
    guard = session.revisions.of_holds(plan_id)
    part = KeyRange(
        session.table(PLAN_HOLD), PLAN_HOLD.keys.partition({"plan_id": plan_id}), PLAN_HOLD.keys.sort.prefix
    )
    return by_created(in_order(session, PLAN_HOLD, read_parts(session, [guard], [part])[part], decode))


def seen_holds(session: Session, plan_id: str) -> tuple[PlanHold, ...]:
    """The same by one query, which may see a transaction in part: for callers that make the guard a condition, too.

    Of one that cannot be read what can be: what is open, so far, is looked at again.
    """
    items = session.partition(PLAN_HOLD, PLAN_HOLD.keys.partition({"plan_id": plan_id}))
    return by_created(in_order(session, PLAN_HOLD, items, salvaged))


def guard_of(plan_id: str) -> Wanted:
    """The guard of a plan's holds. Read it before the holds: any later change of one changes the guard."""
    return Wanted(HOLD_GUARD, {"plan_id": plan_id})


def stored_guard(session: Session, plan_id: str) -> Item | None:
    """The same, as it is stored."""
    return stored_items(session, [guard_of(plan_id)])[0]


def _is_released(item: Item) -> bool:
    return item.get("released", {"NULL": True}) != {"NULL": True}


__getattr__ = renamed(__name__, {"Holds": f"{__name__}:PlanHoldRepository"})  # for one release
