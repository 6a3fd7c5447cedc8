"""Holds, claims and results: what agents write, and when they may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import (
    ClaimLostError,
    ClaimTakenError,
    ConflictError,
    HoldNotFoundError,
    InvalidEntityError,
    InvalidKeyError,
    ItemTooLargeError,
    PlanOnHoldError,
)
from bluestar_store.models.batches import BatchStatus
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD, PlanHold
from bluestar_store.store import Store
from bluestar_store.testing.frozen_clock import FrozenClock
from tests.store_suite.batches import started
from tests.store_suite.side_door import BeforeWrite, RawGet, RawPut, in_thread, table, wire

RUNNING = BatchStatus.RUNNING


def frozen(store: Store, monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """A clock that the Store, however it was opened, dates by from now on."""
    clock = FrozenClock()
    monkeypatch.setattr(store.sessions, "now", clock.now)
    return clock


class WorkflowTests:
    """Claims, results and holds of a batch at work."""

    # --------------------------------------------------------------------------------------------------------- holds

    def test_holds_are_placed_and_released_once(self, store: Store) -> None:
        hold = store.holds.place("ACME", "Missing data", hold_id="h1", created_by="ops")
        assert store.holds.place("ACME", "Again", hold_id="h1") == hold
        assert store.holds.open("ACME") == (hold,)
        released = store.holds.release("ACME", "h1", released_by="ops")
        assert (released.is_open, released.released_by) == (False, "ops")
        assert store.holds.release("ACME", "h1", released_by="other") == released
        assert store.holds.place("ACME", "Third", hold_id="h1") == released
        assert store.holds.open("ACME") == ()
        assert store.holds.for_plan("ACME") == (released,)
        with pytest.raises(HoldNotFoundError):
            store.holds.release("ACME", "none")

    def test_an_id_that_cannot_be_one_is_refused_and_an_empty_one_not_taken_for_none(self, store: Store) -> None:
        with pytest.raises(InvalidKeyError, match="batch_id"):
            store.batches.start("ACME", "Weekly", 2026, "")
        with pytest.raises(InvalidKeyError, match="hold_id"):
            store.holds.place("ACME", "Missing data", hold_id="")
        with pytest.raises(InvalidKeyError, match="batch_id"):
            store.holds.place("ACME", "Missing data", batch_id="a#b")  # which no batch can have
        assert (store.batches.for_plan("ACME").batches, store.holds.for_plan("ACME")) == ((), ())

    def test_a_hold_placed_and_released_in_one_unit_is_one_write(self, store: Store) -> None:
        with store.unit_of_work():
            store.holds.place("ACME", "Missing data", hold_id="h1")
            store.holds.release("ACME", "h1")
        assert [hold.is_open for hold in store.holds.for_plan("ACME")] == [False]

    def test_a_batch_does_not_run_while_its_plan_has_a_hold(self, store: Store, raw_put: RawPut) -> None:
        batch = started(store)
        store.holds.place("BETA", "Of another plan")
        store.holds.place("ACME", "Missing data", hold_id="h1")
        with pytest.raises(PlanOnHoldError, match="h1") as caught:
            store.batches.advance(batch, status=RUNNING)
        assert caught.value.hold_ids == ("h1",)
        with pytest.raises(PlanOnHoldError):
            store.batches.advance(batch, status="RUNNING")  # type: ignore[arg-type]  # as callers without types say it
        held = store.batches.advance(batch, status=BatchStatus.ON_HOLD)
        store.holds.release("ACME", "h1")
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#theirs", reason="of another program"))
        with pytest.raises(PlanOnHoldError, match="theirs"):
            store.batches.advance(held, status=RUNNING)
        store.holds.release("ACME", "theirs")
        assert store.batches.advance(held, status=RUNNING).status is RUNNING

    def test_a_hold_placed_in_the_same_unit_counts(self, store: Store) -> None:
        batch = started(store)
        with pytest.raises(PlanOnHoldError), store.unit_of_work():
            store.holds.place("ACME", "Missing data")
            store.batches.advance(batch, status=RUNNING)
        assert store.holds.open("ACME") == ()

    @pytest.mark.every_engine
    def test_a_hold_that_comes_in_between_look_and_write_stops_the_batch(
        self, store: Store, before_write: BeforeWrite
    ) -> None:
        batch = started(store)
        before_write(lambda: store.holds.place("ACME", "Just now", hold_id="h1"))
        with pytest.raises(PlanOnHoldError, match="h1"):
            store.batches.advance(batch, status=RUNNING)
        assert store.batches.get(batch.batch_id) == batch

    def test_a_hold_that_cannot_be_read_counts_as_open(self, store: Store, raw_put: RawPut, raw_get: RawGet) -> None:
        hold = store.holds.put(PlanHold(plan_id="ACME", hold_id="h1"))
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#theirs", reason={"N": "1"}))
        store.holds.put(PlanHold(plan_id="ACME", hold_id="h2"))
        store.holds.delete(hold)
        found = raw_get(table(store, HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": "ACME"}))
        assert found is not None
        assert found["open_holds"] == {"N": "2"}

    def test_the_guard_counts_open_holds(self, store: Store, raw_get: RawGet) -> None:
        store.holds.place("ACME", "one", hold_id="h1")
        store.holds.place("ACME", "two", hold_id="h2")
        store.holds.release("ACME", "h1")
        found = raw_get(table(store, HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": "ACME"}))
        assert found is not None
        assert (found["open_holds"], found["version"]) == ({"N": "1"}, {"N": "3"})

    # -------------------------------------------------------------------------------------------------------- claims

    @pytest.mark.every_engine
    def test_one_worker_owns_a_step_until_its_lease_is_over(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = frozen(store, monkeypatch)
        claim = store.claims.claim("b", 1, "one", 10)
        assert (claim.fence, claim.worker) == (1, "one")
        for seconds in (0, 10, 0.9):  # the clocks of two machines may differ by a second
            clock.advance(seconds)
            with pytest.raises(ClaimTakenError, match="'one'"):
                store.claims.claim("b", 1, "two", 10)
        assert store.claims.claim("b", 2, "two", 10).fence == 1
        clock.advance(0.2)
        taken = store.claims.claim("b", 1, "two", 10)
        assert (taken.fence, taken.worker) == (2, "two")
        for call in (lambda: store.claims.heartbeat(claim, 10), lambda: store.claims.release(claim)):
            with pytest.raises(ClaimLostError):
                call()

    def test_a_heartbeat_prolongs_and_a_release_ends_a_claim(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = frozen(store, monkeypatch)
        claim = store.claims.claim("b", 1, "one", 10)
        clock.advance(9)
        claim = store.claims.heartbeat(claim, 10)
        clock.advance(9)
        with pytest.raises(ClaimTakenError):
            store.claims.claim("b", 1, "two", 10)
        store.claims.release(claim)
        assert store.claims.claim("b", 1, "two", 10).fence == 2

    def test_a_worker_that_claims_again_fences_off_what_it_was_before(self, store: Store) -> None:
        crashed = store.claims.claim("b", 1, "one", 60)
        again = store.claims.claim("b", 1, "one", 60)
        assert again.fence == 2
        with pytest.raises(ClaimLostError):
            store.results.save("b", 1, {"rows": 1}, crashed)
        store.results.save("b", 1, {"rows": 2}, again)

    @pytest.mark.every_engine
    def test_who_lost_a_claim_writes_nothing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = frozen(store, monkeypatch)
        batch = store.batches.advance(started(store), status=RUNNING)
        claim = store.claims.claim(batch, 1, "one", 10)
        clock.advance(3600)
        batch = store.batches.advance(batch, step=1, claim=claim)  # expired, but nobody else took it
        taken = store.claims.claim(batch, 1, "two", 10)
        with pytest.raises(ClaimLostError):
            store.batches.advance(batch, step=2, claim=claim)
        with pytest.raises(ClaimLostError):
            store.results.save(batch, 1, {"rows": 1}, claim)
        assert store.batches.advance(batch, step=2, claim=taken).current_step == 2
        assert store.results.for_batch(batch.batch_id) == ()

    def test_an_advance_that_is_refused_within_a_unit_leaves_nothing_in_it(self, store: Store) -> None:
        batch = started(store, "b")
        claim = store.claims.claim(batch, 1, "one", 10)
        store.holds.place("ACME", "Missing data")
        with store.unit_of_work():
            with pytest.raises(PlanOnHoldError):
                store.batches.advance(batch, status=RUNNING, claim=claim)
            store.audit.append("b", action="waits")
            in_thread(lambda: store.claims.release(claim))  # of no more interest here
        assert [entry.action for entry in store.audit.entries("b")] == ["waits"]
        assert store.batches.get("b") == batch

    def test_a_claim_is_good_for_its_own_step_only(self, store: Store) -> None:
        batch = started(store, "b")
        claim = store.claims.claim(batch, 1, "one", 60)
        theirs = store.claims.claim("other", 1, "one", 60)
        for call in (
            lambda: store.batches.advance(batch, status=RUNNING, claim=theirs),
            lambda: store.results.save(batch, 1, {"rows": 1}, theirs),
            lambda: store.results.save(batch, 2, {"rows": 1}, claim),
        ):
            with pytest.raises(InvalidEntityError, match="says nothing of"):
                call()
        assert store.batches.get("b") == batch
        assert store.results.for_batch("b") == ()

    @pytest.mark.parametrize("lease_seconds", [0, -1, float("nan"), float("inf"), 1e12])
    def test_a_lease_of_no_time_and_one_without_an_end_are_refused(self, store: Store, lease_seconds: float) -> None:
        with pytest.raises(InvalidEntityError, match="lease"):
            store.claims.claim("b", 1, "one", lease_seconds)
        claim = store.claims.claim("b", 1, "one", 10)
        with pytest.raises(InvalidEntityError, match="lease"):
            store.claims.heartbeat(claim, lease_seconds)
        with pytest.raises(InvalidEntityError, match="name of a worker"):
            store.claims.claim("b", 1, "", 10)

    # ------------------------------------------------------------------------------------------------------- results

    def test_a_result_is_saved_once(self, store: Store) -> None:
        saved = store.results.save("b", 1, {"rows": 3, "sums": {"a": Decimal("1.10")}})
        assert store.results.save("b", 1, {"sums": {"a": Decimal("1.1")}, "rows": Decimal(3)}) == saved
        with pytest.raises(ConflictError, match="another result"):
            store.results.save("b", 1, {"rows": 4})
        assert store.results.get("b", 1) == saved

    def test_what_cannot_be_stored_is_refused_by_name(self, store: Store) -> None:
        wrong: list[tuple[str, Any]] = [
            ("result", lambda: store.results.save("b", 1, {"rows": 1.5})),
            ("result", lambda: store.results.save("b", 1, {"rows": Decimal("NaN")})),
            ("result", lambda: store.results.save("b", 1, [1])),  # type: ignore[arg-type]
            ("step", lambda: store.results.save("b", -1, {"rows": 1})),
            ("step", lambda: store.claims.claim("b", "1", "one", 60)),  # type: ignore[arg-type]
            ("reason", lambda: store.holds.place("ACME", 5)),  # type: ignore[arg-type]
            ("details", lambda: store.audit.append("b", action="x", details={"rows": 1.5})),
            ("details", lambda: store.audit.append("b", action="x", details={"rows": Decimal("Infinity")})),
        ]
        for name, call in wrong:
            with pytest.raises(InvalidEntityError, match=f": {name}"):
                call()

    def test_a_value_that_contains_itself_is_refused(self, store: Store) -> None:
        endless: dict[str, Any] = {}
        endless["rows"] = [endless]
        with pytest.raises(InvalidEntityError, match=r"StepResult: result: .*contains itself"):
            store.results.save("b", 1, endless)
        with pytest.raises(InvalidEntityError, match=r"AuditEntry: details: .*contains itself"):
            store.audit.append("b", action="checked", details=endless)
        assert (store.results.for_batch("b"), store.audit.entries("b")) == ((), ())

    @pytest.mark.every_engine
    def test_a_result_over_350_kb_belongs_into_the_file_store(self, store: Store) -> None:
        store.results.save("b", 1, {"text": "x" * 349 * 1024})
        with pytest.raises(ItemTooLargeError, match=r"store\.files\.write"):
            store.results.save("b", 2, {"text": "x" * 351 * 1024})
