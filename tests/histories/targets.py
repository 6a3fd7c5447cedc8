"""Where histories are made: stores that several agents share, with what goes wrong before each."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bluestar_store import Settings, Store
from bluestar_store.protocols import Engine
from tests.adversarial_engine import AdversarialEngine
from tests.child_processes import ROOT
from tests.histories.record import Operation, read_notes
from tests.servers import FaultProxy

FAULTS: Sequence[Mapping[str, Any]] = (
    {"probability": 0.02, "error": {"code": "ProvisionedThroughputExceededException"}},
    {"probability": 0.02, "error": {"code": "InternalServerError"}},
    {"operation": "TransactWriteItems", "probability": 0.05, "response": {"abort_bytes": 0}},
    {"operation": "PutItem", "probability": 0.05, "response": {"abort_bytes": 0}},
    {"operation": "UpdateItem", "probability": 0.05, "response": {"abort_bytes": 0}},
    {"operation": "DeleteItem", "probability": 0.05, "response": {"abort_bytes": 0}},
    {"probability": 0.02, "reset": True},
    {"probability": 0.03, "latency": 60},
)
"""What DynamoDB does now and then: it refuses, fails, is slow, and writes without its reply's arriving."""


@contextmanager
def adversarial(settings: Mapping[str, Any], **options: Any) -> Iterator[Store]:
    """A Store with its tables, on an engine that answers as badly as AWS may."""
    with on_engine(AdversarialEngine(**options), settings) as store:
        yield store


@contextmanager
def on_engine(engine: Engine, settings: Mapping[str, Any]) -> Iterator[Store]:
    """A Store with its tables over an engine of the test's own."""
    with Store(Settings(persistence_mode="memory", **settings), engine) as store:
        store.create_tables()
        yield store


def settings_of(target: str, folder: Path, url: Callable[[], str]) -> dict[str, Any]:
    """Fields of Settings for one target; `url` is asked only where DynamoDB Local is needed."""
    values: dict[str, Any] = {"persistence_mode": target, "table_suffix": f"-{uuid.uuid4().hex[:12]}"}
    if target == "file":
        values["file_persistence_dir"] = str(folder / "store")
    if target == "dynamo":
        values |= {"dynamodb_endpoint_url": url(), "aws_region": "us-east-1", "conflict_attempts": 60}
    return values


def behind(proxy: FaultProxy, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, through a proxy that fails now and then."""
    for rule in FAULTS:
        proxy.add_rule(rule)
    return {**settings, "dynamodb_endpoint_url": proxy.url, "read_timeout_seconds": 5}


class Crew:
    """Processes of tests.histories.agents, which may be killed; another one takes a killed one's place."""

    def __init__(self, work: str, settings: Mapping[str, Any], folder: Path, *, seed: int, turns: int) -> None:
        self._work, self._settings, self._folder, self._turns = work, settings, folder, turns
        self._chance = random.Random(seed)
        self._running: list[subprocess.Popen[bytes]] = []
        self._notes: list[Path] = []
        self.kills = 0

    def start(self, threads: int = 2) -> None:
        """One more process."""
        number = len(self._notes)
        self._notes.append(self._folder / f"notes-{number}")
        given = {
            "settings": self._settings,
            "names": [f"agent {number}/{thread}" for thread in range(threads)],
            "seed": self._chance.randrange(10**9),
            "turns": self._turns,
            "notes": str(self._notes[-1]),
        }
        command = [sys.executable, "-m", "tests.histories.agents", self._work]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode())
        process.stdin.close()
        self._running.append(process)

    def work(self, *, kills: int) -> list[Operation]:
        """Kill so many while they work, each in the first half of it; all that was noted when the others are done."""
        for number in self._chance.sample(range(len(self._running)), kills):
            victim, notes = self._running[number], self._notes[number]
            enough = self._chance.randrange(1, self._turns)  # lines; each turn of each thread notes two
            while victim.poll() is None and (not notes.exists() or notes.read_bytes().count(b"\n") < enough):
                time.sleep(0.001)
            if victim.poll() is None:
                victim.kill()
                self.kills += 1
        assert {process.wait(600) for process in self._running} <= {0, -9}
        return read_notes(self._notes)

    def close(self) -> None:
        """Whatever they do, they are gone afterwards."""
        for process in self._running:
            process.kill()
            process.wait()
