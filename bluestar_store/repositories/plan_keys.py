"""Lists and drops the keys that plans' data is encrypted with."""

from __future__ import annotations

from bluestar_store.errors import PlanKeyNotFoundError
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry
from bluestar_store.models.plan_keys import PLAN_KEY, PlanKey
from bluestar_store.repositories.base import Reader, owned
from bluestar_store.repositories.changes import change_over
from bluestar_store.repositories.open_store import OpenStore
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored_items import current_item
from bluestar_store.repositories.trail import append_step
from bluestar_store.repositories.transaction import StagedWrites


class PlanKeyRepository(Reader[PlanKey]):
    """Needs no key of the settings: who may write agent-config may drop a plan's."""

    def __init__(self, store: OpenStore) -> None:
        super().__init__(store.sessions, PLAN_KEY)
        self._cache = store.cache

    def of_plan(self, plan_id: str) -> tuple[PlanKey, ...]:
        """A plan's keys (GLOBAL's: of what belongs to no plan, or to all), oldest first, dropped ones too."""
        session = self._sessions.current()
        pk = PLAN_KEY.keys.partition({"plan_id": plan_id})
        found = owned(session, self._mapper, session.partition(self._mapper, pk))
        return tuple(sorted(found, key=lambda key: key.key_id))

    def drop(self, plan_id: str, *, actor: str | None = None) -> tuple[PlanKey, ...]:
        """Make all that was encrypted for a plan unreadable, for ever and for everybody; returns the keys dropped.

        What is encrypted for it afterwards has a new key. Its trails still verify, and one of them says who did this.
        A process that has used the key lately may do so for 30 seconds more, and what it writes in that time is
        unreadable: stop the plan's work before. Copies of the keys' items in backups and exports are not touched.
        Raises PlanKeyNotFoundError where there is nothing to drop, and CacheError, when all is done, where other
        processes could not be told.
        """
        dropped: list[PlanKey] = []

        def step(session: Session, staged: StagedWrites) -> None:
            dropped.clear()
            for key in self.of_plan(plan_id):
                if key.dropped is not None:
                    continue
                gone = self._mapper.validated(key.model_copy(update={"wrapped": None, "dropped": session.now()}))
                change = change_over(session, self._mapper, gone, current_item(session, self._mapper, key), {})
                staged.stage_retryable(change.write)
                dropped.append(self._after(change))
            if not dropped:
                raise PlanKeyNotFoundError(f"plan {plan_id!r} has no key in {session.table(self._mapper)} to drop")
            entry = AuditEntry(
                table=PLAN_KEY.table,
                partition=PLAN_KEY.keys.partition({"plan_id": plan_id}),
                seq=0,
                actor=session.actor,
                action="drop-key",
                at=session.now(),
                details={"keys": [key.key_id for key in dropped]},
            )
            append_step(session, staged, AUDIT_ENTRY.validated(entry))

        with self._sessions.unit(actor) as session:
            session.run_step(step)
        if self._sessions.sealing is not None:
            self._sessions.sealing.keys.forget(plan_id)
        self._cache.invalidate(fields={"plan_id": plan_id})
        return tuple(dropped)
