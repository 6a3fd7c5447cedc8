"""Agents that race for the same batch: nothing is lost, nothing is done twice, one owns a step.

How much is done at once by default, and with --soak, stands with each test.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import ClaimTakenError, Settings, StepClaim, Store
from tests.workflow.agents import advance, opened, running, settings_of

ROOT = Path(__file__).parents[2]
TARGETS = ("memory", "file", "dynamo")
FAST = ("memory", "file", pytest.param("dynamo", marks=pytest.mark.slow))


@pytest.fixture(params=TARGETS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return settings_of(request.param, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with opened(settings) as store:
        yield store


def counted_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many items each write that went through had."""
    write, counts = store.engine.write, list[int]()

    def counting(*writes: Any) -> None:
        write(*writes)
        counts.append(len(writes))

    monkeypatch.setattr(store.engine, "write", counting)
    return counts


@pytest.mark.parametrize("settings", FAST, indirect=True)
def test_threads_that_advance_one_batch_lose_no_update(
    store: Store, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    """48 advances by 16 threads, with --soak 10,000."""
    threads, times = 16, 625 if soak else 3
    before = running(store)
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as executor:
        tries = sum(executor.map(lambda _: advance(store, times), range(threads)))
    after = store.batches.get("b")
    record_property("seconds", round(time.monotonic() - began, 1))
    record_property("tries", tries)
    assert (after.current_step, after.version) == (threads * times, (before.version or 0) + threads * times)


@pytest.mark.slow
@pytest.mark.parametrize("settings", TARGETS[1:], indirect=True)
def test_processes_that_advance_one_batch_lose_no_update(settings: Settings, store: Store, soak: bool) -> None:
    """20 advances by 4 processes, with --soak 10,000."""
    processes, times = 4, 2500 if soak else 5
    before = running(store)
    _together(settings, ["advance"] * processes, times)
    after = store.batches.get("b")
    assert (after.current_step, after.version) == (processes * times, (before.version or 0) + processes * times)


@pytest.mark.slow
@pytest.mark.parametrize("settings", TARGETS[1:], indirect=True)
def test_processes_that_append_to_one_trail_neither_fork_nor_lose_it(
    settings: Settings, store: Store, soak: bool
) -> None:
    """32 entries by 4 processes, with --soak 10,000 by 8."""
    processes, times = (8, 1250) if soak else (4, 8)
    jobs = [f"writer {number}" for number in range(processes)]
    _together(settings, jobs, times)
    assert store.audit.verify("b") == ()
    appended = [entry.action for entry in store.audit.entries("b")]
    assert sorted(map(str, appended)) == sorted(f"{job} {n}" for job in jobs for n in range(times))
    for job in jobs:  # each in its own order
        assert [action for action in appended if str(action).startswith(job)] == [f"{job} {n}" for n in range(times)]


def _together(settings: Settings, jobs: list[str], times: int) -> None:
    values = json.dumps(settings.model_dump(mode="json", exclude_unset=True)).encode()
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.workflow.agent_process", job, str(times)], cwd=ROOT, stdin=subprocess.PIPE
        )
        for job in jobs
    ]
    try:
        for process in started:
            assert process.stdin is not None
            process.stdin.write(values)
            process.stdin.close()
        assert [process.wait(3600) for process in started] == [0] * len(jobs)
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_threads_that_append_to_one_trail_neither_fork_nor_lose_it(
    store: Store, soak: bool, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """64 entries by 8 threads, with --soak 10,000."""
    writers, times = 8, 1250 if soak else 8
    counts = counted_writes(store, monkeypatch)
    began = time.monotonic()

    def append(writer: int) -> None:
        for number in range(times):
            store.audit.append("b", action=f"{writer} {number}")

    with ThreadPoolExecutor(writers) as executor:
        list(executor.map(append, range(writers)))
    record_property("seconds", round(time.monotonic() - began, 1))
    record_property("transactions", len(counts))
    assert store.audit.verify("b") == ()
    found = [entry.action for entry in store.audit.entries("b")]
    assert sorted(map(str, found)) == sorted(f"{writer} {n}" for writer in range(writers) for n in range(times))
    assert sum(counts) == writers * times + len(counts)  # an entry each, and the head once a transaction
    assert len(counts) <= writers * times


def test_of_those_who_claim_a_step_at_once_one_owns_it(store: Store, soak: bool) -> None:
    """15 steps claimed by 4 threads each, with --soak 1,000."""
    rounds, workers = 1000 if soak else 15, 4
    gate = threading.Barrier(workers)

    def claim(worker: int) -> list[StepClaim | None]:
        made: list[StepClaim | None] = []
        for step in range(rounds):
            gate.wait(60)
            try:
                made.append(store.claims.claim("b", step, f"worker {worker}", 600))
            except ClaimTakenError:
                made.append(None)
        return made

    with ThreadPoolExecutor(workers) as executor:
        outcomes = list(executor.map(claim, range(workers)))
    for step in range(rounds):
        owners = [claims[step] for claims in outcomes if claims[step] is not None]
        assert owners == [store.claims.get("b", step)]
