"""Batches, holds, claims and results: what agents write, and when they may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    BatchNotFoundError,
    ClaimLostError,
    ClaimTakenError,
    ConfigurationError,
    ConflictError,
    HoldNotFoundError,
    InvalidEntityError,
    InvalidKeyError,
    InvalidTransitionError,
    ItemDecodeError,
    ItemTooLargeError,
    PlanOnHoldError,
    VersionConflictError,
)
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, BatchStatus
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD, PlanHold
from bluestar_store.models.kind import Kind
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import Delete
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.batches import TRANSITIONS
from bluestar_store.store import Store
from bluestar_store.testing.frozen_clock import FrozenClock
from bluestar_store.testing.side_door import RawGet, RawPut, in_thread, table, wire

RUNNING = BatchStatus.RUNNING


def with_rules(store: Store) -> Store:
    """What a batch of ACME needs: limits, a rule, and DEFAULT's pipeline."""
    store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal(24500)))
    store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", max_pct=Decimal(4)))
    steps = [PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
    store.pipelines.replace(DEFAULT, "Weekly", steps)
    return store


def started(store: Store, batch_id: str | None = None) -> BatchState:
    return with_rules(store).batches.start("ACME", "Weekly", 2026, batch_id)


def frozen(store: Store, monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """A clock that the Store, however it was opened, dates by from now on."""
    clock = FrozenClock()
    monkeypatch.setattr(store._access, "now", clock.now)
    return clock


class WorkflowTests:
    """See issue 6.2 to 6.5."""

    # ------------------------------------------------------------------------------------------------------- batches

    def test_a_batch_is_started_once(self, store: Store) -> None:
        batch = started(store, "b1")
        assert (batch.status, batch.version, batch.plan_id, batch.year) == (BatchStatus.RECEIVED, 1, "ACME", 2026)
        assert store.batches.get("b1") == batch
        with pytest.raises(AlreadyExistsError):
            store.batches.start("ACME", "Weekly", 2026, "b1")
        one, other = (store.batches.start("ACME", "Weekly", 2026) for _ in range(2))
        assert one.batch_id != other.batch_id
        assert len(one.batch_id) == 26

    def test_a_batch_pins_the_rules_that_it_was_started_under(self, store: Store) -> None:
        batch = started(store)
        assert batch.rules_digest == store.plan_snapshot("ACME", "Weekly", 2026).digest
        assert store.batches.verify_rules(batch).unchanged
        rule = store.calculation_rules.get(GLOBAL, "match")
        store.calculation_rules.put(rule.model_copy(update={"max_pct": Decimal(6)}))
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="cap", max_pct=Decimal(1)))
        steps = store.pipelines.steps("ACME", "Weekly")
        store.pipelines.replace(DEFAULT, "Weekly", steps[:1])
        found = store.batches.verify_rules(batch)
        assert not found.unchanged
        assert found.changed == ("calculation-rules/CLIENT#GLOBAL/CALC#match",)
        assert found.came == ("calculation-rules/CLIENT#ACME/CALC#cap",)
        assert found.went == ("processing-pipeline/CLIENT#DEFAULT_Weekly/STEP#0002",)

    def test_limits_and_a_pipeline_that_are_gone_are_named(self, store: Store) -> None:
        batch = started(store)
        limits, steps = "irs-limits/YEAR#2026/LIMITS", "processing-pipeline/CLIENT#DEFAULT_Weekly/STEP#000"
        store.irs_limits.delete(store.irs_limits.get(2026))
        found = store.batches.verify_rules(batch)
        assert (found.unchanged, found.changed, found.came, found.went) == (False, (), (), (limits,))
        store.pipelines.remove(DEFAULT, "Weekly")
        gone = store.batches.verify_rules(batch)
        assert gone.went == (limits, f"{steps}1", f"{steps}2")
        assert len({batch.rules_digest, found.current, gone.current}) == 3
        with_rules(store)
        assert store.batches.verify_rules(batch).unchanged

    def test_steps_that_another_program_took_away_are_named(self, store: Store) -> None:
        batch = started(store)
        name, pk = table(store, PIPELINE_STEP), "CLIENT#DEFAULT_Weekly"
        for count in (1, 2):
            store.engine.write(Delete(name, Key(pk, f"STEP#{count:04d}")))
            went = tuple(f"processing-pipeline/{pk}/STEP#{number:04d}" for number in range(1, count + 1))
            assert store.batches.verify_rules(batch).went == went

    def test_a_batch_goes_only_where_the_table_says(self, store: Store) -> None:
        with_rules(store)
        for before in BatchStatus:
            for after in BatchStatus:
                batch = store.batches.put(BatchState(batch_id=f"{before}-{after}", plan_id="ACME", status=before))
                if after in TRANSITIONS[before]:
                    moved = store.batches.advance(batch, status=after)
                    assert (moved.status, moved.version) == (after, 2)
                else:
                    with pytest.raises(InvalidTransitionError, match=f"is {before} and cannot become {after}"):
                        store.batches.advance(batch, status=after)
                    assert store.batches.get(batch.batch_id) == batch

    def test_a_step_can_move_alone_until_the_batch_is_over(self, store: Store) -> None:
        batch = store.batches.advance(started(store), status=RUNNING)
        moved = store.batches.advance(batch, step=2)
        assert (moved.status, moved.current_step) == (RUNNING, 2)
        over = store.batches.advance(moved, status=BatchStatus.COMPLETED)
        with pytest.raises(InvalidTransitionError, match="it is over"):
            store.batches.advance(over, step=3)

    def test_an_outdated_batch_does_not_advance(self, store: Store) -> None:
        batch = started(store)
        moved = store.batches.advance(batch, status=RUNNING)
        with pytest.raises(VersionConflictError):
            store.batches.advance(batch, status=BatchStatus.CANCELLED)
        assert store.batches.get(batch.batch_id) == moved

    def test_a_batch_made_by_hand_does_not_advance(self, store: Store) -> None:
        with pytest.raises(InvalidEntityError, match=r"batches\.get"):
            store.batches.advance(BatchState(batch_id="b", status=RUNNING), step=1)

    def test_a_copy_goes_where_what_was_read_may_go(self, store: Store) -> None:
        over = store.batches.advance(started(store), status=BatchStatus.CANCELLED)
        with pytest.raises(InvalidTransitionError, match="is CANCELLED"):
            store.batches.advance(over.model_copy(update={"status": RUNNING}), step=2)

    def test_a_put_goes_where_an_advance_may_go(self, store: Store) -> None:
        over = store.batches.put(BatchState(batch_id="over", status=BatchStatus.COMPLETED))
        batch = started(store, "b")
        for entity in (
            batch.model_copy(update={"status": BatchStatus.COMPLETED}),
            BatchState(**{**dict(batch), "status": BatchStatus.COMPLETED}),  # not read
            over.model_copy(update={"status": RUNNING}),
            over.model_copy(update={"status": None}),
            over.model_copy(update={"current_step": 1}),
        ):
            with pytest.raises(InvalidTransitionError):
                store.batches.put(entity)
        assert (store.batches.get("b"), store.batches.get("over")) == (batch, over)
        moved = store.batches.put(batch.model_copy(update={"status": RUNNING, "current_step": 1}))
        assert (moved.status, moved.current_step) == (RUNNING, 1)

    def test_a_put_does_not_run_past_a_hold(self, store: Store) -> None:
        runs = store.batches.advance(started(store, "runs"), status=RUNNING)
        batch = started(store, "b")
        store.holds.place("ACME", "Missing data")
        new = BatchState(batch_id="new", plan_id="ACME", status=RUNNING)
        with store.unit_of_work():
            for entity in (batch.model_copy(update={"status": RUNNING}), new):
                with pytest.raises(PlanOnHoldError):
                    store.batches.put(entity)
        assert store.batches.get("b") == batch
        with pytest.raises(BatchNotFoundError):
            store.batches.get("new")
        assert store.batches.put(runs.model_copy(update={"current_step": 1})).status is RUNNING

    @pytest.mark.parametrize(
        ("name", "value"), [("plan_id", "BETA"), ("pay_freq", "Monthly"), ("year", 2027), ("rules_digest", None)]
    )
    def test_a_batch_keeps_what_it_was_started_under(self, store: Store, name: str, value: Any) -> None:
        batch = started(store, "b")
        copy = batch.model_copy(update={name: value})
        with pytest.raises(InvalidEntityError, match=f"keeps its {name}"):
            store.batches.put(copy)
        with pytest.raises(InvalidEntityError, match=f"keeps its {name}"):
            store.batches.advance(copy, status=RUNNING)
        assert store.batches.get("b") == batch

    def test_what_a_batch_of_another_program_does_not_say_can_be_added(self, store: Store) -> None:
        batch = store.batches.put(BatchState(batch_id="b", plan_id="ACME"))
        assert store.batches.put(batch.model_copy(update={"year": 2026})).year == 2026

    def test_a_copy_under_another_id_does_not_advance(self, store: Store) -> None:
        batch = started(store, "b")
        other = started(store, "other")
        for batch_id in ("other", "none"):
            with pytest.raises(InvalidEntityError, match="was read as 'b'"):
                store.batches.advance(batch.model_copy(update={"batch_id": batch_id}), status=RUNNING)
        assert store.batches.get("other") == other

    def test_history_is_all_of_one_batch(self, store: Store) -> None:
        batch = store.batches.advance(started(store, "b1"), status=RUNNING)
        started(store, "b2")
        claim = store.claims.claim(batch, 1, "worker", 60)
        result = store.results.save(batch, 1, {"rows": 3}, claim)
        store.audit.append("b1", action="checked")
        history = store.batches.history("b1")
        assert (history.state, history.claims, history.results) == (batch, (claim,), (result,))
        assert [entry.action for entry in history.audit] == ["checked"]
        assert history.rules is not None
        assert history.rules.digest == batch.rules_digest
        with pytest.raises(BatchNotFoundError):
            store.batches.history("none")

    @pytest.mark.parametrize(
        ("kind", "keeper"),
        [
            (STEP_RESULT, "results"),
            (STEP_CLAIM, "claims"),
            (BATCH_RULES, "batches"),
            (HOLD_GUARD, "holds"),
            (PIPELINE_STEP, "pipelines"),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_no_plain_repository_writes_past_the_rules(self, store: Store, kind: Kind[Any], keeper: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"only store\.{keeper} "):
            store.repository(kind)
        with pytest.raises(ConfigurationError, match=rf"only store\.{keeper} "):
            store.repository(kind, Repository)

    def test_the_repositories_of_batches_and_holds_are_the_stores_own(self, store: Store, raw_get: RawGet) -> None:
        over = store.batches.put(BatchState(batch_id="b", status=BatchStatus.COMPLETED))
        with pytest.raises(InvalidTransitionError):
            store.repository(BATCH_STATE).put(over.model_copy(update={"status": RUNNING}))
        store.repository(PLAN_HOLD).put(PlanHold(plan_id="ACME", hold_id="h1"))
        assert raw_get(table(store, HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": "ACME"})) is not None
        kinds: tuple[Kind[Any], ...] = (BATCH_STATE, PLAN_HOLD)
        for kind in kinds:
            with pytest.raises(ConfigurationError, match="past its rules"):
                store.repository(kind, Repository)

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

    def test_an_empty_id_is_refused_and_not_taken_for_none(self, store: Store) -> None:
        with pytest.raises(InvalidKeyError, match="batch_id"):
            store.batches.start("ACME", "Weekly", 2026, "")
        with pytest.raises(InvalidKeyError, match="hold_id"):
            store.holds.place("ACME", "Missing data", hold_id="")
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

    def test_a_hold_that_comes_in_between_look_and_write_stops_the_batch(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batch = started(store)
        write = store.engine.write
        placed: list[int] = []

        def late(*writes: object) -> None:
            if not placed:
                placed.append(1)
                with monkeypatch.context() as undone:
                    undone.setattr(store.engine, "write", write)
                    in_thread(lambda: store.holds.place("ACME", "Just now", hold_id="h1"))
            write(*writes)  # type: ignore[arg-type]  # what it was given

        with monkeypatch.context() as patched:
            patched.setattr(store.engine, "write", late)
            with pytest.raises(PlanOnHoldError, match="h1"):
                store.batches.advance(batch, status=RUNNING)
        assert store.batches.get(batch.batch_id) == batch

    def test_a_hold_that_cannot_be_counted_is_neither_put_nor_deleted(self, store: Store, raw_put: RawPut) -> None:
        hold = store.holds.put(PlanHold(plan_id="ACME", hold_id="h1"))
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#theirs", reason={"N": "1"}))
        with store.unit_of_work():
            with pytest.raises(ItemDecodeError, match="theirs"):
                store.holds.put(PlanHold(plan_id="ACME", hold_id="h2"))
            with pytest.raises(ItemDecodeError, match="theirs"):
                store.holds.delete(hold)
        assert store.holds.get("ACME", "h1") == hold
        with pytest.raises(HoldNotFoundError):
            store.holds.get("ACME", "h2")

    def test_the_guard_counts_open_holds(self, store: Store, raw_get: RawGet) -> None:
        store.holds.place("ACME", "one", hold_id="h1")
        store.holds.place("ACME", "two", hold_id="h2")
        store.holds.release("ACME", "h1")
        found = raw_get(table(store, HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": "ACME"}))
        assert found is not None
        assert (found["open_holds"], found["version"]) == ({"N": "1"}, {"N": "3"})

    # -------------------------------------------------------------------------------------------------------- claims

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

    def test_a_result_over_350_kb_belongs_into_the_file_store(self, store: Store) -> None:
        store.results.save("b", 1, {"text": "x" * 349 * 1024})
        with pytest.raises(ItemTooLargeError, match=r"store\.files\.write"):
            store.results.save("b", 2, {"text": "x" * 351 * 1024})
