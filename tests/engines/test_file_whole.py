"""Files replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestar_store.disk import make_folder
from bluestar_store.whole_files import replace_file, write_whole


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
    (temporary, before), last = done
    assert re.fullmatch(r"\.a\.json\.[0-9a-f]{32}\.tmp", Path(temporary).name)
    assert (before, last) == (False, (str(tmp_path), True))


def test_the_stamp_is_that_of_the_new_file(tmp_path: Path) -> None:
    assert replace_file(tmp_path / "a.json", [b"content"]) == (tmp_path / "a.json").stat()


def test_permissions_are_those_asked_for_from_the_first_byte_on(tmp_path: Path) -> None:
    path, seen = tmp_path / "plan.json", list[int]()

    def parts() -> Iterator[bytes]:
        seen.extend(left.stat().st_mode & 0o777 for left in tmp_path.glob(".plan.json.*.tmp"))
        yield b"secret"

    path.write_bytes(b"")
    path.chmod(0o644)
    replace_file(path, parts(), most=0o600)
    assert (seen, path.stat().st_mode & 0o777) == ([0o600], 0o600)


def test_what_fails_leaves_nothing_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise OSError("no space left")

    write_whole(tmp_path / "a.json", b"before")
    for call in ("fsync", "fstat", "replace"):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, failing)
            with pytest.raises(OSError, match="no space"):
                write_whole(tmp_path / "a.json", b"after")
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]


def test_what_a_killed_writer_left_gives_the_new_file_nothing(tmp_path: Path) -> None:
    left = tmp_path / ".a.json.0123.tmp"
    left.write_bytes(b"longer than what is written")
    left.chmod(0o666)
    write_whole(tmp_path / "a.json", b"secret", most=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_bytes() == b"secret"
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    left.symlink_to(tmp_path / "else")
    write_whole(tmp_path / "a.json", b"again")
    assert not (tmp_path / "else").exists()


def test_what_another_writer_has_under_way_is_left_alone(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"slow"
        write_whole(tmp_path / "a.json", b"fast")
        yield b"er"

    replace_file(tmp_path / "a.json", parts())
    assert (tmp_path / "a.json").read_bytes() == b"slower"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("folder_mode", "mode"), [(0o755, 0o600), (0o777, 0o600), (0o775, 0o600), (0o2770, 0o660)])
def test_a_new_file_is_its_owners_alone_or_its_groups_where_the_folder_is(
    tmp_path: Path, folder_mode: int, mode: int
) -> None:
    umask = os.umask(0)
    try:
        tmp_path.chmod(folder_mode)
        write_whole(tmp_path / "a.json", b"secret")
        assert (tmp_path / "a.json").stat().st_mode & 0o777 == mode
        make_folder(tmp_path / "above" / "below")
        made = {path.stat().st_mode & 0o777 for path in (tmp_path / "above", tmp_path / "above" / "below")}
        assert made == {0o770 if mode == 0o660 else 0o700}
        make_folder(tmp_path)
        assert tmp_path.stat().st_mode & 0o7777 == folder_mode
    finally:
        os.umask(umask)


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_written_where_it_leads(tmp_path: Path, there: bool) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    target, link = tmp_path / "far" / "a.json", tmp_path / "near" / "a.json"
    (tmp_path / "hop").symlink_to(target)
    link.symlink_to("../hop")
    if there:
        target.write_bytes(b"old")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.json", "a.json", "far", "hop", "near"]


def test_what_is_no_plain_file_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("loop", "folder", "pipe", "device"):
        before = (tmp_path / name).lstat()
        with pytest.raises(OSError, match=r"symbolic links|no plain file"):
            write_whole(tmp_path / name, b"x")
        assert os.path.samestat((tmp_path / name).lstat(), before)
    assert len(list(tmp_path.iterdir())) == 4


def test_a_file_keeps_permissions_group_and_owner_as_far_as_this_process_may_give_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    path.chmod(0o2654)
    if os.getuid() == 0:
        os.chown(path, 5001, 4242)
        path.chmod(0o2654)
    before = path.stat()
    write_whole(path, b"new")
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    if os.getuid() == 0:  # now as somebody who may not: what the old group could do, another one cannot

        def refusing(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "fchown", refusing)
        write_whole(path, b"newer")
        assert (path.stat().st_gid, path.stat().st_mode & 0o7777) == (os.getgid(), 0o644)


def test_a_share_that_has_no_syncing_of_folders_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def plain_files_only(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", plain_files_only)
    write_whole(tmp_path / "a.json", b"content")
    assert (tmp_path / "a.json").read_bytes() == b"content"
