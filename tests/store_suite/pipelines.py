"""Reading a pipeline: the plan's own or DEFAULT's, whole or not at all, whoever wrote its steps."""

from __future__ import annotations

import pytest

from bluestar_store.errors import ItemDecodeError, PipelineChangingError, PipelineNotFoundError, VersionConflictError
from bluestar_store.keys import DEFAULT, Key
from bluestar_store.mapping.entity import Scope
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import ABSENT, Delete
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, RawPut, table, wire

PK = "CLIENT#ACME_Weekly"


def steps(*numbers: int, plan_id: str = "ACME", pay_freq: str = "Weekly", agent: str = "IDP") -> list[PipelineStep]:
    """Fresh steps."""
    return [PipelineStep(plan_id=plan_id, pay_freq=pay_freq, step_order=number, agent=agent) for number in numbers]


def numbers_of(store: Store, plan_id: str = "ACME", *, fallback: bool = True) -> list[int]:
    """The numbers of a plan's steps, in the order read."""
    return [step.step_order for step in store.pipelines.steps(plan_id, "Weekly", fallback=fallback)]


class PipelineTests:
    """`steps` and `put`."""

    def test_a_plan_without_a_pipeline_runs_defaults(self, store: Store) -> None:
        store.pipelines.replace(DEFAULT, "Weekly", steps(100, 200, plan_id=DEFAULT))
        read = store.pipelines.steps("ACME", "Weekly")
        assert [(step.step_order, step.plan_id, step.scope) for step in read] == [
            (100, DEFAULT, Scope.DEFAULT),
            (200, DEFAULT, Scope.DEFAULT),
        ]
        assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()

    def test_a_plans_own_pipeline_replaces_defaults_whole(self, store: Store) -> None:
        store.pipelines.replace(DEFAULT, "Weekly", steps(100, 200, 300, plan_id=DEFAULT))
        store.pipelines.replace("ACME", "Weekly", steps(100))
        for fresh in (False, True):
            read = store.pipelines.steps("ACME", "Weekly", fresh=fresh)
            assert [(step.step_order, step.scope) for step in read] == [(100, Scope.CLIENT)]
        assert numbers_of(store, "ZED") == [100, 200, 300]

    def test_a_pipeline_at_no_level_is_not_found(self, store: Store) -> None:
        store.pipelines.replace(DEFAULT, "Monthly", steps(100, plan_id=DEFAULT, pay_freq="Monthly"))
        with pytest.raises(PipelineNotFoundError, match=r"'ACME'.*'Weekly'"):
            store.pipelines.steps("ACME", "Weekly")

    def test_disabled_steps_are_steps(self, store: Store) -> None:
        off = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=200, enabled=False)
        store.pipelines.replace("ACME", "Weekly", [off, *steps(100)])
        assert numbers_of(store) == [100, 200]

    @pytest.mark.every_engine
    def test_steps_that_others_wrote_are_taken_as_they_are_in_number_order(self, store: Store, raw_put: RawPut) -> None:
        for sk, attributes in {
            "STEP#10000": {},
            "STEP#0200": {"stepOrder": {"N": "200"}, "subroutineName": "FILE_VALIDATION", "timeoutSeconds": {"N": "9"}},
            "STEP#100": {"stepOrder": {"N": "100"}, "agent": "IDP", "retries": {"N": "3"}},
        }.items():
            raw_put(table(store, PIPELINE_STEP), wire(PK, sk, **attributes))
        read = store.pipelines.steps("ACME", "Weekly")
        assert [step.step_order for step in read] == [100, 200, 10000]
        assert [step.version for step in read] == [0, 0, 0]
        assert (read[1].subroutine_name, read[1].timeout_seconds) == ("FILE_VALIDATION", 9)
        assert read[0].extra["retries"] == 3
        assert all(step.enabled for step in read)

    @pytest.mark.parametrize("order", [{"S": "100"}, {"N": "150"}], ids=["text", "other"])
    def test_a_step_whose_order_is_not_its_keys_is_refused(
        self, store: Store, raw_put: RawPut, order: dict[str, str]
    ) -> None:
        raw_put(table(store, PIPELINE_STEP), wire(PK, "STEP#0100", stepOrder=order))
        with pytest.raises(ItemDecodeError) as caught:
            store.pipelines.steps("ACME", "Weekly")
        error = caught.value
        assert (error.where, error.pk, error.sk) == (table(store, PIPELINE_STEP), PK, "STEP#0100")
        assert error.attribute == "stepOrder"

    def test_two_steps_of_one_number_are_refused(self, store: Store, raw_put: RawPut) -> None:
        for sk in ("STEP#0100", "STEP#100"):
            raw_put(table(store, PIPELINE_STEP), wire(PK, sk))
        for refused in (
            lambda: store.pipelines.steps("ACME", "Weekly"),
            lambda: store.pipelines.replace("ACME", "Weekly", steps(100)),
            lambda: store.pipelines.put(steps(100)[0]),
        ):
            with pytest.raises(ItemDecodeError, match="same number"):
                refused()

    @pytest.mark.every_engine
    @pytest.mark.usefixtures("impatient")
    def test_a_pipeline_that_lost_a_step_is_never_returned(self, store: Store) -> None:
        store.pipelines.replace(DEFAULT, "Weekly", steps(100, plan_id=DEFAULT))
        store.pipelines.replace("ACME", "Weekly", steps(100, 200, 300))
        store.engine.write(Delete(table(store, PIPELINE_STEP), Key(PK, "STEP#0200")))
        with pytest.raises(PipelineChangingError, match=r"pipelines\.replace"):
            store.pipelines.steps("ACME", "Weekly")
        store.pipelines.replace("ACME", "Weekly", steps(100, 300))
        assert numbers_of(store) == [100, 300]

    def test_a_step_that_another_program_overwrote_is_accepted(self, store: Store, raw_put: RawPut) -> None:
        store.pipelines.replace("ACME", "Weekly", steps(100, 200, 300))
        raw_put(table(store, PIPELINE_STEP), wire(PK, "STEP#0200", agent="THEIRS"))
        agents = [step.agent for step in store.pipelines.steps("ACME", "Weekly")]
        assert agents == ["IDP", "THEIRS", "IDP"]

    def test_a_step_that_another_program_added_is_accepted(self, store: Store, raw_put: RawPut) -> None:
        store.pipelines.replace("ACME", "Weekly", steps(100, 300))
        raw_put(table(store, PIPELINE_STEP), wire(PK, "STEP#0200", agent="THEIRS"))
        assert numbers_of(store) == [100, 200, 300]
        store.pipelines.replace("ACME", "Weekly", steps(100, 300))
        assert numbers_of(store) == [100, 300]

    def test_put_changes_a_step_and_nothing_else_of_the_pipeline(self, store: Store, raw_get: RawGet) -> None:
        first, second = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        changed = store.pipelines.put(first.model_copy(update={"enabled": False, "agent": None}))
        assert (changed.version, changed.enabled, changed.agent) == (2, False, None)
        assert store.pipelines.steps("ACME", "Weekly") == (changed, second)
        assert "agent" not in (raw_get(table(store, PIPELINE_STEP), Key(PK, "STEP#0100")) or {})

    def test_put_checks_the_version_of_a_step_that_was_read(self, store: Store) -> None:
        (first,) = store.pipelines.replace("ACME", "Weekly", steps(100))
        store.pipelines.put(first)
        with pytest.raises(VersionConflictError):
            store.pipelines.put(first.model_copy(update={"agent": "LATE"}))
        assert store.pipelines.put(steps(100, agent="FRESH")[0]).agent == "FRESH"

    def test_put_cannot_add_a_step(self, store: Store) -> None:
        store.pipelines.replace(DEFAULT, "Weekly", steps(100, 200, plan_id=DEFAULT))
        (inherited, _), (first, _) = store.pipelines.steps("ACME", "Weekly"), store.pipelines.steps(DEFAULT, "Weekly")
        for step in (
            *steps(100),  # would start the plan's own pipeline with one step
            inherited.model_copy(update={"plan_id": "ACME"}),
            first.model_copy(update={"step_order": 150}),
        ):
            with pytest.raises(PipelineNotFoundError, match=r"pipelines\.replace adds steps"):
                store.pipelines.put(step)
            with pytest.raises(PipelineNotFoundError):
                store.pipelines.put(step, expected=ABSENT)
        assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()
        assert numbers_of(store) == [100, 200]
