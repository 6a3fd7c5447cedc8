"""A seeded folder, and the command on it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from typer.testing import CliRunner

from bluestar_store import Settings, Store
from bluestar_store.cli import app
from bluestar_store.models.registry import KINDS

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"
TABLES = len({mapper.table for mapper in KINDS})
"""Of the library, in layout per_table."""


class Run(Protocol):
    def __call__(self, *arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Any: ...


def invoke(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Any:
    """The command in this process; `exit_code`, `stdout` and `stderr` are as a shell would see them."""
    result = CliRunner().invoke(app, arguments, prog_name="bluestar-store", env=env, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)  # nothing comes up as a traceback
    return result


def on_a_terminal(command: list[str], folder: Path, columns: int = 80) -> tuple[str, str]:
    """The command as a process whose stderr is a terminal: what is on its stdout, and what the terminal got."""
    reader, terminal = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=terminal, check=True)
        return done.stdout.decode(), os.read(reader, 100_000).decode()
    finally:
        os.close(reader)
        os.close(terminal)


def on(folder: Path) -> Run:
    """The command on a folder."""

    def run(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Any:
        return invoke("--mode", "file", "--dir", str(folder), *arguments, env=env, stdin=stdin)

    return run


@pytest.fixture
def run() -> Run:
    """The command without any option of its own."""
    return invoke


@pytest.fixture(scope="session")
def _seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seeded")
    for arguments in (["create"], ["seed"], ["seed", "--from", str(DEMO)]):
        assert on(folder)(*arguments).exit_code == 0
    return folder


@pytest.fixture
def seeded(_seeded: Path, tmp_path: Path) -> Path:
    """A folder with the baseline and the demo plans, the test's own."""
    return shutil.copytree(_seeded, tmp_path / "store")


@pytest.fixture
def seeded_run(seeded: Path) -> Run:
    """The command on that folder."""
    return on(seeded)


@pytest.fixture
def opened(seeded: Path) -> Callable[[], Store]:
    """Opens that folder as a library user does."""
    return lambda: Store.open(Settings(persistence_mode="file", file_persistence_dir=seeded))
