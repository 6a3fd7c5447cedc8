"""Other processes that take part in a measurement: partners that are talked to over a pipe, and whole commands."""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.measure import Timing, WrongAnswerError
from bluestar_store import Settings

ROOT = Path(__file__).parents[1]

SECONDS = 120.0
"""A process that says nothing for so long is given up."""


@contextmanager
def partner(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Run `target(connection, *arguments)` in a process of its own, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


def heard(connection: Connection) -> Any:
    """What the other side says next. TimeoutError when it says nothing, EOFError when it has died."""
    if not connection.poll(SECONDS):
        raise TimeoutError(f"a process of the benchmark said nothing for {SECONDS:g} s")
    return connection.recv()


@dataclass(frozen=True)
class Command:
    """A command line, and a text that its output has when it has done its work."""

    name: str
    arguments: Sequence[str]
    prints: str


def race_of_processes(commands: Sequence[Command], rounds: int) -> dict[str, Timing]:
    """Each command in turn, from start to end, after one that is not counted: it writes the byte code."""
    timings = {command.name: Timing() for command in commands}
    for command in commands:
        ran(command)
    for number in range(rounds):
        start = number % len(commands)
        for command in (*commands[start:], *commands[:start]):
            cpu, wall = _cpu_of_children(), time.perf_counter()
            ran(command)
            timings[command.name].wall.append((time.perf_counter() - wall) * 1e9)
            timings[command.name].cpu.append((_cpu_of_children() - cpu) * 1e9)
    return timings


def ran(command: Command) -> str:
    """What the command prints. WrongAnswerError when it fails, or prints something else."""
    done = subprocess.run(command.arguments, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # commands of ours
    if done.returncode or command.prints not in done.stdout:
        raise WrongAnswerError(f"{command.name} gave {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def told_by_child(work: Callable[..., Any], settings: Settings, *folders: Path) -> dict[str, Any]:
    """What a function of benchmarks/child.py tells, done in a process of its own."""
    given = json.dumps(settings.model_dump(mode="json", exclude_unset=True))
    arguments = (sys.executable, "-m", "benchmarks.child", work.__name__, given, *map(str, folders))
    answer: dict[str, Any] = json.loads(ran(Command(work.__name__, arguments, "{")))
    return answer
