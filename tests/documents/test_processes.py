"""Mode file under several processes, and when they are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from bluestar_store.documents import DocumentStore, FileStore
from tests.child_processes import output, python_module
from tests.documents.writer_process import KEY, TABLE

PROCESSES = 4


process = partial(python_module, "tests.documents.writer_process")


@pytest.mark.slow
def test_processes_that_write_one_table_lose_and_double_nothing(file_mode: Path, soak: bool) -> None:
    rounds = 300 if soak else 40
    store = FileStore(TABLE, KEY)
    store.create({KEY: "shared"})
    names = [f"by{number}" for number in range(PROCESSES)]
    with ExitStack() as stack:
        workers = [stack.enter_context(process("share", name, rounds)) for name in names]
        won = [int(output(worker).read()) for worker in workers]
        assert [worker.wait(timeout=300) for worker in workers] == [0] * PROCESSES
    found = {one[KEY]: one for one in store.list()}
    expected = {f"{name}-{number:04d}" for name in [*names, "contended"] for number in range(rounds)}
    assert found.keys() == {*expected, "shared"}
    assert sum(won) == rounds
    assert {found["shared"][name] for name in names} == {rounds - 1}
    by = [found[f"contended-{number:04d}"]["by"] for number in range(rounds)]
    assert [by.count(name) for name in names] == won


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_kill_9_loses_no_acknowledged_write_and_leaves_a_whole_file(file_mode: Path, soak: bool, seed: int) -> None:
    chance = random.Random(seed)
    watching = FileStore(TABLE, KEY)  # open all the time, as another process's store would be
    created = {"W0": 0, "W1": 0}
    changed = dict(created)
    for _ in range(20 if soak else 1):
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(process("write_for_ever", name, last_created(watching, name)))
                for name in created
            }
            lines = {name: output(writer) for name, writer in writers.items()}
            for written in lines.values():
                assert written.readline() == b"ready\n"
            told: dict[str, list[bytes]] = {name: [] for name in created}
            for _ in range(chance.randrange(1, 25)):
                for name, written in lines.items():
                    told[name].append(written.readline())
            # A moment within the next writes: the point is to hit any place.
            time.sleep(chance.random() * 0.01)
            for writer in writers.values():
                os.kill(writer.pid, signal.SIGKILL)
            for name, written in lines.items():
                told[name] += [line for line in written.read().splitlines(keepends=True) if line.endswith(b"\n")]
        for name, acknowledged in told.items():
            for line in acknowledged:
                what, number = line.split()
                (created if what == b"created" else changed)[name] = int(number)
        json.loads((file_mode / f"{TABLE}.json").read_bytes())
        for store in (watching, FileStore(TABLE, KEY)):
            for name in created:
                check(store, name, created[name], changed[name])
    watching.create({KEY: "after"})
    assert not list(file_mode.glob(".*.tmp"))


def last_created(store: DocumentStore, name: str) -> int:
    return len([one for one in store.list() if one[KEY].startswith(f"{name}-0")])


def check(store: DocumentStore, name: str, created: int, changed: int) -> None:
    """All that was acknowledged, and at most one write more, whole."""
    count = last_created(store, name)
    assert created <= count <= created + 1
    for number in range(1, count + 1):
        found = store.get(f"{name}-{number:06d}")
        assert found is not None
        assert found["text"] == f"é{number}" * 40
    head = store.get(f"{name}-head")
    assert head is not None
    assert changed <= head["number"] <= changed + 1
