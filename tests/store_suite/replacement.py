"""Writing a pipeline: all steps in one transaction, over whatever was there."""

from __future__ import annotations

from functools import partial

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidEntityError,
    ItemTooLargeError,
    VersionConflictError,
)
from bluestar_store.keys import DEFAULT, Key
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import ABSENT, Delete
from bluestar_store.store import Store
from tests.store_suite.pipelines import PK, numbers_of, steps
from tests.store_suite.side_door import RawGet, RawPut, table, wire
from tests.store_suite.writes import at_once


class ReplacementTests:
    """`replace` and `remove`."""

    isolated_transactions = True
    """See WriteTests."""

    def test_replace_returns_the_steps_as_stored_in_order(self, store: Store) -> None:
        made = store.pipelines.replace("ACME", "Weekly", steps(300, 100, 200))
        assert [(step.step_order, step.version) for step in made] == [(100, 1), (200, 1), (300, 1)]
        assert store.pipelines.steps("ACME", "Weekly") == made

    @pytest.mark.every_engine
    def test_replace_adds_changes_and_takes_away_in_one_go(self, store: Store) -> None:
        first, _, third = store.pipelines.replace("ACME", "Weekly", steps(100, 200, 300))
        moved = third.model_copy(update={"step_order": 350})
        made = store.pipelines.replace("ACME", "Weekly", [first, moved, *steps(400)])
        assert [(step.step_order, step.version) for step in made] == [(100, 2), (350, 1), (400, 1)]
        assert store.pipelines.steps("ACME", "Weekly") == made

    def test_fresh_steps_replace_whatever_is_there(self, store: Store) -> None:
        store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        store.pipelines.replace("ACME", "Weekly", steps(200, agent="NEW"))
        assert [step.agent for step in store.pipelines.steps("ACME", "Weekly")] == ["NEW"]

    def test_a_step_that_was_changed_since_it_was_read_stops_the_replacement(self, store: Store) -> None:
        read = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        store.pipelines.put(read[1].model_copy(update={"agent": "MEANWHILE"}))
        with pytest.raises(VersionConflictError, match="STEP#0200"):
            store.pipelines.replace("ACME", "Weekly", [*read, *steps(300)])
        assert [step.agent for step in store.pipelines.steps("ACME", "Weekly")] == ["IDP", "MEANWHILE"]

    def test_a_step_that_was_taken_away_since_it_was_read_stops_the_replacement(self, store: Store) -> None:
        read = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        store.pipelines.replace("ACME", "Weekly", read[:1])
        with pytest.raises(VersionConflictError) as caught:
            store.pipelines.replace("ACME", "Weekly", read[1:])
        assert caught.value.found is None
        assert numbers_of(store) == [100]

    def test_steps_of_another_pipeline_can_be_taken_over(self, store: Store) -> None:
        default = store.pipelines.replace(DEFAULT, "Weekly", steps(100, 200, plan_id=DEFAULT))
        own = [step.model_copy(update={"plan_id": "ACME"}) for step in default[:1]]
        made = store.pipelines.replace("ACME", "Weekly", own)
        assert [(step.step_order, step.version) for step in made] == [(100, 1)]
        assert store.pipelines.steps("ZED", "Weekly") == default

    def test_what_is_no_pipeline_is_refused_and_nothing_written(self, store: Store) -> None:
        made = store.pipelines.replace("ACME", "Weekly", steps(100))
        huge = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=200, description="x" * 410_000)
        wrong = steps(300)[0].model_copy(update={"timeout_seconds": -1})
        for refused in ([], steps(100, 100), steps(100, plan_id="ZED"), steps(100, pay_freq="Monthly"), [wrong]):
            with pytest.raises(InvalidEntityError):
                store.pipelines.replace("ACME", "Weekly", refused)
        with pytest.raises(ItemTooLargeError):
            store.pipelines.replace("ACME", "Weekly", [*steps(100, agent="NEW"), huge])
        assert store.pipelines.steps("ACME", "Weekly") == made

    @pytest.mark.every_engine
    def test_98_steps_before_and_after_are_the_limit(self, store: Store) -> None:
        store.pipelines.replace("ACME", "Weekly", steps(*range(1, 99)))
        store.pipelines.replace("ACME", "Weekly", steps(*range(51, 99)))
        store.pipelines.replace("ACME", "Weekly", steps(*range(1, 51)))
        assert numbers_of(store) == list(range(1, 51))
        with pytest.raises(InvalidEntityError, match="98"):
            store.pipelines.replace("ACME", "Weekly", steps(*range(51, 101)))
        with pytest.raises(InvalidEntityError, match="98"):
            store.pipelines.replace("NEW", "Weekly", steps(*range(1, 101), plan_id="NEW"))
        assert numbers_of(store) == list(range(1, 51))

    @pytest.mark.every_engine
    def test_steps_of_others_are_replaced_in_place_and_keep_what_others_put_on_them(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        name = table(store, PIPELINE_STEP)
        for sk in ("STEP#100", "STEP#0200", "STEP#300"):
            raw_put(name, wire(PK, sk, agent="THEIRS", owner={"M": {"team": {"S": "ops"}}}))
        made = store.pipelines.replace("ACME", "Weekly", steps(100, 200, 400))
        assert [(step.step_order, step.version) for step in made] == [(100, 1), (200, 1), (400, 1)]
        assert store.pipelines.steps("ACME", "Weekly") == made
        assert [dict(step.extra) for step in made] == [{"owner": {"team": "ops"}}, {"owner": {"team": "ops"}}, {}]
        for sk, there in {"STEP#100": True, "STEP#0100": False, "STEP#300": False, "STEP#0400": True}.items():
            assert (raw_get(name, Key(PK, sk)) is not None) is there

    def test_read_steps_of_others_are_checked(self, store: Store, raw_put: RawPut) -> None:
        name = table(store, PIPELINE_STEP)
        raw_put(name, wire(PK, "STEP#100"))
        read = store.pipelines.steps("ACME", "Weekly")
        assert store.pipelines.replace("ACME", "Weekly", read)[0].version == 1
        with pytest.raises(VersionConflictError):
            store.pipelines.replace("ACME", "Weekly", read)

    def test_remove_lets_the_plan_fall_back(self, store: Store, raw_put: RawPut) -> None:
        store.pipelines.replace(DEFAULT, "Weekly", steps(1, plan_id=DEFAULT))
        store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        for sk in ("STEP#100", "STEP#200"):
            raw_put(table(store, PIPELINE_STEP), wire("CLIENT#ZED_Weekly", sk))
        for plan_id in ("ACME", "ZED", "NONE"):
            store.pipelines.remove(plan_id, "Weekly")
            assert store.pipelines.steps(plan_id, "Weekly", fallback=False) == ()
            assert numbers_of(store, plan_id) == [1]

    def test_a_pipeline_whose_steps_another_program_deleted_is_lost_until_it_is_removed(self, store: Store) -> None:
        made = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        keys = [step.origin.key for step in made if step.origin is not None]
        for key in keys:
            assert not store.pipelines.is_lost("ACME", "Weekly")
            store.engine.write(Delete(table(store, PIPELINE_STEP), key))
        assert store.pipelines.is_lost("ACME", "Weekly")
        store.pipelines.remove("ACME", "Weekly", expected=ABSENT)
        assert not store.pipelines.is_lost("ACME", "Weekly")
        assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()

    def test_removing_what_is_expected_to_be_absent_takes_no_steps_away(self, store: Store) -> None:
        made = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        with pytest.raises(AlreadyExistsError):
            store.pipelines.remove("ACME", "Weekly", expected=ABSENT)
        assert store.pipelines.steps("ACME", "Weekly") == made

    @pytest.mark.every_engine
    def test_replacements_at_once_never_mix(self, store: Store, raw_put: RawPut) -> None:
        if not self.isolated_transactions:
            pytest.skip("this target does not isolate transactions")
        raw_put(table(store, PIPELINE_STEP), wire(PK, "STEP#500", agent="THEIRS"))
        # Disjoint numbers: nothing but the library keeps the two apart.
        sets = {"A": range(100, 112), "B": range(200, 226), "C": range(300, 303)}
        for _ in range(3):
            answers = at_once(
                [
                    partial(store.pipelines.replace, "ACME", "Weekly", steps(*numbers, agent=agent))
                    for agent, numbers in sets.items()
                ]
            )
            assert not [answer for answer in answers if isinstance(answer, ConflictError)]
            read = store.pipelines.steps("ACME", "Weekly")
            (agent,) = {str(step.agent) for step in read}
            assert [step.step_order for step in read] == list(sets[agent])
            assert read in answers

    @pytest.mark.every_engine
    def test_of_two_who_replace_what_they_read_one_wins(self, store: Store) -> None:
        if not self.isolated_transactions:
            pytest.skip("this target does not isolate transactions")
        read = store.pipelines.replace("ACME", "Weekly", steps(100, 200))
        answers = at_once(
            [partial(store.pipelines.replace, "ACME", "Weekly", [*read, *steps(300 + n)]) for n in range(4)]
        )
        winners = [answer for answer in answers if isinstance(answer, tuple)]
        assert len(winners) == 1
        assert store.pipelines.steps("ACME", "Weekly") == winners[0]
