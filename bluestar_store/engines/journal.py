"""The file engine's journal: one line a transaction, appended and synced before the write is acknowledged.

A line is a CRC-32, a space, and JSON: the entry's number and the after-images of its items. The first line names the
number after which the journal begins. A line without its newline was never acknowledged and is cut off.

A line that can be read need not be on disk: its writer may be waiting for just that, or have died doing so. A small
file beside the journal, the mark, says how far it is known to be; what lies behind that counts once it is settled.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bluestar_store.disk import NO_LINK, in_doubt, keep_access, sync_data
from bluestar_store.engines.images import Image
from bluestar_store.engines.item_json import item_from_json, to_json
from bluestar_store.engines.whole_files import replace_file, sync_names
from bluestar_store.errors import BlueStarError, ItemDecodeError
from bluestar_store.keys import Key

NAME = "journal.jsonl"
MARK = ".journal.synced"
"""A CRC-32, the journal's inode, and how many bytes of it are on disk. It is overwritten in place and never synced: an
old mark, or none, costs a sync."""


class Entry(NamedTuple):
    """One transaction."""

    number: int
    images: list[Image]


class Journal:
    """The journal as this process knows it: which file, and how far it was read. The engine holds the locks."""

    def __init__(self, folder: Path) -> None:
        self.path, self._mark_path = folder / NAME, folder / MARK
        self.inode = 0
        self.offset = 0
        self._line = 0
        self._on_disk = (0, 0)  # inode and size, as far as this process saw to it

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

    def synced_bytes(self) -> int:
        """How much of the journal is known to be on disk."""
        return max((size for inode, size in (self._marked(), self._on_disk) if inode == self.inode), default=0)

    def settle(self) -> None:
        """See to it that all of the journal is on disk. To be called under the lock, under which nobody writes.

        What lies behind the mark is written once more: after a sync that failed, one that succeeds proves nothing. That
        such an entry counts is right: an older release, which sets no mark, may have acknowledged it.
        """
        inode, size = self.stamp()
        marked, synced = self._marked()
        if inode == 0 or (inode, size) in ((marked, synced), self._on_disk):
            return
        begin = synced if inode == marked and synced < size else 0
        with self.path.open("r+b", buffering=0) as file:
            file.seek(begin)
            found = file.readall()
            whole = found[: found.rfind(b"\n") + 1]
            file.truncate(begin + len(whole))
            _write_at(file.fileno(), whole, begin)
            sync_data(file.fileno())
        self._mark(inode, begin + len(whole))

    def _marked(self) -> tuple[int, int]:
        """The inode and the size that the mark tells of; zeros when it cannot be read."""
        try:
            crc, inode, size = self._mark_path.read_bytes().split()
            return (int(inode), int(size)) if int(crc, 16) == zlib.crc32(inode + size) else (0, 0)
        except (OSError, ValueError):
            return 0, 0

    def _mark(self, inode: int, size: int) -> None:
        self._on_disk = inode, size
        inode_text, size_text = b"%020d" % inode, b"%020d" % size
        with suppress(OSError):  # it is a help, and the journal is on disk without it
            descriptor = os.open(self._mark_path, os.O_WRONLY | os.O_CREAT | NO_LINK, 0o666)
            try:
                if os.fstat(descriptor).st_size == 0:  # new: for whoever may write the journal
                    keep_access(descriptor, self.path.stat())
                _write_at(descriptor, b"%08x %s %s\n" % (zlib.crc32(inode_text + size_text), inode_text, size_text), 0)
            finally:
                os.close(descriptor)

    def entries(self) -> Iterator[Entry]:
        """The entries that are on disk, behind the place read so far; ItemDecodeError for a line that was damaged."""
        if self.inode == 0:
            return
        end = self.synced_bytes()
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != self.inode:
                return
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n") or self.offset + len(line) > end:
                    return
                entry = self._entry(line)
                self.offset += len(line)
                self._line += 1
                yield entry

    def _entry(self, line: bytes) -> Entry:
        crc, _, payload = line.rstrip(b"\n").partition(b" ")
        try:
            if int(crc, 16) != zlib.crc32(payload):
                raise ValueError("does not match its checksum")
            content = json.loads(payload)
            images = [
                Image(table, Key(pk, sk), None if item is None else item_from_json(table, item))
                for table, pk, sk, item in content["images"]
            ]
            return Entry(content["number"], images)
        except (ValueError, KeyError, TypeError, BlueStarError) as error:
            where = f"{self.path} line {self._line + 1}"
            raise ItemDecodeError(
                where, f"was damaged ({error}); restore it from a backup, or remove it and lose that write"
            ) from None

    def append(self, number: int, images: Sequence[Image]) -> None:
        """Add an entry and wait until it is on disk.

        On failure the journal is as before; where even that is uncertain, the OSError is an InDoubtError.
        """
        line = _line(number, images)
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
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
            os.close(descriptor)
        self.offset += len(line)
        self._line += 1
        self._mark(self.inode, self.offset)

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
        self._mark(inode, len(line))


def _line(number: int, images: Sequence[Image]) -> bytes:
    content = {"number": number, "images": [[i.table, *i.key, i.item] for i in images]}
    payload = to_json(content).encode()
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _write_at(descriptor: int, data: bytes, place: int) -> None:
    """Write all of the data at a place."""
    view = memoryview(data)
    os.lseek(descriptor, place, os.SEEK_SET)
    while view:
        view = view[os.write(descriptor, view) :]
