"""Deleting batches: only one that nobody has worked on, whole, and its id is used up."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    BatchNotFoundError,
    BlueStarError,
    ConflictError,
    InvalidTransitionError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE, BatchState, BatchStatus
from bluestar_store.protocols import ANY, pages
from bluestar_store.store import Store
from tests.store_suite.batches import started
from tests.store_suite.side_door import BeforeWrite, RawChange, RawPut, table, wire

Work = Callable[[Store], object]
WORK: dict[str, Work] = {
    "a claim": lambda store: store.claims.claim("b", 1, "worker", 60),
    "a result": lambda store: store.results.save("b", 1, {"rows": 1}),
    "an entry": lambda store: store.audit.append("b", action="looked at"),
}
LATE: dict[str, Callable[[Store, BatchState], object]] = {
    "a claim": lambda store, batch: store.claims.claim(batch, 1, "worker", 60),
    "a result": lambda store, batch: store.results.save(batch, 1, {"rows": 1}),
}
OTHER_WORK: dict[str, Work] = {
    "a status": lambda store: store.batches.advance(store.batches.get("b"), status=BatchStatus.FAILED),
    "a step": lambda store: store.batches.advance(store.batches.get("b"), step=1),
}


def sort_keys(store: Store) -> list[str]:
    """What there is of the batch."""
    name = table(store, BATCH_STATE)
    found = pages(lambda cursor: store.engine.query(name, "BATCH#b", cursor=cursor, consistent=True))
    return [item["SK"]["S"] for items in found for item in items]


def rolled_back(store: Store, batch: BatchState) -> BatchState:
    """The batch as it would be, had its unit of work been committed."""
    with pytest.raises(ZeroDivisionError), store.unit_of_work() as uow:
        running = uow.batches.advance(batch, status=BatchStatus.RUNNING)
        raise ZeroDivisionError
    return running


class DeletionTests:
    """See `Batches.delete`."""

    @pytest.mark.every_engine
    def test_an_untouched_batch_is_deleted_with_its_rules(self, store: Store) -> None:
        batch = started(store, "b")
        assert sort_keys(store) == ["RULES", "STATE"]
        store.batches.delete(batch, actor="pat")
        for gone in (store.batches.get, store.batches.history):
            with pytest.raises(BatchNotFoundError):
                gone("b")
        assert list(store.batches.for_plan("ACME")) == []
        assert sort_keys(store) == ["AUDIT#00000001", "CHAIN"]
        (entry,) = store.audit.entries("b")
        assert (entry.action, entry.actor, (entry.details or {})["rules_digest"]) == (
            "delete",
            "pat",
            batch.rules_digest,
        )
        assert store.audit.verify("b") == ()

    def test_an_id_is_used_once(self, store: Store) -> None:
        batch = started(store, "b")
        store.batches.delete(batch)
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.batches.start("ACME", "Weekly", 2026, "b"),
            lambda: store.batches.put(BatchState(batch_id="b", plan_id="ACME")),
        )
        for call in calls:
            with pytest.raises(AlreadyExistsError, match="an id is used once"):
                call()
            with pytest.raises(AlreadyExistsError), store.unit_of_work():
                call()
        store.audit.append("b", action="asked about")  # the trail goes on, and says so still
        with pytest.raises(AlreadyExistsError):
            store.batches.start("ACME", "Weekly", 2026, "b")
        for late in (WORK["a claim"], WORK["a result"]):
            with pytest.raises(BatchNotFoundError, match="was deleted"):
                late(store)
        assert sort_keys(store) == ["AUDIT#00000001", "AUDIT#00000002", "CHAIN"]

    def test_an_id_that_has_a_trail_and_no_batch_yet_can_be_started(self, store: Store) -> None:
        store.audit.append("b", action="file received")
        batch = started(store, "b")
        assert batch == store.batches.get("b")
        with store.unit_of_work() as uow:
            uow.audit.append("c", action="file received")
            uow.batches.start("ACME", "Weekly", 2026, "c")
            uow.claims.claim("c", 1, "worker", 60)
            uow.audit.append("c", action="begun")
        assert [entry.action for entry in store.audit.entries("c")] == ["file received", "begun"]
        assert store.audit.verify("c") == ()

    @pytest.mark.parametrize("what", WORK)
    def test_a_batch_that_was_worked_on_is_not_deleted(self, store: Store, what: str) -> None:
        batch = started(store, "b")
        WORK[what](store)
        before = sort_keys(store)
        for expected in (None, ANY):
            with pytest.raises(InvalidTransitionError, match="only cancelled"):
                store.batches.delete(batch, expected)
        assert sort_keys(store) == before
        assert store.batches.advance(batch, status=BatchStatus.CANCELLED).status is BatchStatus.CANCELLED

    @pytest.mark.parametrize("status", [BatchStatus.RUNNING, BatchStatus.CANCELLED])
    def test_a_batch_that_has_moved_on_is_not_deleted(self, store: Store, status: BatchStatus) -> None:
        first = started(store, "b")
        batch = store.batches.advance(first, status=status)
        with pytest.raises(InvalidTransitionError, match=status):
            store.batches.delete(batch)
        with pytest.raises(VersionConflictError):
            store.batches.delete(first)
        assert store.batches.get("b") == batch

    def test_a_batch_at_a_step_is_not_deleted(self, store: Store) -> None:
        batch = store.batches.advance(started(store, "b"), step=1)
        with pytest.raises(InvalidTransitionError, match="at step 1"):
            store.batches.delete(batch)
        assert store.batches.get("b") == batch

    @pytest.mark.every_engine
    @pytest.mark.parametrize("sk", ["RESULT#match_step", "CLAIM#1", "FREE", "ours"])
    def test_whatever_another_program_keeps_of_a_batch_keeps_it(self, store: Store, raw_put: RawPut, sk: str) -> None:
        batch = started(store, "b")
        raw_put(table(store, BATCH_STATE), wire("BATCH#b", sk))
        with pytest.raises(InvalidTransitionError, match=sk):
            store.batches.delete(batch)

    @pytest.mark.every_engine
    @pytest.mark.parametrize("what", [*WORK, *OTHER_WORK])
    def test_of_a_deletion_and_work_at_the_same_time_one_finds_the_other(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        batch = started(store, "b")
        before_write(lambda: (WORK | OTHER_WORK)[what](store))
        with pytest.raises(ConflictError):
            store.batches.delete(batch)
        assert store.batches.get("b").rules_digest == batch.rules_digest
        assert "RULES" in sort_keys(store)

    @pytest.mark.parametrize("what", LATE)
    def test_a_copy_that_was_never_stored_hides_no_work_from_a_deletion(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        batch = started(store, "b")
        never = rolled_back(store, batch)
        before_write(lambda: LATE[what](store, never))
        with pytest.raises(ConflictError):
            store.batches.delete(batch)
        assert "CHAIN" in sort_keys(store)
        assert "STATE" in sort_keys(store)

    @pytest.mark.parametrize("what", LATE)
    def test_work_by_a_copy_that_was_never_stored_is_refused_once_the_batch_is_deleted(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        batch = started(store, "b")
        never = pickle.loads(pickle.dumps(rolled_back(store, batch)))  # noqa: S301  # our own
        with pytest.raises(BatchNotFoundError, match="was deleted"), store.unit_of_work() as uow:
            uow.batches.delete(batch)
            LATE[what](store, never)
        before_write(lambda: store.batches.delete(batch))
        with pytest.raises(BatchNotFoundError, match="was deleted"):
            LATE[what](store, never)
        assert sort_keys(store) == ["AUDIT#00000001", "CHAIN"]

    @pytest.mark.parametrize("what", ["a claim", "a result"])
    def test_work_under_an_id_without_a_batch_is_found_by_a_deletion(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        started(store, "a")
        before_write(lambda: store.batches.delete(store.batches.start("ACME", "Weekly", 2026, "b")))
        with pytest.raises(BatchNotFoundError, match="was deleted"):
            WORK[what](store)
        assert sort_keys(store) == ["AUDIT#00000001", "CHAIN"]

    @pytest.mark.parametrize("what", ["a claim", "a result"])
    def test_a_batch_that_is_started_under_an_id_that_has_work_is_not_deleted(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        WORK[what](store)
        batch = started(store, "b")
        with pytest.raises(InvalidTransitionError, match="only cancelled"):
            store.batches.delete(batch)
        assert store.batches.get("b") == batch

    @pytest.mark.parametrize("what", ["a claim", "a result"])
    def test_work_that_meets_a_deletion_is_refused(self, store: Store, before_write: BeforeWrite, what: str) -> None:
        batch = started(store, "b")
        before_write(lambda: store.batches.delete(batch))
        with pytest.raises(BatchNotFoundError, match="was deleted"):
            WORK[what](store)
        assert sort_keys(store) == ["AUDIT#00000001", "CHAIN"]

    @pytest.mark.every_engine
    def test_a_start_that_meets_a_deletion_of_its_id_is_refused(self, store: Store, before_write: BeforeWrite) -> None:
        started(store, "a")

        def use_up() -> None:
            store.batches.delete(store.batches.start("ACME", "Weekly", 2026, "b"))

        before_write(use_up)
        with pytest.raises(AlreadyExistsError, match="an id is used once"):
            store.batches.start("ACME", "Weekly", 2026, "b")

    def test_a_batch_and_its_rules_are_deleted_as_they_were_read(
        self, store: Store, change: RawChange, before_write: BeforeWrite
    ) -> None:
        batch, name = started(store, "b"), table(store, BATCH_STATE)
        before_write(lambda: change(name, Key("BATCH#b", "STATE"), status={"S": "CANCELLED"}))
        with pytest.raises(VersionConflictError) as caught:
            store.batches.delete(batch)
        assert caught.value.attribute == "status"
        assert sort_keys(store) == ["RULES", "STATE"]

    def test_deleting_a_batch_that_is_not_there_is_as_for_any_other_entity(self, store: Store) -> None:
        batch = started(store, "b")
        store.batches.delete(batch)
        store.batches.delete(BatchState(batch_id="b"))
        store.batches.delete(batch, ANY)
        with pytest.raises(VersionConflictError):
            store.batches.delete(batch)
        assert len(store.audit.entries("b")) == 1

    def test_a_deletion_is_a_part_of_its_unit_of_work(self, store: Store) -> None:
        batch = started(store, "b")
        with pytest.raises(ZeroDivisionError), store.unit_of_work() as uow:
            uow.batches.delete(batch)
            raise ZeroDivisionError
        assert sort_keys(store) == ["RULES", "STATE"]
        refused: Any = BlueStarError
        with pytest.raises(refused), store.unit_of_work() as uow:
            uow.audit.append("b", action="looked at")
            uow.batches.delete(batch)
        with store.unit_of_work() as uow:
            uow.batches.delete(batch)
            uow.batches.start("ACME", "Weekly", 2026, "c")
        assert sort_keys(store) == ["AUDIT#00000001", "CHAIN"]
