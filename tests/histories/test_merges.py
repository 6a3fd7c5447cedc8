"""An import that merges beside writers: what belongs together is one writer's or the export's, never some of each.

12 rounds of a writer against a merge, with --soak 120.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from bluestar_store import BlueStarError, PipelineStep, Settings, Store
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import BeforeAttempt, Write
from bluestar_store.transfer import export, import_
from tests.histories.agents import FREQ, one_value, whole_pipelines, work_in_threads
from tests.histories.linear import misfits, register, told
from tests.histories.record import Noted, Operation, Outcome, Recorder, by_subject
from tests.histories.targets import on_engine

PLANS = ("P1", "P2", "P3")


class SlowEngine(MemoryEngine):
    """Each write takes a moment, in which others get on."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = random.Random(seed)

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        time.sleep(self._chance.random() * 0.002)
        super().write(*writes, before_attempt=before_attempt)
        time.sleep(self._chance.random() * 0.001)


def pipeline(plan: str, agent: str, numbers: range) -> list[PipelineStep]:
    return [PipelineStep(plan_id=plan, pay_freq=FREQ, step_order=number, agent=agent) for number in numbers]


@pytest.fixture(params=[False, True], ids=["merge", "overwrite"])
def overwrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """An export with a pipeline of each plan."""
    with Store.open(Settings(persistence_mode="memory")) as source:
        source.create_tables()
        for plan in PLANS:
            source.pipelines.replace(plan, FREQ, pipeline(plan, "export", range(1, 9)))
        export(source, tmp_path / "export")
    return tmp_path / "export"


def test_a_merge_beside_writers_leaves_whole_pipelines(exported: Path, overwrite: bool, seed: int, times: int) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        for number in range(12 * times):
            _round(exported, f"{seed} {number}", overwrite=overwrite)
    finally:
        sys.setswitchinterval(interval)


def _round(exported: Path, seed: str, *, overwrite: bool) -> None:
    noted, chance = Noted(), random.Random(seed)
    with on_engine(SlowEngine(chance.randrange(10**9)), {"cache_max_entries": 0}) as store:
        for plan in chance.sample(PLANS, 2):
            steps = pipeline(plan, "before", range(2, 6))
            Recorder("begin", noted).call(
                "write", plan, one_value(steps), partial(store.pipelines.replace, plan, FREQ, steps)
            )
        began = time.monotonic()
        with ThreadPoolExecutor(2) as executor:
            names = [f"writer {number}" for number in range(2)]
            working = executor.submit(
                work_in_threads, store, names, noted, whole_pipelines, seed=chance.randrange(10**9), turns=8
            )
            with suppress(BlueStarError):  # refused is as good as merged
                import_(store, exported, merge=True, overwrite=overwrite)
            working.result()
        (exported.parent / "export.import-state").unlink(missing_ok=True)
        for plan in PLANS:  # the merge took place, once for each plan, or not
            value = one_value(pipeline(plan, "export", range(1, 9)))
            noted.append(Operation("import", "write", plan, value, began, outcome=Outcome.UNKNOWN))
            read = partial(store.pipelines.steps, plan, FREQ, fallback=False, fresh=True)
            Recorder("end", noted).call("read", plan, None, read, one_value)
    for subject, history in by_subject(noted).items():
        changing = [one for one in history if one.process == "end" and one.outcome is not Outcome.OK]
        assert not changing, f"{subject}: it is left half replaced: {changing[0]}"
        wrong = misfits(history, register)
        assert not wrong, f"{subject}: {told(wrong, history)}"
