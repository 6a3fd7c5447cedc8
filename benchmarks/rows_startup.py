"""The time before the first answer: processes from start to end, each doing one thing."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import typer_hello
from benchmarks.bench import Bench
from benchmarks.measure import lines
from benchmarks.processes import Command, race_of_processes
from benchmarks.report import Line

LOADED = "; import sys; print(sorted({'redis', 'pynamodb', 'pydantic', 'bluestar_store'} & set(sys.modules)))"
"""What a process prints after its imports: redis is not to be loaded before it is used."""
PEERS_IMPORTS = "pydantic, pynamodb.models"
HELLO = "typer hello world --help"


def rows(bench: Bench) -> Iterator[Line]:
    """The imports that every user begins with, then the help that every user asks for."""
    rounds = bench.rounds(20, least=2)
    imports: Sequence[Command] = [
        _python("from bluestar_store import Store", "['bluestar_store']"),
        _python("from bluestar_store import Store, CalculationRule", "['bluestar_store', 'pydantic', 'pynamodb']"),
        _python(f"import {PEERS_IMPORTS}", "['pydantic', 'pynamodb']"),
    ]
    yield from _lines("import, in a process", imports, {imports[-1].name: 1.15}, rounds)
    command = Path(sys.executable).parent / "bluestar-store"
    helps = [
        Command("bluestar-store --help", (str(command), "--help"), "Commands"),
        Command(HELLO, (sys.executable, str(typer_hello.__file__), "--help"), "Say hello."),
    ]
    yield from _lines("--help", helps, {HELLO: 1.5}, rounds)


def _python(statement: str, printed: str) -> Command:
    return Command(statement, (sys.executable, "-c", statement + LOADED), printed)


def _lines(work: str, commands: Sequence[Command], goals: Mapping[str, float], rounds: int) -> list[Line]:
    return lines(work, race_of_processes(commands, rounds), goals, "ms")
