"""What the agents' work leaves behind: holds, batches, results, claims, audit. Never cached, read consistently."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from bluestar_store.keys import check_plan
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry, Trail
from bluestar_store.models.batches import BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, StepClaim, StepResult
from bluestar_store.models.entity import Entity
from bluestar_store.models.holds import OPEN, PLAN_HOLD, PlanHold
from bluestar_store.models.indexes import BY_PLAN, OPEN_HOLDS, index_part
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.base import Reader, Repository
from bluestar_store.repositories.finder import Finder

E = TypeVar("E", bound=Entity)

NEVER = datetime.min.replace(tzinfo=UTC)


class Holds(Repository[PlanHold]):
    """See DESIGN 2, batch-state."""

    def __init__(self, access: Access, finder: Finder) -> None:
        super().__init__(access, PLAN_HOLD)
        self._finder = finder

    def get(self, plan_id: str, hold_id: str) -> PlanHold:
        """One hold, open or released. Raises HoldNotFoundError."""
        key = self._kind.keys.build({"plan_id": plan_id, "hold_id": hold_id})
        found = self._stored([key])
        if key not in found:
            raise self._missing(f"no hold {hold_id!r} of plan {plan_id!r}")
        return found[key]

    def for_plan(self, plan_id: str) -> tuple[PlanHold, ...]:
        """All holds of a plan, released ones too, oldest first; one without `created` counts as oldest."""
        return _by_created(self._load(self._kind.keys.partition({"plan_id": plan_id})))

    def open(self, plan_id: str) -> tuple[PlanHold, ...]:
        """The plan's holds that are not released, oldest first."""
        return tuple(hold for hold in self.for_plan(plan_id) if hold.is_open)

    def all_open(self) -> tuple[PlanHold, ...]:
        """Every plan's open holds, oldest first. Raises IndexMissingError for a large table without the index."""
        entries = self._finder.find(self._kind, OPEN_HOLDS, OPEN)
        # Released holds lack the index's attributes too; they come whole, so there is no need to read them again.
        found = self._stored(key_of(entry) for entry in entries if not _is_released(entry)).values()
        return _by_created(hold for hold in found if hold.is_open)


class Batches(Repository[BatchState]):
    """See DESIGN 2, processing-metadata."""

    def __init__(self, access: Access, finder: Finder) -> None:
        super().__init__(access, BATCH_STATE)
        self._finder = finder

    def get(self, batch_id: str) -> BatchState:
        """The state of a batch. Raises BatchNotFoundError."""
        key = self._kind.keys.build({"batch_id": batch_id})
        found = self._stored([key])
        if key not in found:
            raise self._missing(f"no batch {batch_id!r}")
        return found[key]

    def for_plan(self, plan_id: str) -> tuple[BatchState, ...]:
        """The plan's batches, newest first; one without `created` counts as oldest.

        Raises IndexMissingError for a large table without the index.
        """
        entries = self._finder.find(self._kind, BY_PLAN, index_part(check_plan(plan_id)))
        # What lacks the index's attributes comes whole: another plan's batches are not looked at, broken ones neither.
        keys = [key_of(entry) for entry in entries if entry.get("plan_id", {"S": plan_id}) == {"S": plan_id}]
        found = self._stored(keys).values()
        return _by_created(batch for batch in found if batch.plan_id == plan_id)[::-1]


class StepRecords(Reader[E]):
    """Results or claims of a batch's steps: one for each step."""

    def get(self, batch_id: str, step: int) -> E:
        """The record of one step, whatever the width of the number in its key. Raises BatchNotFoundError."""
        for record in self.for_batch(batch_id):
            if getattr(record, "step", None) == step:
                return record
        raise self._missing(f"no {self._kind.entity.__name__} for step {step} of batch {batch_id!r}")

    def for_batch(self, batch_id: str) -> tuple[E, ...]:
        """The records of a batch by step; empty when there is none."""
        return self._load(self._kind.keys.partition({"batch_id": batch_id}))


class Audit(Reader[AuditEntry]):
    """The audit trails. The library has no call that changes or deletes an entry."""

    def __init__(self, access: Access) -> None:
        super().__init__(access, AUDIT_ENTRY)

    def entries(self, trail: Trail) -> tuple[AuditEntry, ...]:
        """A trail's entries by number; empty when there is none."""
        return self._load(self._kind.keys.partition(dict(trail)))


def step_results(access: Access) -> StepRecords[StepResult]:
    """The results of steps."""
    return StepRecords(access, STEP_RESULT)


def step_claims(access: Access) -> StepRecords[StepClaim]:
    """The claims on steps."""
    return StepRecords(access, STEP_CLAIM)


def _is_released(item: Item) -> bool:
    return item.get("released", {"NULL": True}) != {"NULL": True}


R = TypeVar("R", PlanHold, BatchState)


def _by_created(records: Iterable[R]) -> tuple[R, ...]:
    return tuple(sorted(records, key=lambda record: (record.created or NEVER, record.origin and record.origin.key)))
