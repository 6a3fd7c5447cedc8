"""Real processes over one table and one Redis: one loads for all, and what one writes the others see."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bluestar_store import Settings, Store
from tests.cache.stores import until

ROOT = Path(__file__).parent.parent.parent
ROUNDS, SOAK_ROUNDS = 60, 2000
SEEN_SECONDS = 1.0
"""What another process writes is mostly seen sooner."""
LATE_SECONDS = 10.0
"""And always within this, however busy the machine: far less than the time that a value lives."""
Options: TypeAlias = dict[str, Any]


class Worker:
    """A child process; `tell` and later `answer`, or both at once with `ask`."""

    def __init__(self, options: Options) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cache.worker_process", json.dumps(options)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def tell(self, order: str, *arguments: Any) -> None:
        """Have it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([order, arguments]) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """What came of the oldest order not yet answered."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            assert self.process.stderr is not None
            raise AssertionError(f"the worker died: {self.process.stderr.read()}")
        return json.loads(line)

    def ask(self, order: str, *arguments: Any) -> Any:
        """Both."""
        self.tell(order, *arguments)
        return self.answer()

    def begins_a_slow_read(self) -> None:
        """Wait until it has one under way."""
        assert self.process.stderr is not None
        assert self.process.stderr.readline() == "get\n"

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def ask_all(workers: list[Worker], order: str, *arguments: Any) -> list[Any]:
    """The answers of all, who begin about together."""
    for worker in workers:
        worker.tell(order, *arguments)
    return [worker.answer() for worker in workers]


@pytest.fixture(params=["file", pytest.param("dynamodb", marks=pytest.mark.slow)])
def options(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Options:
    """The settings of all processes of a test."""
    shared = {"redis_url": redis_url, "redis_timeout_ms": 20_000, "table_suffix": f"-{uuid.uuid4().hex[:12]}"}
    if request.param == "file":
        return shared | {"persistence_mode": "file", "file_persistence_dir": str(tmp_path / "data")}
    url = request.getfixturevalue("dynamodb_local_url")
    return shared | {"persistence_mode": "dynamo", "dynamodb_endpoint_url": url, "aws_region": "us-east-1"}


@contextmanager
def working(options: Options, count: int) -> Iterator[list[Worker]]:
    """So many processes, each with its channel up."""
    with Store.open(Settings(**options)) as store:
        store.create_tables()
    workers = [Worker(options) for _ in range(count)]
    try:
        for worker in workers:
            worker.tell("read", "FIRST")
        for worker in workers:
            worker.answer()
            until(lambda worker=worker: worker.ask("stats")["channel"], "the channel is there")  # type: ignore[misc]
            worker.ask("forget")
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            for pipe in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
                if pipe is not None and not pipe.closed:
                    pipe.close()


def test_four_processes_on_a_cold_key_make_one_engine_read(options: Options) -> None:
    with working(options, 4) as workers:
        writer, *others = workers
        ask_all(workers, "read", "GLOBAL")
        for number in range(20):
            heard = [one["invalidations_in"] for one in ask_all(others, "stats")]
            writer.ask("write", f"P{number}", number)
            until(
                lambda heard=heard: (  # type: ignore[misc]
                    [one["invalidations_in"] for one in ask_all(others, "stats")] == [before + 2 for before in heard]
                ),
                "both messages of the write are heard, before which nothing that is read is kept",
            )
            ask_all(workers, "forget")
            loads = sum(one["loads"] for one in ask_all(workers, "stats"))
            assert ask_all(workers, "read", f"P{number}") == [number] * 4
            assert sum(ask_all(workers, "gets")) == 1
            assert sum(one["loads"] for one in ask_all(workers, "stats")) == loads + 1
        stats = ask_all(workers, "stats")
        assert sum(one["lease_waits"] + one["hits_redis"] for one in stats) > 0
        assert ask_all(workers, "read", "P0") == [0] * 4
        for before, after in zip(stats, ask_all(workers, "stats"), strict=True):
            assert after["hits_local"] == before["hits_local"] + 1


@pytest.mark.parametrize("options", ["file"], indirect=True)  # whatever engine it is that answers slowly
@pytest.mark.parametrize(
    "seconds", [pytest.param(0.001, id="fast-loads", marks=pytest.mark.slow), pytest.param(0.2, id="slow-loads")]
)
def test_when_the_leader_is_killed_while_it_loads_one_other_takes_its_place(options: Options, seconds: float) -> None:
    with working(options, 4) as (leader, *others):
        leader.ask("write", "ACME", 5)
        until(
            lambda: all(one["invalidations_in"] == 2 for one in ask_all(others, "stats")),
            "both messages of the write are heard, before which nothing that is read is kept",
        )
        ask_all(others, "forget")
        ask_all(others, "slow", seconds)
        leader.ask("slow", 60)
        leader.tell("read", "ACME")
        leader.begins_a_slow_read()
        for worker in others:
            worker.tell("read", "ACME")
        leader.kill()
        assert [worker.answer() for worker in others] == [5] * 3
        assert sum(ask_all(others, "gets")) == 1  # the leader's was the first of two


def test_a_write_is_seen_by_the_first_tier_of_another_process(options: Options) -> None:
    with working(options, 2) as (writer, reader):
        writer.ask("write", "ACME", 50)
        late: list[float] = []
        for value in range(40):
            assert reader.ask("watch", "ACME", value - 1 if value else 50, LATE_SECONDS) is not None
            assert reader.ask("read", "ACME") == (value - 1 if value else 50)
            reader.tell("watch", "ACME", value, LATE_SECONDS)
            written = writer.ask("write", "ACME", value)
            seen = reader.answer()
            assert seen is not None
            late.append(max(seen - written, 0.0) * 1000)
        stats = reader.ask("stats")
        print(f"seen after ms: median {statistics.median(late):.2f}, most {max(late):.2f}")
        assert statistics.median(late) < SEEN_SECONDS * 1000
        assert stats["hits_local"] > 0
        assert stats["invalidations_in"] >= 80


@pytest.mark.slow
def test_nothing_is_stale_over_processes(options: Options, soak: bool) -> None:
    """Any of them writes, all others read meanwhile; afterwards each gives what was written last.

    60 rounds, with --soak 2,000.
    """
    stale, rounds = 0, SOAK_ROUNDS if soak else ROUNDS
    with working(options, 4) as workers:
        workers[0].ask("write", "GLOBAL", 0)
        for number in range(rounds):
            plan, value = f"P{number // 4}", number % 4
            writer = random.choice(workers)
            readers = [worker for worker in workers if worker is not writer]
            for worker in readers:
                worker.tell("read_for", plan, 0.004)
            if value == 2:  # falls back to GLOBAL's
                writer.ask("delete", plan)
                wanted = 0
            else:
                writer.ask("write", plan, value + 10)
                wanted = value + 10
            for worker in readers:
                worker.answer()
            stale += writer.ask("read", plan) != wanted
            stale += ask_all(readers, "watch", plan, wanted, LATE_SECONDS).count(None)
        for number in range(rounds // 4):  # in each tier, long after
            stale += sum(found != 13 for found in ask_all(workers, "read", f"P{number}"))
        stats = ask_all(workers, "stats")
        print(stats)
        assert stale == 0
        assert all(one["hits_local"] > 0 for one in stats)
        assert all(one["outages"] == 0 for one in stats)
