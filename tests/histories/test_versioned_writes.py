"""Versioned writes and consistent reads of one item are linearizable, whatever fails meanwhile.

By default 11,000 operations by threads, and 240 by the processes of a target; with --soak ten times as many.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store import Settings, Store
from tests.histories.agents import WORKS, work_in_threads
from tests.histories.linear import misfits, told, versioned_item
from tests.histories.record import Noted, Operation, by_subject, counts
from tests.histories.targets import Crew, behind, settings_of
from tests.servers import FaultProxy

WORK = "rules"
TURNS = {"memory": 600, "file": 300, "dynamo": 40}


def check(operations: list[Operation]) -> None:
    """Each rule's history is linearizable, and something happened in it."""
    print(counts(operations))
    assert {"read ok", "create ok", "put ok", "put refused"} <= counts(operations).keys()
    for subject, history in by_subject(operations).items():
        wrong = misfits(history, versioned_item)
        assert not wrong, f"{subject}: {told(wrong, history)}"


@pytest.mark.parametrize(
    ("target", "work"),
    [
        ("memory", "rules that are put alone"),
        ("file", "rules"),
        ("dynamo", "rules that are put alone"),
        pytest.param("memory", "rules", marks=pytest.mark.slow),
        pytest.param("file", "rules that are put alone", marks=pytest.mark.slow),
        pytest.param("dynamo", "rules", marks=pytest.mark.slow),
    ],
)
def test_versioned_writes_by_threads_are_linearizable(
    target: str,
    work: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault_proxy: Callable[[str], FaultProxy],
    seed: int,
    times: int,
) -> None:
    noted, names = Noted(), [f"thread {number}" for number in range(6)]

    values = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    with Store.open(Settings(**values)) as store:
        store.create_tables()
        if target == "dynamo":
            values = behind(fault_proxy(values["dynamodb_endpoint_url"]), values)
        with store if target == "memory" else Store.open(Settings(**values)) as store:
            turns = TURNS[target] * times
            work_in_threads(store, names, noted, WORKS[work], seed=seed, turns=turns)
    check(noted)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["file", "dynamo"])
def test_versioned_writes_by_processes_that_are_killed_are_linearizable(
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault_proxy: Callable[[str], FaultProxy],
    seed: int,
    times: int,
) -> None:
    values = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    with Store.open(Settings(**values)) as store:
        store.create_tables()
        if target == "dynamo":
            values = behind(fault_proxy(values["dynamodb_endpoint_url"]), values)
        crew = Crew(WORK, values, tmp_path, seed=seed, turns=40 * times)
        try:
            for _ in range(3):
                crew.start()
            check(crew.work(kills=2))
            assert crew.kills == 2
        finally:
            crew.close()
