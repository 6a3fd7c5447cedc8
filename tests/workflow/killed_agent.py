"""Agents that are killed while they commit: python -m tests.workflow.killed_agent SETTINGS KILLS.

Each is a fork of its own, and kills itself with SIGKILL at another line of the code that makes a commit durable. Prints
a line for each, `NUMBER PLACE`: where it died, or `done`. KILLS bounds their number; 0: one for every line.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from functools import partial
from http import client
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from botocore import awsrequest, endpoint, httpsession

from bluestar_store import BatchState, BatchStatus, CalculationRule, Settings, StepClaim, Store, whole_files
from bluestar_store.engines.dynamo import connection as aws
from bluestar_store.engines.dynamo import engine as dynamo
from bluestar_store.engines.file import engine as file
from bluestar_store.engines.file import journal
from bluestar_store.repositories import session as session
from bluestar_store.repositories import transaction

WORKER = "worker"
TRACED: tuple[ModuleType, ...] = (
    *(session, transaction),
    *(file, journal, whole_files),
    *(aws, dynamo, endpoint, httpsession, awsrequest, client),
)
"""All that stands between a block's end and the disk, or the network."""


def names(number: int) -> tuple[str, str]:
    """Its batch and its plan."""
    return f"b{number}", f"P{number}"


def begin(store: Store, number: int) -> tuple[BatchState, StepClaim]:
    """What was there before."""
    batch_id, plan_id = names(number)
    batch = store.batches.put(BatchState(batch_id=batch_id, plan_id=plan_id, status=BatchStatus.RECEIVED))
    return batch, store.claims.claim(batch, 1, WORKER, 600)


def write(store: Store, batch: BatchState, claim: StepClaim) -> None:
    """Eleven items of all sorts."""
    plan_id = str(batch.plan_id)
    store.results.save(batch, 1, {"rows": 3}, claim)
    store.holds.place(plan_id, "Missing data", hold_id="h", batch_id=batch.batch_id)
    store.batches.advance(batch, status=BatchStatus.ON_HOLD, claim=claim)
    store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match", formula="a"))
    for action in ("saved", "held"):
        store.audit.append(batch.batch_id, action=action)


class Lines:
    """The lines of `TRACED` that were come to, one by one."""

    def __init__(self, come_to: Callable[[int, str], None]) -> None:
        self.count, self._come_to = 0, come_to
        self._files = {str(module.__file__) for module in TRACED}

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            self._come_to(self.count, f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            self.count += 1
        return self.trace


def commit(settings: Settings, number: int, come_to: Callable[[int, str], None]) -> int:
    """Begin, write, and come to every line of the commit; how many there were."""
    lines = Lines(come_to)
    store = Store.open(settings)
    batch, claim = begin(store, number)
    with store.unit_of_work():
        write(store, batch, claim)
        sys.settrace(lines.trace)
    store.close()
    sys.settrace(None)
    return lines.count


def forked(work: Callable[[], object]) -> None:
    """Do it in a process of its own, and wait for its end."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"an agent failed: {status}"


def killed_at(settings: Settings, number: int, line: int) -> None:
    def come_to(at: int, place: str) -> None:
        if at == line:
            say(f"{number} {place}")
            os.kill(os.getpid(), signal.SIGKILL)

    commit(settings, number, come_to)
    say(f"{number} done")


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def main() -> None:
    settings, kills = Settings(**json.loads(sys.argv[1])), int(sys.argv[2])
    reading, writing = os.pipe()

    def count() -> None:
        os.write(writing, str(commit(settings, 0, lambda at, place: None)).encode())
        say("0 done")

    forked(count)
    lines = range(int(os.read(reading, 100)))
    for number, line in enumerate(random.sample(lines, min(kills, len(lines))) if kills else lines, 1):
        forked(partial(killed_at, settings, number, line))


if __name__ == "__main__":
    main()
