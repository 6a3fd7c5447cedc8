"""The whole of what `files.FileStore` promises, as one class of tests."""

from __future__ import annotations

import csv
import io
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Protocol, cast

import pytest

from bluestar_store.errors import AlreadyExistsError, FileMissingError, FileStoreError
from bluestar_store.files import FileStore, InvalidPathError

BAD_PATHS = (
    *("", "/", "/etc/passwd", "..", "../up", "a/../../up", "a/..", "./a", "a/./b", "a//b", "a/", "a\0b", "a\\..\\b"),
    *("line\nbreak", "half\ud800", "x" * 201, "/".join(["x" * 99] * 10), "a.bluestar-tmp", "a.bluestar-tmp/b"),
)
GOOD_PATHS = ("a", "a b/ü/日本 €", "in/2026-01-02/ACME+1&2=3#4?.csv", "..a/b..", ".hidden", "%2e%2e/%2F", "x" * 200)


class FileDoor(Protocol):
    """Files put and read behind the store's back, as another program would."""

    def put(self, path: str, content: bytes) -> None:
        """Put the file there."""

    def get(self, path: str) -> bytes | None:
        """The file's content, or None."""


class FilesSuite:
    """Every rule of the seam. Subclass it, and give the fixtures `files` (empty) and `door`."""

    keeps_content_types = True
    """`stat` gives the content type that a file was written with."""
    makes_links = False
    """Has links."""
    links_lead_here = True
    """They can be followed from this machine."""
    listed_at_once = 1000
    """How many files the service lists in one answer, as S3 does; a store that keeps its own list has no such limit."""

    @pytest.fixture
    def files(self) -> Iterator[FileStore]:
        """The store under test, without files."""
        raise NotImplementedError

    @pytest.fixture
    def door(self, files: FileStore) -> FileDoor:
        """The way past the store."""
        raise NotImplementedError

    def test_it_is_a_file_store(self, files: FileStore) -> None:
        assert isinstance(files, FileStore)
        assert files.location

    @pytest.mark.parametrize("path", GOOD_PATHS)
    def test_what_was_written_is_read(self, path: str, files: FileStore, door: FileDoor) -> None:
        assert files.write(path, b"\x00\xff one") == path
        assert door.get(path) == files.read(path) == b"\x00\xff one"
        assert files.list_files() == files.list_files(path) == [path]
        assert files.exists(path)

    def test_text_is_written_as_utf_8_and_empty_files_are_files(self, files: FileStore) -> None:
        files.write("text", "€")
        files.write("empty", b"")
        assert files.read("text") == "€".encode()
        assert files.read("empty") == b""
        assert files.stat("empty").size_bytes == 0

    def test_what_another_program_put_there_is_read(self, files: FileStore, door: FileDoor) -> None:
        door.put("in/file", b"theirs")
        assert files.read("in/file") == b"theirs"
        assert files.list_files("in/") == ["in/file"]

    def test_a_write_replaces_and_the_callers_object_is_its_own(self, files: FileStore) -> None:
        content = bytearray(b"second")
        files.write("a", b"the first, longer")
        with files.open("a", "wb") as file:
            file.write(content)
            content[:] = b"------"
        assert files.read("a") == b"second"

    def test_what_is_not_there_is_a_file_missing_error(self, files: FileStore) -> None:
        reads: list[Callable[[str], object]] = [files.read, files.open, files.stat, files.link]
        for read in reads:
            with pytest.raises(FileMissingError, match="nowhere/at all"):
                read("nowhere/at all")
        assert not files.exists("nowhere")
        files.delete("nowhere")

    def test_a_folder_is_no_file(self, files: FileStore) -> None:
        files.write("a/b/c", b"x")
        assert not files.exists("a/b")
        with pytest.raises(FileMissingError):
            files.read("a")
        files.delete("a/b")
        assert files.list_files() == ["a/b/c"]

    @pytest.mark.parametrize("path", BAD_PATHS)
    def test_a_path_that_leads_out_or_is_no_name_is_refused_by_every_call(self, path: str, files: FileStore) -> None:
        files.write("good", b"x")
        calls: list[Callable[[str], object]] = [
            *(files.read, files.open, files.stat, files.link, files.exists, files.delete),
            lambda path: files.write(path, b"x"),
            lambda path: files.open(path, "wb"),
            lambda path: files.move(path, "other"),
            lambda path: files.move("good", path),
            lambda path: files.copy(path, "other"),
            lambda path: files.copy("good", path),
        ]
        for call in calls:
            with pytest.raises(InvalidPathError, match="is no path in a file store"):
                call(path)
        assert files.list_files() == ["good"]

    @pytest.mark.parametrize("prefix", ["/", "../", "a/../", "a//", "\0"])
    def test_a_prefix_that_leads_out_is_refused(self, prefix: str, files: FileStore) -> None:
        with pytest.raises(InvalidPathError):
            files.list_files(prefix)

    def test_if_absent_leaves_what_is_there(self, files: FileStore) -> None:
        files.write("a", b"first", if_absent=True)
        with pytest.raises(AlreadyExistsError):
            files.write("a", b"second", if_absent=True)
        assert files.read("a") == b"first"
        files.delete("a")
        files.write("a", b"third", if_absent=True)
        assert files.read("a") == b"third"

    def test_if_absent_is_decided_at_the_end(self, files: FileStore) -> None:
        slow = files.open("a", "wb", if_absent=True)
        slow.write(b"slow")
        files.write("a", b"quick", if_absent=True)
        with pytest.raises(AlreadyExistsError):
            slow.close()
        assert files.read("a") == b"quick"

    def test_of_several_writers_if_absent_one_succeeds(self, files: FileStore) -> None:
        def attempt(number: int) -> bool:
            try:
                files.write("a", str(number), if_absent=True)
            except AlreadyExistsError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(8)))
        assert won.count(True) == 1
        assert files.read("a") == str(won.index(True)).encode()

    def test_a_stream_that_is_not_closed_well_changes_nothing(self, files: FileStore) -> None:
        files.write("a", b"as it was")

        def broken_off() -> None:
            with files.open("a", "wb") as file:
                file.write(b"half")
                raise OSError("the source ended")

        with pytest.raises(OSError, match="the source ended"):
            broken_off()
        files.open("a", "wb").write(b"forgotten")
        dropped = files.open("b", "wb")
        dropped.write(b"dropped")
        dropped.discard()
        dropped.close()
        assert files.read("a") == b"as it was"
        assert files.list_files() == ["a"]

    def test_a_block_that_fails_around_a_text_stream_changes_nothing(self, files: FileStore) -> None:
        files.write("ach.csv", b"old and whole")

        def rows(*, fail: bool) -> None:
            with files.open("ach.csv", "wb") as raw, io.TextIOWrapper(cast(BinaryIO, raw), newline="") as text:
                csv.writer(text).writerow(["new"])
                if fail:
                    raise OSError("the source ended")

        with pytest.raises(OSError, match="the source ended"):
            rows(fail=True)
        assert files.read("ach.csv") == b"old and whole"
        rows(fail=False)
        assert files.read("ach.csv") == b"new\r\n"

    @pytest.mark.parametrize("mode", ["ab", "w", "r", "r+b", "xb", ""])
    def test_another_mode_is_refused_and_changes_nothing(self, mode: str, files: FileStore) -> None:
        files.write("a", b"kept")
        with pytest.raises(ValueError, match="rb"):
            files.open("a", mode)  # type: ignore[call-overload]  # wrong on purpose
        assert files.read("a") == b"kept"

    @pytest.mark.parametrize("content", [None, "\ud800", 5])
    def test_what_cannot_be_written_is_refused_and_changes_nothing(self, content: object, files: FileStore) -> None:
        files.write("a", b"kept")
        with pytest.raises(FileStoreError):
            files.write("a", content)  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(InvalidPathError):
            files.read(content)  # type: ignore[arg-type]  # wrong on purpose
        assert files.read("a") == b"kept"

    def test_where_files_were_deleted_another_may_come(self, files: FileStore) -> None:
        for number, path in enumerate(("a/b", "c/d/e", "g/h/i/j")):
            files.write(path, b"gone")
            files.delete(path)
            top = path[0]
            assert not files.exists(top)
            if number == 0:
                files.write(top, b"new", if_absent=True)
            elif number == 1:
                files.write(top, b"new")
            else:
                files.write("x", b"new")
                files.move("x", top)
            assert files.read(top) == b"new"

    def test_a_file_of_several_parts_is_read_after_it_was_copied_and_moved(self, files: FileStore) -> None:
        content = b"0123456789" * 900_000
        with files.open("big", "wb") as file:
            file.write(content)
        files.copy("big", "copied")
        files.move("big", "moved")
        assert files.read("copied") == files.read("moved") == content

    def test_a_file_is_not_seen_before_it_is_whole(self, files: FileStore) -> None:
        with files.open("a", "wb") as file:
            file.write(b"first ")
            assert not files.exists("a")
            assert files.list_files() == []
            file.write(b"second")
        assert files.read("a") == b"first second"

    def test_a_stream_of_several_parts_comes_back_and_can_be_sought_in(self, files: FileStore) -> None:
        block = bytes(range(256)) * 4096
        with files.open("big", "wb") as file:
            for number in range(18):
                file.write(bytes([number]) + block)
        size = 18 * (len(block) + 1)
        assert files.stat("big").size_bytes == size
        with files.open("big") as file:
            for number in range(18):
                assert file.read(1) == bytes([number])
                assert file.read(len(block)) == block
            assert file.read() == b""
            file.seek(17 * (len(block) + 1))
            assert file.read(2) == b"\x11\x00"
            file.seek(-1, 2)
            assert file.read() == b"\xff"

    def test_a_move_gives_the_file_another_path(self, files: FileStore) -> None:
        files.write("in/a", b"content", "text/csv")
        files.write("done/b", b"old")
        files.move("in/a", "done/b")
        assert files.list_files() == ["done/b"]
        assert files.read("done/b") == b"content"
        files.move("done/b", "done/b")
        assert files.read("done/b") == b"content"

    def test_a_move_of_what_is_not_there_leaves_the_target(self, files: FileStore) -> None:
        files.write("b", b"as it was")
        for call in (files.move, files.copy):
            with pytest.raises(FileMissingError):
                call("nowhere", "b")
            with pytest.raises(FileMissingError):
                call("nowhere", "nowhere")
        assert files.read("b") == b"as it was"
        assert files.list_files() == ["b"]

    def test_a_copy_leaves_the_source(self, files: FileStore) -> None:
        files.write("a", b"content", "text/csv")
        files.copy("a", "x/b")
        files.copy("a", "a")
        files.write("a", b"changed")
        assert files.read("x/b") == b"content"
        assert files.stat("x/b").content_type == ("text/csv" if self.keeps_content_types else None)

    def test_a_list_is_what_begins_with_the_prefix_in_order(self, files: FileStore) -> None:
        for path in ("b/2", "b/10", "b-1", "b/é", "b/Z", "a", "b/\U0001f600", "b/\ufffd", "c/d/e"):
            files.write(path, b"")
        inside = ["b/10", "b/2", "b/Z", "b/é", "b/\ufffd", "b/\U0001f600"]
        assert files.list_files("b/") == inside
        assert files.list_files("b") == ["b-1", *inside]
        assert files.list_files() == ["a", "b-1", *inside, "c/d/e"]
        assert files.list_files("c/d") == files.list_files("c/d/e") == ["c/d/e"]
        assert files.list_files("nothing/") == []

    def test_a_list_goes_on_past_what_is_listed_at_once(self, files: FileStore, door: FileDoor) -> None:
        paths = [f"many/{number:05d}" for number in range(self.listed_at_once + 5)]
        for path in paths:
            door.put(path, b"")
        assert files.list_files("many/") == paths

    def test_stat_tells_what_is_known(self, files: FileStore) -> None:
        files.write("a", b"12345", "text/csv")
        found = files.stat("a")
        assert (found.path, found.size_bytes) == ("a", 5)
        assert found.content_type == ("text/csv" if self.keeps_content_types else None)
        assert found.modified.utcoffset() == timedelta(0)
        assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=5)
        files.write("a", b"54321")
        assert files.stat("a").etag != found.etag

    def test_a_link_can_be_read_by_anybody_or_is_refused(self, files: FileStore) -> None:
        files.write("a b/ü", b"content")
        if not self.makes_links:
            with pytest.raises(FileStoreError):
                files.link("a b/ü")
            return
        link = files.link("a b/ü", 60)
        assert link.startswith("http")
        if self.links_lead_here:
            with urllib.request.urlopen(link, timeout=10) as answer:  # noqa: S310  # the store's own
                assert answer.read() == b"content"
        for seconds in (0, -1, 7 * 24 * 3600 + 1):
            with pytest.raises(FileStoreError, match="expires"):
                files.link("a b/ü", seconds)

    def test_it_may_be_closed_twice(self, files: FileStore) -> None:
        files.write("a", b"x")
        files.close()
        files.close()
