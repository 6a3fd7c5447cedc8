"""What batches, claims, holds and pipelines are written over is what is stored; what does not differ is not written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bluestar_store.errors import (
    ClaimLostError,
    ConflictError,
    InvalidTransitionError,
    PlanOnHoldError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE, STEP_CLAIM, BatchState, BatchStatus, StepClaim
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Delete
from bluestar_store.store import Store
from tests.store_suite.batches import started
from tests.store_suite.side_door import BeforeWrite, RawChange, RawGet, RawPut, table, wire
from tests.store_suite.working import refused

NULL = {"NULL": True}


def uses(store: Store, batch: BatchState, claim: StepClaim) -> list[Callable[[], object]]:
    """Whatever a worker does by its claim alone."""
    return [
        lambda: store.results.save(batch, claim.step, {"rows": 1}, claim),
        lambda: store.claims.heartbeat(claim, 60),
        lambda: store.claims.release(claim),
    ]


class AsStoredTests:
    """Programs that count no versions, beside agents at work."""

    def test_a_batch_that_old_code_cancelled_stays_cancelled(
        self, store: Store, change: RawChange, before_write: BeforeWrite
    ) -> None:
        batch = started(store, "b")
        batch = store.batches.advance(batch, status=BatchStatus.RUNNING)
        place = table(store, BATCH_STATE), Key("BATCH#b", "STATE")
        before_write(lambda: change(*place, status={"S": "CANCELLED"}))
        for moved in ({"step": 2}, {"status": BatchStatus.COMPLETED}, {"status": BatchStatus.ON_HOLD}):
            with pytest.raises(VersionConflictError) as caught:
                store.batches.advance(batch, **moved)
            assert caught.value.attribute == "status"
        stored = store.batches.get("b")
        assert (stored.status, stored.current_step) == (BatchStatus.CANCELLED, None)
        with pytest.raises(InvalidTransitionError):
            store.batches.advance(stored, status=BatchStatus.COMPLETED)

    def test_advance_returns_what_is_stored(self, store: Store, raw_get: RawGet, change: RawChange) -> None:
        batch = started(store, "b")
        change(table(store, BATCH_STATE), Key("BATCH#b", "STATE"), note={"S": "theirs"})
        moved = store.batches.advance(batch, step=2)
        assert moved.extra == {"note": "theirs"}
        assert moved == store.batches.get("b")

    @pytest.mark.every_engine
    @pytest.mark.parametrize("again", ["made again", "changed"])
    def test_a_claim_that_is_another_one_by_the_commit_is_lost(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, before_write: BeforeWrite, again: str
    ) -> None:
        batch = started(store, "b")
        claim = store.claims.claim(batch, 2, worker="mine", lease_seconds=60)
        name, key = table(store, STEP_CLAIM), Key("BATCH#b", "CLAIM#0002")
        theirs = (raw_get(name, key) or {}) | {"worker": {"S": "theirs"}}
        if again == "made again":
            theirs = wire(*key, worker="theirs", fence={"N": "1"}, version={"N": "1"}, expires=theirs["expires"])
        before_write(lambda: raw_put(name, theirs))
        with pytest.raises(ClaimLostError):
            store.batches.advance(batch, step=2, claim=claim)
        refused(uses(store, batch, claim), ClaimLostError)
        assert store.results.for_batch("b") == ()
        assert raw_get(name, key) == theirs

    def test_a_claim_that_its_worker_has_anew_after_it_was_deleted_is_another_one(
        self, store: Store, raw_get: RawGet
    ) -> None:
        batch = started(store, "b")
        claim = store.claims.claim(batch, 2, worker="mine", lease_seconds=60)
        store.engine.write(Delete(table(store, STEP_CLAIM), Key("BATCH#b", "CLAIM#0002")))
        anew = store.claims.claim(batch, 2, worker="mine", lease_seconds=60)
        assert anew.fence == claim.fence
        refused(uses(store, batch, claim), ClaimLostError)
        assert store.claims.heartbeat(anew, 60).claimed == anew.claimed

    def test_a_hold_released_by_another_program_stays_as_it_released_it(
        self, store: Store, change: RawChange, before_write: BeforeWrite
    ) -> None:
        store.holds.place("ACME", "Missing data", hold_id="h1")
        place = table(store, PLAN_HOLD), Key("PLAN#ACME", "HOLD#h1")
        before_write(lambda: change(*place, released={"S": "2026-01-05"}, released_by={"S": "theirs"}))
        released = store.holds.release("ACME", "h1", actor="ours")
        assert (released.released_by, released.released) == ("theirs", datetime(2026, 1, 5, tzinfo=UTC))
        assert store.holds.get("ACME", "h1") == released

    def test_a_guard_that_was_made_again_is_another_one(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, before_write: BeforeWrite
    ) -> None:
        batch = started(store, "b")
        store.holds.release("ACME", store.holds.place("ACME", "one", hold_id="h1").hold_id)
        guard, name = Key("GUARD#ACME", "HOLDS"), table(store, HOLD_GUARD)
        before = raw_get(name, guard) or {}

        def hold() -> None:
            raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#h2", reason="two"))
            raw_put(name, before | {"open_holds": {"N": "1"}})

        before_write(hold)
        with pytest.raises(PlanOnHoldError):
            store.batches.advance(batch, status=BatchStatus.RUNNING)

    # ------------------------------------------------------------------------------------------- pipelines, loads

    def test_a_step_that_was_made_again_is_not_replaced_as_known(
        self, store: Store, change: RawChange, raw_get: RawGet
    ) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
        known = store.pipelines.replace("ACME", "Weekly", steps)
        name, key = table(store, PIPELINE_STEP), Key("CLIENT#ACME_Weekly", "STEP#0002")
        change(name, key, agent={"S": "theirs"})
        for call in (
            lambda: store.pipelines.replace("ACME", "Weekly", steps[:1], known=known),
            lambda: store.pipelines.replace("ACME", "Weekly", known),
            lambda: store.pipelines.remove("ACME", "Weekly", known=known),
        ):
            with pytest.raises(VersionConflictError) as caught:
                call()
            assert caught.value.attribute == "agent"
        assert (raw_get(name, key) or {})["agent"] == {"S": "theirs"}

    @pytest.mark.every_engine
    def test_a_step_that_was_made_again_under_another_spelling_is_not_replaced_as_known(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
        known = store.pipelines.replace("ACME", "Weekly", steps)
        name, key = table(store, PIPELINE_STEP), Key("CLIENT#ACME_Weekly", "STEP#0002")
        item = raw_get(name, key) or {}
        store.engine.write(Delete(name, key))
        raw_put(name, item | {"SK": {"S": "STEP#2"}})
        for call in (
            lambda: store.pipelines.replace("ACME", "Weekly", steps[:1], known=known),
            lambda: store.pipelines.replace("ACME", "Weekly", known),
            lambda: store.pipelines.remove("ACME", "Weekly", known=known),
            lambda: store.pipelines.put(known[1].model_copy(update={"agent": "B"})),
        ):
            with pytest.raises(VersionConflictError) as caught:
                call()
            assert caught.value.found is None
        assert raw_get(name, Key(key.pk, "STEP#2")) == item | {"SK": {"S": "STEP#2"}}

    @pytest.mark.parametrize("steps_left", [0, 1, 2])
    def test_a_step_changed_between_the_look_and_the_replacement_is_a_conflict(
        self, store: Store, change: RawChange, before_write: BeforeWrite, steps_left: int
    ) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
        known = store.pipelines.replace("ACME", "Weekly", steps)
        name, key = table(store, PIPELINE_STEP), Key("CLIENT#ACME_Weekly", "STEP#0002")
        before_write(lambda: change(name, key, agent={"S": "theirs"}))
        with pytest.raises(ConflictError):
            if steps_left:
                store.pipelines.replace("ACME", "Weekly", steps[:steps_left], known=known)
            else:
                store.pipelines.remove("ACME", "Weekly", known=known)
        assert [step.agent for step in store.pipelines.steps("ACME", "Weekly", fresh=True)] == ["A", "theirs"]

    # --------------------------------------------------------------------------------- what does not differ

    @pytest.mark.every_engine
    def test_values_that_do_not_differ_keep_their_spelling_and_their_type(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        holds, schemas, limits = table(store, PLAN_HOLD), table(store, VENDOR_SCHEMA), table(store, IRS_LIMITS)
        theirs = {"created": {"S": "2024-01-15"}, "batch_id": NULL, "created_by": NULL}
        raw_put(holds, wire("PLAN#ACME", "HOLD#h1", reason="Missing data", **theirs))
        raw_put(schemas, wire("VENDOR#ADP", "SCHEMA#f1", created="2024-01-15T08:00:00Z", plan_id=NULL))
        raw_put(limits, wire("YEAR#2026", "LIMITS", max_401k={"N": "24500"}, source=NULL, catch_up=NULL))

        store.holds.release("ACME", "h1", released_by="pat")
        item = raw_get(holds, Key("PLAN#ACME", "HOLD#h1")) or {}
        assert {name: item.get(name) for name in theirs} == theirs
        assert item["released_by"] == {"S": "pat"}
        assert "plan_id" not in item

        schema = store.vendor_schemas.get("ADP", "f1")
        store.vendor_schemas.put(type(schema)(**dict(schema) | {"columns": ("a",)}))  # a fresh one
        item = raw_get(schemas, Key("VENDOR#ADP", "SCHEMA#f1")) or {}
        assert (item["created"], item["plan_id"]) == ({"S": "2024-01-15T08:00:00Z"}, NULL)
        assert item["columns"] == {"L": [{"S": "a"}]}

        year = store.irs_limits.get(2026)
        store.irs_limits.put(type(year)(**dict(year) | {"catch_up": Decimal(8000)}))
        item = raw_get(limits, Key("YEAR#2026", "LIMITS")) or {}
        assert (item["source"], item["catch_up"], item["max_401k"]) == (NULL, {"N": "8000"}, {"N": "24500"})
