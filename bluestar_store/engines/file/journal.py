"""The file engine's journal: one line a transaction, appended and synced before the write is acknowledged.

A line is a CRC-32, a space, and JSON: the entry's number and the after-images of its items. The first line names the
number after which the journal begins. A line without its newline was never acknowledged and is cut off.

A line counts once it is on disk, which its writer notes in the mark (see `journal_mark`).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bluestar_store.disk import in_doubt, open_plain, sync_data
from bluestar_store.engines.file.journal_mark import Mark, MarkFile
from bluestar_store.engines.item_json import item_from_json, to_json
from bluestar_store.engines.memory.tables import Image
from bluestar_store.errors import BlueStarError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.whole_files import replace_file, sync_names

NAME = "journal.jsonl"
CHUNK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 256 * 1024 * 1024
"""More than any transaction or bulk takes."""


class JournalEntry(NamedTuple):
    """One transaction."""

    number: int
    images: list[Image]


class Journal:
    """The journal as this process knows it: which file, and how far it was read. The engine holds the locks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._mark = MarkFile(self.path)
        self.inode = 0
        self.offset = 0
        self._line = 0
        self._on_disk = (0, 0)  # inode and size, as far as this process saw to it
        self._end = 0  # how much of the journal counts, as of the last look

    def stamp(self) -> tuple[int, int]:
        """Inode and size now; zeros when there is no journal."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_size

    @property
    def has_entries(self) -> bool:
        """Whether there is more than the line it began with, as far as it was read."""
        return self._line > 1

    def rewind(self) -> None:
        """Begin to read anew."""
        self.inode, self.offset, self._line = self.stamp()[0], 0, 0
        self._on_disk = (0, 0)

    def is_settled(self, size: int, *, locked: bool) -> bool:
        """Whether it is known of each entry up to this size that it counts, or that it does not count yet.

        What does not is the one that its writer announced; under the lock, that writer is gone. An older release
        announces nothing, and may have acknowledged what it appended.
        """
        mark = self._mark.read()
        self._end = max((end for inode, end in (mark[:2], self._on_disk) if inode == self.inode), default=0)
        if size <= self._end:
            return True
        if locked or mark.inode != self.inode or not mark.synced == self._end < size <= mark.end:
            return False
        with open_plain(self.path) as file:
            file.seek(mark.synced)
            found = file.read(min(8, size - mark.synced))
            return os.fstat(file.fileno()).st_ino == mark.inode and (b"%08x" % mark.crc).startswith(found)

    def settle(self) -> None:
        """Sync all of the journal to disk. Call it under the lock, so that nobody writes meanwhile.

        What lies behind the mark is written once more: after a sync that failed, one that succeeds proves nothing. That
        such an entry counts is right: an older release may have acknowledged it.
        """
        inode, size = self.stamp()
        mark = self._mark.read()
        if inode == 0 or (inode, size) in (mark[:2], self._on_disk):
            self._end = size
            return
        begin = mark.synced if inode == mark.inode and mark.synced < size else 0
        with open_plain(self.path, os.O_RDWR) as file:
            descriptor = file.fileno()
            end = self._end_of_lines(descriptor, begin, size)
            os.ftruncate(descriptor, end)
            place = begin
            while data := _read_at(descriptor, min(CHUNK_BYTES, end - place), place):
                _write_at(descriptor, data, place)
                place += len(data)
            sync_data(descriptor)
        self._note(inode, end)

    def _end_of_lines(self, descriptor: int, begin: int, size: int) -> int:
        """Where the last whole line ends, behind a place; that place where there is none."""
        for place in range(size - CHUNK_BYTES, max(begin, size - MAX_LINE_BYTES) - CHUNK_BYTES, -CHUNK_BYTES):
            start = max(place, begin)
            found = _read_at(descriptor, place + CHUNK_BYTES - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
        if size - begin > MAX_LINE_BYTES:
            raise self._damaged("has a line that is longer than any entry")
        return begin

    def _note(self, inode: int, size: int) -> None:
        try:
            self._mark.write(Mark(inode, size))
        except OSError:  # what was noted before may hide what is on disk
            self._mark.remove()
        self._on_disk = inode, size
        self._end = size

    def entries(self) -> Iterator[JournalEntry]:
        """The entries that count, behind the place read so far; ItemDecodeError for a line that was damaged."""
        if self.inode == 0:
            return
        with open_plain(self.path) as file:
            if os.fstat(file.fileno()).st_ino != self.inode:
                return
            file.seek(self.offset)
            while line := file.readline(MAX_LINE_BYTES):
                if self.offset + len(line) > self._end:
                    return
                if not line.endswith(b"\n"):
                    if len(line) == MAX_LINE_BYTES:
                        raise self._damaged("has a line that is longer than any entry")
                    return
                entry = self._entry(line)
                self.offset += len(line)
                self._line += 1
                yield entry

    def _entry(self, line: bytes) -> JournalEntry:
        crc, _, payload = line.rstrip(b"\n").partition(b" ")
        try:
            if int(crc, 16) != zlib.crc32(payload):
                raise ValueError("does not match its checksum")
            content = json.loads(payload)
            images = [
                Image(table, Key(pk, sk), None if item is None else item_from_json(table, item))
                for table, pk, sk, item in content["images"]
            ]
            if type(content["number"]) is not int:
                raise ValueError("has no number")
            return JournalEntry(content["number"], images)
        except RecursionError:
            raise self._damaged("is nested too deeply") from None
        except (ValueError, KeyError, TypeError, BlueStarError) as error:
            raise self._damaged(str(error)) from None

    def _damaged(self, reason: str) -> ItemDecodeError:
        where = f"{self.path} line {self._line + 1}"
        return ItemDecodeError(
            where, f"was damaged ({reason[:300]}); restore it from a backup, or remove it and lose that write"
        )

    def append(self, number: int, images: Sequence[Image]) -> None:
        """Add an entry and wait until it is on disk.

        On failure the journal is as before; where even that is uncertain, the OSError is an InDoubtError.
        """
        line = _line(number, images)
        end = self.offset + len(line)
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            with suppress(OSError):  # then others wait for the lock
                self._mark.write(Mark(self.inode, self.offset, end, int(line[:8], 16)))
            _write_at(descriptor, line, self.offset)
            sync_data(descriptor)
        except OSError:
            if self._takes_back(descriptor):
                raise
            with in_doubt():
                raise
        except BaseException:
            self._takes_back(descriptor)
            raise
        finally:
            with suppress(OSError):  # what was waited for is on disk, whatever a close says
                os.close(descriptor)
        with in_doubt():
            self._note(self.inode, end)
        self.offset = end
        self._line += 1

    def _takes_back(self, descriptor: int) -> bool:
        """Cut off what was appended; whether it is certain that it does not come back when the machine stops."""
        try:
            os.ftruncate(descriptor, self.offset)
            sync_data(descriptor)
        except OSError:
            return False
        return True

    def start(self, number: int) -> None:
        """Replace the journal by an empty one that begins after entry `number`, durably.

        When only the last step fails, the new one is there; it is settled before anything is appended to it.
        """
        line = _line(number, ())
        inode = replace_file(self.path, (line,)).st_ino
        sync_names(self.path)
        self.inode, self.offset, self._line = inode, len(line), 1
        self._note(inode, len(line))


def _line(number: int, images: Sequence[Image]) -> bytes:
    content = {"number": number, "images": [[i.table, *i.key, i.item] for i in images]}
    payload = to_json(content).encode()
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _read_at(descriptor: int, size: int, place: int) -> bytes:
    """What is at a place, up to so many bytes: Windows has no pread."""
    os.lseek(descriptor, place, os.SEEK_SET)
    return os.read(descriptor, size)


def _write_at(descriptor: int, data: bytes, place: int) -> None:
    """Write all of the data at a place."""
    view = memoryview(data)
    os.lseek(descriptor, place, os.SEEK_SET)
    while view:
        view = view[os.write(descriptor, view) :]
