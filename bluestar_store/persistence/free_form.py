"""The batch states, results and audit entries of old agents, of any shape.

State and results lie beside the batch's typed items (models/free_form.py), so neither can break or change the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from bluestar_store.errors import InvalidWriteError
from bluestar_store.keys import check_identifier, check_new_identifier, unseen
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import readable
from bluestar_store.mapping.values import MAX_ACTOR_CHARACTERS, plain_value
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.audit import Trail
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.free_form import FREE_RESULT, FREE_STATE, FreeResult, FreeState
from bluestar_store.persistence.protocols import PlainItem
from bluestar_store.persistence.values import exact_document, plain_item
from bluestar_store.protocols import key_of
from bluestar_store.repositories.audit import AuditRepository
from bluestar_store.repositories.batch_traces import leave_trace, traces_of
from bluestar_store.repositories.changes import change_over
from bluestar_store.repositories.identifiers import check_known
from bluestar_store.repositories.moments import KeyRange, read_parts
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import HasSessions
from bluestar_store.repositories.stored_items import current_item
from bluestar_store.repositories.transaction import StagedWrites

E = TypeVar("E", bound=Entity)

WITHOUT_BATCH = Trail(table="audit-log", partition="AGENTS")
"""The trail of the entries that name no batch: the old table of entries was called so."""
ACTION = "entry"
"""Of an entry that names none."""


class FreeForm:
    """See `IBatchStore`."""

    def __init__(self, store: HasSessions) -> None:
        self._sessions = store.sessions
        self._audit = AuditRepository(store)

    def save_state(self, batch_id: str, state: Mapping[str, Any]) -> None:
        """Keep the state in place of the one before; the equal one again changes nothing."""
        session = self._sessions.current()
        identity = {"batch_id": check_identifier("batch_id", batch_id)}
        document = exact_document(_mapping("state", state))
        check_known(session, FREE_STATE, **identity)
        self._save(FREE_STATE, FreeState(**identity, state=document, saved=session.now()), "state")

    def state(self, batch_id: str) -> PlainItem:
        """The state; where agents saved none, the item that holds the batch's typed state, or an old program's."""
        session = self._sessions.current()
        keys = [mapper.keys.build({"batch_id": batch_id}) for mapper in (FREE_STATE, BATCH_STATE)]
        found = session.engine.get_isolated(session.table(FREE_STATE), keys)
        table = session.table(FREE_STATE)
        free, typed = (readable(table, found.get(key, {})) for key in keys)
        return plain_item(free["state"]["M"]) if "M" in free.get("state", {}) else plain_item(typed)

    def save_result(self, batch_id: str, step: str, result: Mapping[str, Any]) -> None:
        """Keep the result in place of the one before; the equal one again changes nothing."""
        session = self._sessions.current()
        identity = {name: check_identifier(name, text) for name, text in (("batch_id", batch_id), ("step", step))}
        document = exact_document(_mapping("result", result))
        check_known(session, FREE_RESULT, batch_id=batch_id)
        self._save(FREE_RESULT, FreeResult(**identity, result=document, saved=session.now()), "result")

    def _save(self, mapper: Mapper[E], entity: E, content: str) -> None:
        """The last one that saves wins, however many do at once: what came in between is looked at again."""

        wanted = plain_value(getattr(entity, content))  # which tells True from 1
        batch_id: str = mapper.identity(entity)["batch_id"]

        def keep(session: Session, staged: StagedWrites) -> None:
            found = current_item(session, mapper, entity)
            if found is None:
                for name in mapper.keys.sort.fields:
                    check_new_identifier(name, mapper.identity(entity)[name])
                leave_trace(session, batch_id, traces_of(session, batch_id, staged), staged)
            if found is None or content not in found or plain_value(from_wire(found[content])) != wanted:
                staged.stage_retryable(change_over(session, mapper, entity, found, {}).write)

        with self._sessions.unit() as session:
            session.run_step(keep)

    def results(self, batch_id: str) -> dict[str, PlainItem]:
        """The results by the names of their steps, sorted."""
        session = self._sessions.current()
        pk = FREE_RESULT.keys.partition({"batch_id": batch_id})
        part = KeyRange(session.table(FREE_RESULT), pk, FREE_RESULT.keys.sort.prefix)
        items = read_parts(session, [session.revisions.of_trail(pk)], [part])[part]
        found = {key_of(item): readable(part.table, item) for item in items}
        steps = {step["step"]: item for key, item in found.items() if (step := FREE_RESULT.keys.parse(key)) is not None}
        return {name: plain_item(item.get("result", {}).get("M", {})) for name, item in sorted(steps.items())}

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry to the trail of its batch; what is neither its batch, actor nor action goes into the details."""
        details = dict(exact_document(_mapping("entry", entry)))
        batch_id = details.pop("batch_id", None)
        trail = WITHOUT_BATCH if batch_id is None else Trail(batch_id=check_identifier("batch_id", batch_id))
        actor = details.pop("actor") if _is_name(details.get("actor"), MAX_ACTOR_CHARACTERS) else None
        action = details.pop("action") if _is_name(details.get("action")) else None
        self._audit.append(trail, action=action or ACTION, actor=actor, details=details or None)


def _mapping(what: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidWriteError(f"the {what} must be a dict, not {type(given).__name__}")
    return given


def _is_name(value: object, most: float = math.inf) -> bool:
    """Whether it can stand as one; what cannot is kept among the details, where nothing is lost."""
    return isinstance(value, str) and 0 < len(value) <= most and unseen(value) is None
