"""kill -9 in the middle of a write, a copy or a move in a folder: every file is whole, and no leftover is seen."""

from __future__ import annotations

import fcntl
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store.files.local import LocalFileStore
from tests.files.worker_process import KILLED_BYTES

ROOT = Path(__file__).parents[2]
ROUNDS = 8


@pytest.fixture
def files(tmp_path: Path) -> LocalFileStore:
    return LocalFileStore(tmp_path / "store")


@pytest.fixture
def rounds(soak: bool) -> int:
    return ROUNDS * (20 if soak else 1)


def killed(job: str, files: LocalFileStore, choice: random.Random) -> None:
    """Have a process work on the files, and kill it in the middle of it."""
    environment = {**os.environ, "BLUESTAR_FILES_URL": files.folder.as_uri()}
    command = [sys.executable, "-m", "tests.files.worker_process", job, "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(choice.randint(1, 4)):
            assert process.stdout.readline()
        try:
            process.wait(choice.uniform(0, 0.02))
        except subprocess.TimeoutExpired:
            process.kill()


def leftovers(files: LocalFileStore) -> list[Path]:
    return list(files.folder.rglob("*.bluestar-tmp"))


def is_whole(content: bytes) -> bool:
    return len(content) == KILLED_BYTES and content == content[:1] * KILLED_BYTES


@pytest.mark.slow
def test_a_write_that_is_killed_leaves_the_file_before_or_after_it(
    files: LocalFileStore, rounds: int, record_property: Callable[[str, object], None]
) -> None:
    choice, seen = random.Random(1), 0
    for _ in range(rounds):
        killed("write", files, choice)
        assert files.list_files() == ["in/a"]
        assert is_whole(files.read("in/a"))
        seen += len(leftovers(files))
        LocalFileStore(files.folder).write("in/other", b"x")
        assert leftovers(files) == []
        files.delete("in/other")
    record_property("leftovers", seen)
    assert seen  # else no kill came in the middle


@pytest.mark.slow
def test_a_copy_that_is_killed_leaves_the_source_and_a_whole_target(files: LocalFileStore, rounds: int) -> None:
    files.write("source", b"s" * KILLED_BYTES)
    choice, seen = random.Random(2), 0
    for number in range(rounds):
        files.write("in/a", bytes([number % 256]) * KILLED_BYTES)
        killed("copy", files, choice)
        assert files.list_files() == ["in/a", "source"]
        assert files.read("source") == b"s" * KILLED_BYTES
        assert is_whole(files.read("in/a"))
        seen += len(leftovers(files))
    assert seen


@pytest.mark.slow
def test_a_move_that_is_killed_leaves_the_file_at_one_path_whole(files: LocalFileStore, rounds: int) -> None:
    choice = random.Random(3)
    for number in range(rounds):
        content = bytes([number % 256]) * KILLED_BYTES
        for path in files.list_files():
            files.delete(path)
        files.write("in/a", content)
        killed("move", files, choice)
        (path,) = files.list_files()
        assert path in ("in/a", "out/deep/a")
        assert files.read(path) == content


def test_what_nobody_writes_any_more_is_deleted_and_what_somebody_writes_is_not(files: LocalFileStore) -> None:
    files.write("in/a", b"x")
    left = files.folder / "in" / ".left.bluestar-tmp"
    left.write_bytes(b"half")
    theirs = files.open("in/b", "wb")
    theirs.write(b"not yet whole")
    assert files.list_files() == ["in/a"]
    assert left.exists()  # a store looks once into each folder
    LocalFileStore(files.folder).write("in/c", b"y")
    assert not left.exists()
    theirs.close()
    assert files.read("in/b") == b"not yet whole"
    assert files.list_files() == ["in/a", "in/b", "in/c"]


def test_a_file_that_was_cleaned_away_before_it_was_locked_is_made_again(
    files: LocalFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    calls: list[int] = []

    def cleaned_first(file: object, operation: int) -> None:
        if not calls:
            (temporary,) = leftovers(files)
            temporary.unlink()
        calls.append(operation)
        lock(file, operation)  # type: ignore[arg-type]  # it has a fileno

    files.folder.mkdir()
    monkeypatch.setattr(fcntl, "flock", cleaned_first)
    files.write("a", b"x")
    assert len(calls) == 2
    assert files.read("a") == b"x"
