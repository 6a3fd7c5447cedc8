"""The file engine between processes: contended writers lose nothing, and neither does kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from bluestar_store.engines.file import engine as file
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.protocols import Put, TableSpec
from tests.child_processes import output, python_module
from tests.engines.writer_process import COUNTER, TABLES

PROCESSES = 4


process = partial(python_module, "tests.engines.writer_process")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    engine = FileEngine(tmp_path / "store")
    engine.create_tables([TableSpec(name) for name in TABLES])
    return engine.folder


@pytest.mark.slow
def test_processes_that_count_up_one_version_lose_no_update(
    folder: Path, soak: bool, record_property: Callable[[str, object], None]
) -> None:
    rounds = 2500 if soak else 150
    engine = FileEngine(folder)
    engine.write(Put(TABLES[0], {"PK": {"S": COUNTER.pk}, "SK": {"S": COUNTER.sk}, "version": {"N": "1"}}))
    started = time.monotonic()
    with ExitStack() as stack:
        workers = [
            stack.enter_context(process("count_up", folder, f"by{number}", rounds)) for number in range(PROCESSES)
        ]
        assert [worker.wait(timeout=600) for worker in workers] == [0] * PROCESSES
    seconds = time.monotonic() - started
    found = engine.get(TABLES[0], [COUNTER])[COUNTER]
    assert found["version"] == {"N": str(1 + PROCESSES * rounds)}
    assert [found[f"by{number}"] for number in range(PROCESSES)] == [{"N": str(rounds)}] * PROCESSES
    record_property("seconds", round(seconds, 1))
    print(f"{PROCESSES * rounds} contended writes by {PROCESSES} processes: {seconds:.1f} s")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_kill_9_loses_no_acknowledged_write_and_leaves_no_half_transaction(folder: Path, soak: bool, seed: int) -> None:
    rounds = 20 if soak else 1  # in a new folder for each seed: small tables are folded often
    chance = random.Random(seed)
    watching = FileEngine(folder)  # open all the time, as another process's Store would be
    acknowledged = {"W0": 0, "W1": 0}
    for round_number in range(rounds):
        checkpoint_bytes = chance.choice([1, 2_000, 20_000])
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(process("write_for_ever", folder, name, checkpoint_bytes))
                for name in acknowledged
            }
            lines = {name: output(writer) for name, writer in writers.items()}
            for written in lines.values():
                assert written.readline() == b"ready\n"
            for _ in range(chance.randrange(1, 25)):
                for name, written in lines.items():
                    acknowledged[name] = int(written.readline())
            # A moment within the next writes, checkpoints among them: the point is to hit any place.
            time.sleep(chance.random() * 0.01)
            for writer in writers.values():
                os.kill(writer.pid, signal.SIGKILL)
            for name, written in lines.items():
                for line in written.read().splitlines(keepends=True):
                    if line.endswith(b"\n"):
                        acknowledged[name] = int(line)
        for engine in (watching, FileEngine(folder)):
            for name, number in acknowledged.items():
                check(engine, name, number, round_number)
    watching.close()
    for table in TABLES:
        json.loads((folder / f"{table}.json").read_bytes())


def check(engine: FileEngine, name: str, acknowledged: int, round_number: int) -> None:
    """The same whole number of transactions in all tables, and not less than were acknowledged, nor two more."""
    heads, rows = set(), set()
    for table in TABLES:
        page = engine.query(table, name, limit=1_000_000)
        head, *found = page.items
        heads.add(int(head["version"]["N"]))
        numbers = tuple(int(item["SK"]["S"].removeprefix("ROW#")) for item in found)
        assert all(item["text"]["S"] == f"é{number}" * 40 for item, number in zip(found, numbers, strict=True))
        rows.add(numbers)
    assert len(heads) == len(rows) == 1, f"round {round_number}: a half transaction"
    [head_number], [row_numbers] = heads, rows
    assert row_numbers == tuple(range(1, head_number + 1)), f"round {round_number}: a row is missing"
    assert acknowledged <= head_number <= acknowledged + 1, f"round {round_number}: {acknowledged} were acknowledged"


def test_readers_see_everything_while_other_processes_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 1)
    reader = FileEngine(folder)
    with process("write_for_ever", folder, "W", 1) as writer:
        written = output(writer)
        assert written.readline() == b"ready\n"
        for _ in range(60):
            number = int(written.readline())
            # Acknowledged before we ask, so it is there, whatever is folded at this moment.
            found = reader.query(TABLES[2], "W", "ROW#", newest_first=True, limit=1).items
            assert int(found[0]["SK"]["S"].removeprefix("ROW#")) >= number
