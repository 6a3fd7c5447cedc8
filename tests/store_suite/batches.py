"""Batches: where they may go, and what they keep."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    BatchNotFoundError,
    ConfigurationError,
    InvalidEntityError,
    InvalidTransitionError,
    PlanOnHoldError,
    VersionConflictError,
)
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, BatchStatus
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD, PlanHold
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import Delete
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.batches import TRANSITIONS
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, table

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


class BatchTests:
    """The states of a batch, and what it was started under."""

    def test_a_batch_is_started_once(self, store: Store) -> None:
        batch = started(store, "b1")
        assert (batch.status, batch.version, batch.plan_id, batch.year) == (BatchStatus.RECEIVED, 1, "ACME", 2026)
        assert store.batches.get("b1") == batch
        with pytest.raises(AlreadyExistsError):
            store.batches.start("ACME", "Weekly", 2026, "b1")
        one, other = (store.batches.start("ACME", "Weekly", 2026) for _ in range(2))
        assert one.batch_id != other.batch_id
        assert len(one.batch_id) == 26

    @pytest.mark.every_engine
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

    @pytest.mark.usefixtures("impatient")
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

    @pytest.mark.every_engine
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
            with pytest.raises(PlanOnHoldError):
                store.batches.put(runs.model_copy(update={"current_step": 1}))
        assert store.batches.get("b") == batch
        with pytest.raises(BatchNotFoundError):
            store.batches.get("new")
        assert store.batches.put(runs).status is RUNNING

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

    @pytest.mark.every_engine
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
        ("mapper", "keeper"),
        [
            (STEP_RESULT, "results"),
            (STEP_CLAIM, "claims"),
            (BATCH_RULES, "batches"),
            (HOLD_GUARD, "holds"),
            (PIPELINE_STEP, "pipelines"),
        ],
        ids=lambda value: getattr(value, "name", None),
    )
    def test_no_plain_repository_writes_past_the_rules(self, store: Store, mapper: Mapper[Any], keeper: str) -> None:
        with pytest.raises(ConfigurationError, match=rf"only store\.{keeper} "):
            store.repository(mapper)
        with pytest.raises(ConfigurationError, match=rf"only store\.{keeper} "):
            store.repository(mapper, Repository)

    def test_the_repositories_of_batches_and_holds_are_the_stores_own(self, store: Store, raw_get: RawGet) -> None:
        over = store.batches.put(BatchState(batch_id="b", status=BatchStatus.COMPLETED))
        with pytest.raises(InvalidTransitionError):
            store.repository(BATCH_STATE).put(over.model_copy(update={"status": RUNNING}))
        store.repository(PLAN_HOLD).put(PlanHold(plan_id="ACME", hold_id="h1"))
        assert raw_get(table(store, HOLD_GUARD), HOLD_GUARD.keys.build({"plan_id": "ACME"})) is not None
        kinds: tuple[Mapper[Any], ...] = (BATCH_STATE, PLAN_HOLD)
        for kind in kinds:
            with pytest.raises(ConfigurationError, match="past its rules"):
                store.repository(kind, Repository)
