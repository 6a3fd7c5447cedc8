"""Batches, holds and trails, whatever fails meanwhile: no move is lost, none passes a hold, each entry is there once.

By default some hundred operations on each target, with --soak ten times as many.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store import Settings, Store
from tests.histories import batches
from tests.histories.agents import work_in_threads
from tests.histories.batches import BATCHES, not_once, past_a_hold, plan_of, trail_of
from tests.histories.linear import misfits, told, versioned_item
from tests.histories.record import Noted, Operation, Outcome, by_subject, counts
from tests.histories.targets import Crew, behind, settings_of
from tests.servers import FaultProxy

OK, REFUSED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.UNKNOWN


def check(store: Store, history: list[Operation]) -> None:
    """See above; and that something happened."""
    found = counts(history)
    print(found)
    assert {"create ok", "append ok"} <= found.keys()
    subjects = by_subject(history)
    for batch_id in BATCHES:
        wrong = misfits(subjects.get(batch_id, []), versioned_item)
        assert not wrong, f"{batch_id}: {told(wrong, subjects[batch_id])}"
    assert past_a_hold(history) == []
    for plan in {plan_of(batch_id) for batch_id in BATCHES}:
        trail = trail_of(plan)
        assert store.audit.verify(trail) == ()
        actions = [entry.action for entry in store.audit.entries(trail)]
        assert not_once(subjects.get(trail, []), actions) == []


@pytest.mark.parametrize("target", ["memory", "file", "dynamo"])
def test_no_move_is_lost_none_passes_a_hold_and_each_entry_is_there_once(
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault_proxy: Callable[[str], FaultProxy],
    seed: int,
    times: int,
) -> None:
    noted, names = Noted(), [f"thread {number}" for number in range(4)]
    values = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    with Store.open(Settings(**values)) as store:
        store.create_tables()
        turns = (20 if target == "dynamo" else 100) * times
        if target == "dynamo":
            values = behind(fault_proxy(values["dynamodb_endpoint_url"]), values)
            with Store.open(Settings(**values)) as faulty:
                work_in_threads(faulty, names, noted, batches.work, seed=seed, turns=turns)
        else:
            work_in_threads(store, names, noted, batches.work, seed=seed, turns=turns)
            assert {"put ok", "place ok"} <= counts(noted).keys()  # of few turns behind faults not all need to succeed
        check(store, noted)


@pytest.mark.slow
def test_the_same_by_processes_that_are_killed(tmp_path: Path, seed: int, times: int) -> None:
    values = settings_of("file", tmp_path, str)
    with Store.open(Settings(**values)) as store:
        store.create_tables()
        crew = Crew("batches", values, tmp_path, seed=seed, turns=60 * times)
        try:
            for _ in range(3):
                crew.start()
            check(store, crew.work(kills=2))
            assert crew.kills == 2
        finally:
            crew.close()


# ------------------------------------------------------------------------------------------------------ the checkers


def did(
    action: str, argument: object, span: tuple[float, float], outcome: Outcome = OK, subject: str = "P"
) -> Operation:
    return Operation("p", action, subject, argument, *span, outcome)


def test_a_run_while_a_hold_was_open_for_sure_is_found() -> None:
    run = did("put", {"content": "RUNNING", "plan": "P"}, (3, 4), subject="b0")
    assert len(past_a_hold([did("place", "h", (1, 2)), run])) == 1
    assert len(past_a_hold([did("place", "h", (1, 2)), run, did("release", "h", (5, 6))])) == 1
    for harmless in (
        [did("place", "h", (1, 3.5)), run],  # at the same time
        [did("place", "h", (1, 2)), did("release", "h", (2.5, 3)), run],
        [did("place", "h", (1, 2)), did("release", "h", (2.5, 9), UNKNOWN), run],
        [did("place", "h", (1, 2), UNKNOWN), run],
        [did("place", "h", (1, 2), subject="Q"), run],
    ):
        assert past_a_hold(harmless) == []


def test_an_entry_that_is_lost_doubled_or_out_of_order_is_found() -> None:
    a, b = did("append", "a", (0, 1)), did("append", "b", (2, 3))
    assert not_once([a, b], ["a", "b"]) == []
    for actions in (["a"], ["a", "b", "b"], ["b", "a"]):
        assert not_once([a, b], actions) != []
    assert not_once([did("append", "a", (0, 1), REFUSED)], ["a"]) != []
    for actions in ([], ["a"]):
        assert not_once([did("append", "a", (0, 1), UNKNOWN)], actions) == []
