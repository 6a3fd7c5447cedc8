"""Files replaced whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestar_store.engines.whole_files import replace_file, write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content in (b"first, which is longer", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise OSError("no space left")

    write_whole(tmp_path / "a.json", b"before")
    with pytest.raises(OSError, match="no space"):
        replace_file(tmp_path / "a.json", parts())
    assert (tmp_path / "a.json").read_bytes() == b"before"


def test_the_content_is_on_disk_before_the_name_changes_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = tmp_path / "a.json", []

    def noting(descriptor: int) -> None:
        done.append((os.path.realpath(f"/proc/self/fd/{descriptor}"), path.exists()))

    monkeypatch.setattr(os, "fsync", noting)
    write_whole(path, b"content")
    assert done == [(str(tmp_path / ".a.json.tmp"), False), (str(tmp_path), True)]


def test_the_stamp_is_that_of_the_new_file(tmp_path: Path) -> None:
    assert replace_file(tmp_path / "a.json", [b"content"]) == (tmp_path / "a.json").stat()


def test_permissions_are_those_asked_for_from_the_first_byte_on(tmp_path: Path) -> None:
    path, seen = tmp_path / "plan.json", []

    def parts() -> Iterator[bytes]:
        seen.append((tmp_path / ".plan.json.tmp").stat().st_mode & 0o777)
        yield b"secret"

    path.write_bytes(b"")
    path.chmod(0o644)
    replace_file(path, parts(), mode=0o600)
    assert (seen, path.stat().st_mode & 0o777) == ([0o600], 0o600)
