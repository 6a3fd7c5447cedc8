"""A simulated day: agents in processes of their own work on the same batches, are killed and started again, while
DynamoDB throttles, fails, is slow, and cuts connections and replies.

Batches come in as long as it lasts. A minute's share of it runs always; `--minutes 30` is the whole day.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import DEFAULT, BatchStatus, IrsLimits, PipelineStep, Settings, Store
from tests.servers import FaultProxy, wait_until
from tests.soak.day_agent import Day
from tests.workflow.agents import settings_of

ROOT = Path(__file__).parents[2]
AGENTS = 5
FREQ, YEAR = "Weekly", 2026
KILL_EVERY_SECONDS = 2.0
FAULTS: tuple[dict[str, Any], ...] = (
    {"probability": 0.01, "error": {"code": "ProvisionedThroughputExceededException"}},
    {"probability": 0.01, "error": {"code": "InternalServerError"}},
    {"operation": "TransactWriteItems", "probability": 0.02, "response": {"abort_bytes": 0}},
    {"probability": 0.01, "reset": True},
    {"probability": 0.03, "latency": 300},
)


@pytest.fixture(params=["file", "dynamo"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Crew:
    """The agents: killed at random, and started again until all is done."""

    def __init__(self, given: bytes, seed: int) -> None:
        self.given, self.random, self.kills = given, random.Random(seed), 0
        self.agents = {f"agent {number}": self.start(f"agent {number}") for number in range(AGENTS)}

    def start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.soak.day_agent", name, str(self.random.randrange(10**9))]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(self.given)
        process.stdin.close()
        return process

    def kill_one(self) -> None:
        name = self.random.choice(list(self.agents))
        if self.agents[name].poll() is None:
            self.agents[name].kill()
            self.agents[name].wait()
            self.kills += 1
            self.agents[name] = self.start(name)

    @property
    def are_done(self) -> bool:
        codes = [process.poll() for process in self.agents.values()]
        assert all(code in (None, 0) for code in codes), f"an agent failed: {codes}"
        return all(code == 0 for code in codes)


@contextmanager
def crew(given: bytes, seed: int) -> Iterator[Crew]:
    made = Crew(given, seed)
    try:
        yield made
    finally:
        for process in made.agents.values():
            process.kill()
            process.wait()


@pytest.mark.slow
def test_at_the_end_of_a_day_nothing_is_lost_or_done_twice(
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault_proxy: Callable[[str], FaultProxy],
    record_property: Callable[[str, object], None],
) -> None:
    minutes = float(request.config.getoption("--minutes"))
    count = max(4, int(200 * minutes / 30))
    day = Day([f"b{number:03d}" for number in range(count)], steps=4, plans=max(2, count // 4), hold_chance=0.1)
    seed = random.randrange(10**9)
    record_property("seed", seed)
    direct = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    faulty = direct
    if target == "dynamo":
        proxy = fault_proxy(str(direct.dynamodb_endpoint_url))
        for rule in FAULTS:
            proxy.add_rule(rule)
        faulty = direct.model_copy(update={"dynamodb_endpoint_url": proxy.url})
    with Store.open(direct) as store:
        store.create_tables()
        store.irs_limits.put(IrsLimits(year=YEAR))
        steps = [PipelineStep(plan_id=DEFAULT, pay_freq=FREQ, step_order=n) for n in range(1, day.steps + 1)]
        store.pipelines.replace(DEFAULT, FREQ, steps)
        began, last_kill = time.monotonic(), time.monotonic()
        coming = deque(day.batches)
        with crew(_given(faulty, day), seed) as agents:

            def all_done() -> bool:
                nonlocal last_kill
                while coming and time.monotonic() - began >= 60 * minutes * (1 - len(coming) / count):
                    batch_id = coming.popleft()
                    store.batches.start(day.plan_of(batch_id), FREQ, YEAR, batch_id)
                if time.monotonic() - last_kill > KILL_EVERY_SECONDS and time.monotonic() - began < 60 * minutes:
                    agents.kill_one()
                    last_kill = time.monotonic()
                return agents.are_done

            wait_until(all_done, "all batches are over", 60 * minutes + 600)
            record_property("kills", agents.kills)
        record_property("seconds", round(time.monotonic() - began, 1))
        if target == "dynamo":
            record_property("faults", len(proxy.fired()))
        for batch_id in day.batches:
            _check(store, day, batch_id)
        assert store.holds.all_open() == ()


def _given(settings: Settings, day: Day) -> bytes:
    values = settings.model_dump(mode="json", exclude_unset=True)
    return json.dumps({"settings": values, "day": asdict(day)}).encode()


def _check(store: Store, day: Day, batch_id: str) -> None:
    """The batch's own history explains how it is."""
    history = store.batches.history(batch_id)
    assert store.batches.verify_rules(history.state).unchanged
    steps = list(range(1, day.steps + 1))
    assert history.state.status is BatchStatus.COMPLETED
    assert [result.step for result in history.results] == steps
    assert [dict(result.result or {})["step"] for result in history.results] == steps
    assert store.audit.verify(batch_id) == ()
    told = [dict(entry.details or {}) for entry in history.audit if entry.action == "advance"]
    assert [one["version"] for one in told] == list(range(2, (history.state.version or 0) + 1))
    assert [one["done"] for one in told if "done" in one] == steps
    placed = {one["hold"] for one in told if "hold" in one}
    # Two agents may release one hold: it is released once, and both are told so.
    released = {dict(entry.details or {})["hold"] for entry in history.audit if entry.action == "release"}
    assert released == placed
    holds = [hold for hold in store.holds.for_plan(day.plan_of(batch_id)) if hold.batch_id == batch_id]
    assert {hold.hold_id for hold in holds} == placed
    assert not any(hold.is_open for hold in holds)
