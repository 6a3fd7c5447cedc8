"""Who may work on a batch: nobody while its plan has an open hold or when it is over, and at its own steps only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from bluestar_store.errors import (
    BlueStarError,
    ClaimLostError,
    InvalidEntityError,
    InvalidTransitionError,
    PlanOnHoldError,
)
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE, STEP_NUMBERS, BatchState, BatchStatus
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD
from bluestar_store.protocols import Delete
from bluestar_store.store import Store
from tests.store_suite.batches import started
from tests.store_suite.side_door import BeforeWrite, RawGet, RawPut, table, wire

RUNNING, COMPLETED = BatchStatus.RUNNING, BatchStatus.COMPLETED


def running(store: Store, batch_id: str = "b") -> BatchState:
    """A batch of ACME that runs at its first step, and has another one."""
    return store.batches.advance(started(store, batch_id), status=RUNNING, step=1)


def beginnings(store: Store, batch: BatchState) -> list[Callable[[], object]]:
    """Whatever begins a step of a batch that runs at its first one, or ends the last."""
    return [
        lambda: store.batches.advance(batch, step=2),
        lambda: store.batches.advance(batch, status=RUNNING),
        lambda: store.batches.advance(batch, status=COMPLETED),
        lambda: store.batches.put(batch.model_copy(update={"current_step": 2})),
        lambda: store.batches.put(batch.model_copy(update={"status": COMPLETED})),
        lambda: store.claims.claim(batch, 2, "one", 60),
        lambda: store.claims.claim(batch.batch_id, 2, "one", 60),
    ]


def refused(calls: list[Callable[[], object]], error: type[BlueStarError]) -> None:
    """Each of them is, with this error."""
    for call in calls:
        with pytest.raises(error):
            call()


class WorkingTests:
    """Conditions of claims, results, entries and moves of a batch."""

    def test_no_step_begins_while_the_plan_has_an_open_hold(self, store: Store) -> None:
        batch = running(store)
        hold = store.holds.place("ACME", "Missing data")
        refused(beginnings(store, batch), PlanOnHoldError)
        for call in beginnings(store, batch):
            with pytest.raises(PlanOnHoldError), store.unit_of_work():
                call()
        assert store.batches.get("b") == batch
        assert store.claims.for_batch("b") == ()
        store.holds.release("ACME", hold.hold_id)
        claim = store.claims.claim(batch, 2, "one", 60)
        assert store.batches.advance(batch, step=2, claim=claim).current_step == 2

    def test_no_batch_that_was_made_up_is_claimed_while_the_plan_has_an_open_hold(self, store: Store) -> None:
        batch = running(store)
        store.holds.place("ACME", "Missing data")
        made_up = [batch.model_copy(update={"plan_id": plan}) for plan in ("OTHER", None)]
        made_up += [BatchState(batch_id="b", plan_id=plan, status=RUNNING) for plan in ("OTHER", None)]
        for one in made_up:
            with pytest.raises(PlanOnHoldError):
                store.claims.claim(one, 2, "one", 60)

    def test_a_claim_that_is_held_is_renewed_released_and_has_its_result_saved(self, store: Store) -> None:
        batch = running(store)
        claim = store.claims.claim(batch, 1, "one", 60)
        store.holds.place("ACME", "Missing data")
        claim = store.claims.heartbeat(claim, 60)
        assert store.results.save(batch, 1, {"rows": 1}, claim).worker == "one"
        store.audit.append("b", action="saved", claim=claim)
        store.claims.release(claim)

    def test_a_batch_stops_while_its_plan_has_an_open_hold(self, store: Store) -> None:
        store.holds.place("BETA", "Of another plan")
        for status in (BatchStatus.ON_HOLD, BatchStatus.FAILED, BatchStatus.CANCELLED):
            batch = running(store, f"b-{status}")
            hold = store.holds.place("ACME", "Missing data")
            assert store.batches.advance(batch, status=status).status is status
            store.holds.release("ACME", hold.hold_id)

    @pytest.mark.parametrize("status", [BatchStatus.ON_HOLD, BatchStatus.FAILED, BatchStatus.CANCELLED])
    def test_a_batch_that_stops_under_a_hold_stays_at_its_step(self, store: Store, status: BatchStatus) -> None:
        batch = running(store)
        store.holds.place("ACME", "Missing data")
        refused(
            [
                lambda: store.batches.advance(batch, status=status, step=2),
                lambda: store.batches.put(batch.model_copy(update={"status": status, "current_step": 2})),
            ],
            PlanOnHoldError,
        )
        assert store.batches.advance(batch, status=status, step=1).current_step == 1

    def test_no_new_batch_is_put_under_a_hold_that_has_begun(self, store: Store) -> None:
        store.holds.place("ACME", "Missing data")
        new = BatchState(batch_id="new", plan_id="ACME", status=BatchStatus.RECEIVED)
        begun: list[dict[str, object]] = [{"status": RUNNING}, {"status": COMPLETED}, {"current_step": 1}]
        begun += [{"status": status, "current_step": 1} for status in (None, *BatchStatus)]
        for update in begun:
            with pytest.raises(PlanOnHoldError):
                store.batches.put(new.model_copy(update=update))
        of_no_plan = store.batches.put(BatchState(batch_id="new", status=RUNNING, current_step=1))
        with pytest.raises(PlanOnHoldError):
            store.batches.put(of_no_plan.model_copy(update={"plan_id": "ACME"}))
        assert store.batches.put(new.model_copy(update={"batch_id": "other"})).status is BatchStatus.RECEIVED

    def test_what_was_read_of_another_batch_says_nothing_of_this_ones_plan(self, store: Store) -> None:
        running(store)
        other = store.batches.advance(store.batches.start("BETA", "Weekly", 2026, "other"), status=RUNNING, step=1)
        store.holds.place("ACME", "Missing data")
        with pytest.raises(PlanOnHoldError):
            store.claims.claim(other.model_copy(update={"batch_id": "b"}), 1, "one", 60)
        assert store.claims.for_batch("b") == ()

    @pytest.mark.every_engine
    def test_a_hold_that_comes_before_the_commit_stops_a_claim(self, store: Store, before_write: BeforeWrite) -> None:
        batch = running(store)
        before_write(lambda: store.holds.place("ACME", "Just now", hold_id="h1"))
        with pytest.raises(PlanOnHoldError, match="h1"):
            store.claims.claim(batch, 1, "one", 60)
        assert store.claims.for_batch("b") == ()

    @pytest.mark.every_engine
    def test_a_guard_that_counts_a_hold_which_another_program_took_away_is_mended(
        self, store: Store, raw_get: RawGet
    ) -> None:
        guard = HOLD_GUARD.keys.build({"plan_id": "ACME"})
        for number, work in enumerate(("advance", "claim", "in a unit")):
            batch = running(store, f"b{number}")
            hold = store.holds.place("ACME", "Missing data")
            assert hold.origin is not None
            store.engine.write(Delete(table(store, PLAN_HOLD), hold.origin.key))
            assert (raw_get(table(store, HOLD_GUARD), guard) or {})["open_holds"] == {"N": "1"}
            if work == "advance":
                store.batches.advance(batch, step=2)
            elif work == "claim":
                store.claims.claim(batch, 2, "one", 60)
            else:
                with store.unit_of_work():
                    store.claims.claim(batch, 2, "one", 60)
                    store.batches.advance(batch, step=2)
            assert (raw_get(table(store, HOLD_GUARD), guard) or {})["open_holds"] == {"N": "0"}

    def test_a_hold_of_another_program_stops_the_next_advance(self, store: Store, raw_put: RawPut) -> None:
        batch = running(store)
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#theirs", reason="of another program"))
        for moved in ({"step": 2}, {"status": RUNNING}, {"status": COMPLETED}):
            with pytest.raises(PlanOnHoldError, match="theirs"):
                store.batches.advance(batch, **moved)
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#theirs", released="2026-01-15"))
        assert store.batches.advance(batch, step=2).current_step == 2

    def test_a_hold_of_the_same_unit_counts_and_so_does_its_release(self, store: Store) -> None:
        batch = running(store)
        with pytest.raises(PlanOnHoldError), store.unit_of_work():
            store.holds.place("ACME", "Missing data")
            store.claims.claim(batch, 1, "one", 60)
        hold = store.holds.place("ACME", "Missing data")
        with store.unit_of_work():
            store.holds.release("ACME", hold.hold_id)
            store.claims.claim(batch, 1, "one", 60)
            batch = store.batches.advance(batch, step=2)
        with store.unit_of_work():  # what was begun before the hold
            store.claims.claim(batch, 2, "one", 60)
            store.holds.place("ACME", "Missing data")
        assert [claim.step for claim in store.claims.for_batch("b")] == [1, 2]
        assert len(store.holds.open("ACME")) == 1

    @pytest.mark.parametrize("status", [COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED])
    def test_a_batch_that_is_over_takes_no_claim_result_or_workers_entry(
        self, store: Store, status: BatchStatus
    ) -> None:
        batch = running(store)
        claim = store.claims.claim(batch, 1, "one", 60)
        saved = store.results.save(batch, 2, {"rows": 2})
        over = store.batches.advance(batch, status=status)
        for known in (batch, over, "b"):
            refused(
                [
                    partial(store.claims.claim, known, 2, "two", 60),
                    partial(store.results.save, known, 1, {"rows": 1}),
                    partial(store.results.save, known, 1, {"rows": 1}, claim),
                    partial(store.audit.append, "b", action="late", claim=claim),
                ],
                InvalidTransitionError,
            )
        assert store.results.save("b", 2, {"rows": 2}) == saved  # whose answer was lost
        store.audit.append("b", action="looked at")
        store.claims.release(claim)
        assert [entry.action for entry in store.audit.entries("b")] == ["looked at"]
        assert store.results.for_batch("b") == (saved,)
        assert [one.step for one in store.claims.for_batch("b")] == [1]

    def test_a_unit_that_ends_a_batch_may_hold_its_last_result(self, store: Store) -> None:
        batch = running(store)
        claim = store.claims.claim(batch, 1, "one", 60)
        with store.unit_of_work():
            store.batches.advance(batch, status=COMPLETED, claim=claim)
            store.results.save(batch, 1, {"rows": 1}, claim)
            store.audit.append("b", action="done", claim=claim)
        assert store.batches.get("b").status is COMPLETED
        assert [result.step for result in store.results.for_batch("b")] == [1]

    def test_a_unit_that_ends_a_batch_begins_nothing_in_it(self, store: Store) -> None:
        for status in (COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED):
            batch = running(store, f"b-{status}")
            claim = store.claims.claim(batch, 1, "one", 60)
            late: list[Callable[[], object]] = [
                partial(store.claims.claim, batch, 2, "one", 60),
                partial(store.claims.claim, batch.batch_id, 1, "one", 60),
                partial(store.results.save, batch, 2, {"rows": 2}),
            ]
            if status is BatchStatus.CANCELLED:
                late += [
                    partial(store.results.save, batch, 1, {"rows": 1}, claim),
                    partial(store.audit.append, batch.batch_id, action="late", claim=claim),
                ]
            for call in late:
                with pytest.raises(InvalidTransitionError), store.unit_of_work():
                    store.batches.advance(batch, status=status)
                    call()
            assert store.batches.get(batch.batch_id) == batch
            assert store.results.for_batch(batch.batch_id) == ()

    def test_a_failed_batch_that_is_put_again_takes_no_result_of_the_same_unit(self, store: Store) -> None:
        batch = running(store)
        claim = store.claims.claim(batch, 1, "one", 60)
        failed = store.batches.advance(batch, status=BatchStatus.FAILED)
        with pytest.raises(InvalidTransitionError), store.unit_of_work():
            store.batches.put(failed.model_copy(update={"updated": None}))
            store.results.save(batch, 1, {"rows": 1}, claim)

    def test_a_unit_that_begins_a_step_and_places_a_hold_is_refused_by_those_that_were_open_before(
        self, store: Store
    ) -> None:
        batch = running(store)
        hold = store.holds.place("ACME", "Missing data", hold_id="h1")
        for change in (partial(store.holds.place, "ACME", "More"), partial(store.holds.release, "ACME", "h1")):
            with pytest.raises(PlanOnHoldError, match="h1"), store.unit_of_work():
                store.claims.claim(batch, 1, "one", 60)
                change()
        assert store.holds.open("ACME") == (hold,)
        assert hold.origin is not None
        store.engine.write(Delete(table(store, PLAN_HOLD), hold.origin.key))  # by another program; the guard counts it
        with store.unit_of_work():
            store.claims.claim(batch, 1, "one", 60)
            store.holds.place("ACME", "More", hold_id="h2")
        assert [hold.hold_id for hold in store.holds.open("ACME")] == ["h2"]
        refused(beginnings(store, batch), PlanOnHoldError)

    def test_a_workers_entry_is_of_its_own_batch_and_claim(self, store: Store) -> None:
        batch = running(store)
        claim = store.claims.claim(batch, 1, "one", 60)
        with pytest.raises(InvalidEntityError, match="says nothing of"):
            store.audit.append("other", action="x", claim=claim)
        store.claims.release(claim)
        with pytest.raises(ClaimLostError):
            store.audit.append("b", action="x", claim=claim)
        assert store.audit.entries("b") == ()

    def test_a_batch_has_the_steps_that_it_was_started_under_and_no_others(self, store: Store) -> None:
        batch = running(store)
        assert batch.step_numbers == (1, 2) == store.batches.get("b").step_numbers
        refused(
            [
                lambda: store.batches.advance(batch, step=9999),
                lambda: store.batches.put(batch.model_copy(update={"current_step": 3})),
                lambda: store.claims.claim(batch, 9999, "one", 60),
                lambda: store.claims.claim("b", 3, "one", 60),
                lambda: store.results.save(batch, 9999, {"rows": 1}),
                lambda: store.results.save("b", 3, {"rows": 1}),
            ],
            InvalidEntityError,
        )
        assert store.batches.get("b") == batch
        assert (store.claims.for_batch("b"), store.results.for_batch("b")) == ((), ())

    def test_a_batch_that_does_not_say_its_steps_has_any(self, store: Store, raw_get: RawGet, raw_put: RawPut) -> None:
        batch = running(store)
        place = table(store, BATCH_STATE), Key("BATCH#b", "STATE")
        item = raw_get(*place) or {}
        assert sorted(item.pop(STEP_NUMBERS)["NS"]) == ["1", "2"]
        raw_put(place[0], item)
        assert store.batches.get("b").step_numbers == ()
        claim = store.claims.claim(batch, 9999, "one", 60)
        assert store.batches.advance(batch, step=9999, claim=claim).current_step == 9999
