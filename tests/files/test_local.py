"""What only a folder has: symbolic links, other programs' folders, half-written files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bluestar_store.errors import FileMissingError, FileStoreError
from bluestar_store.files import InvalidPathError
from bluestar_store.files.local import LocalFileStore
from tests.cache.test_fork import in_child
from tests.case_blind import ignore_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (tmp_path / "store" / "in").mkdir(parents=True)
    return tmp_path / "store"


@pytest.fixture
def files(folder: Path) -> LocalFileStore:
    return LocalFileStore(folder)


@pytest.mark.parametrize("path", ["link", "links/secret", "in/link", "dangling", "inner"])
def test_no_symbolic_link_is_followed(path: str, files: LocalFileStore, folder: Path, tmp_path: Path) -> None:
    files.write("good", b"good")
    (folder / "link").symlink_to(tmp_path / "outside" / "secret")
    (folder / "in" / "link").symlink_to("../../outside/secret")
    (folder / "links").symlink_to(tmp_path / "outside")
    (folder / "dangling").symlink_to(tmp_path / "outside" / "new")
    (folder / "inner").symlink_to("good")
    for call in (files.read, files.open, files.stat, files.exists, files.delete):
        with pytest.raises(InvalidPathError, match="symbolic link"):
            call(path)
    for call_with_target in (files.move, files.copy):
        with pytest.raises(InvalidPathError, match="symbolic link"):
            call_with_target("good", path)
        with pytest.raises(InvalidPathError, match="symbolic link"):
            call_with_target(path, "target")
    for if_absent in (False, True):
        with pytest.raises(InvalidPathError, match="symbolic link"):
            files.write(path, b"x", if_absent=if_absent)
    assert files.list_files() == ["good"]
    assert [found.name for found in (tmp_path / "outside").iterdir()] == ["secret"]
    assert (tmp_path / "outside" / "secret").read_bytes() == b"secret"


def test_the_store_itself_may_be_a_link(files: LocalFileStore, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(folder)
    LocalFileStore(tmp_path / "alias").write("a", b"x")
    assert files.read("a") == b"x"


def test_a_half_written_file_is_not_listed_and_nothing_is_left_after_a_write(
    files: LocalFileStore, folder: Path
) -> None:
    with files.open("in/a", "wb") as file:
        file.write(b"half")
        assert len(os.listdir(folder / "in")) == 1
        assert files.list_files() == []
    files.write("in/b", b"x", if_absent=True)
    files.open("in/c", "wb").discard()
    assert sorted(os.listdir(folder / "in")) == ["a", "b"]


def test_what_reads_differently_than_it_was_written_is_not_kept(files: LocalFileStore, folder: Path) -> None:
    files.write("a", b"as it was")
    file = files.open("a", "wb")
    file.write(b"new")
    (temporary,) = folder.glob(".*.bluestar-tmp")
    file._file.flush()  # type: ignore[attr-defined]  # so that what is written over it stays
    temporary.write_bytes(b"damaged")
    with pytest.raises(FileStoreError, match="reads differently"):
        file.close()
    assert files.read("a") == b"as it was"
    assert list(folder.glob(".*")) == []


def test_a_name_that_a_folder_has_is_refused_unless_it_is_empty(files: LocalFileStore) -> None:
    files.write("a/b/c", b"x")
    with pytest.raises(FileStoreError, match="nothing was written"):
        files.write("a/b", b"x")
    with pytest.raises(FileStoreError):
        files.write("a/b/c/d", b"x")
    with pytest.raises(FileMissingError):
        files.read("a/b/c/d")
    files.delete("a/b/c")
    files.write("a/b", b"y")
    assert files.read("a/b") == b"y"


def test_pipes_are_no_files(files: LocalFileStore, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(FileMissingError):
        files.read("pipe")
    assert files.list_files() == []


def test_a_write_that_the_system_refuses_is_a_file_store_error(files: LocalFileStore, folder: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(FileStoreError):
        LocalFileStore(folder / "file").write("a", b"x")


@pytest.mark.parametrize("error", [None, RuntimeError("the child's own")])
def test_a_file_that_is_being_written_is_not_a_forked_childs_to_end(
    error: RuntimeError | None, files: LocalFileStore, folder: Path
) -> None:
    block = files.open("a", "wb")

    def child() -> None:
        with pytest.raises(FileStoreError, match="forked"):
            block.write(b"childs ")
        if error is None:
            with pytest.raises(FileStoreError, match="forked"):
                block.__exit__(None, None, None)
        else:
            block.__exit__(RuntimeError, error, None)
        block._file.close()  # type: ignore[attr-defined]  # as when it is collected: the buffer is flushed
        files.write("b", b"childs")

    with block:
        block.write(b"parents ")
        in_child(child)
        block.write(b"own")
    assert files.read("a") == b"parents own"
    assert files.read("b") == b"childs"
    assert sorted(found.name for found in folder.iterdir() if found.is_file()) == ["a", "b"]


@pytest.mark.parametrize("how", ["write", "copy"])
def test_a_file_that_is_replaced_keeps_its_permissions(how: str, files: LocalFileStore, folder: Path) -> None:
    files.write("in/a", b"old")
    files.write("source", b"new")
    (folder / "in" / "a").chmod(0o640)
    if how == "copy":
        files.copy("source", "in/a")
    else:
        files.write("in/a", b"new")
    assert files.read("in/a") == b"new"
    assert (folder / "in" / "a").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_ignores_case_has_a_file_only_as_it_is_spelled(
    files: LocalFileStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("Up/A.csv", b"first")
    files.write("b", b"b")
    ignore_case(monkeypatch)
    before = files.list_files()
    for path in ("Up/a.csv", "up/A.csv", "UP/A.CSV"):
        for call in (files.read, files.stat, files.open):
            with pytest.raises(FileMissingError):
                call(path)
        assert not files.exists(path)
        files.delete(path)
        with pytest.raises(FileMissingError):
            files.move(path, "c")
    for path in ("Up/a.csv", "UP/A.csv", "UP/c", "B"):
        for if_absent in (False, True):
            with pytest.raises(FileStoreError, match="takes for the same name"):
                files.write(path, b"x", if_absent=if_absent)
        with pytest.raises(FileStoreError, match="takes for the same name"):
            files.copy("b" if path != "B" else "Up/A.csv", path)
        with pytest.raises(FileStoreError, match="takes for the same name"):
            files.move("b" if path != "B" else "Up/A.csv", path)
    assert files.list_files("UP/") == []
    assert files.list_files() == before
    assert files.read("Up/A.csv") == b"first"


def test_a_write_whose_name_may_not_last_does_not_say_that_nothing_was_written(
    files: LocalFileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(FileStoreError, match="it was written, and may not stay"):
        files.write("a", b"x")
