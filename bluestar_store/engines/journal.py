"""The file engine's journal: one line a transaction, appended and synced before the write is acknowledged.

A line is a CRC-32, a space, and JSON: the entry's number and the after-images of its items. The first line names the
number after which the journal begins. A line without its newline was never acknowledged and is cut off.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bluestar_store.engines.images import Image
from bluestar_store.engines.item_json import item_from_json, to_json
from bluestar_store.engines.whole_files import replace_file
from bluestar_store.errors import BlueStarError, ItemDecodeError
from bluestar_store.keys import Key

NAME = "journal.jsonl"


class Entry(NamedTuple):
    """One transaction."""

    number: int
    images: list[Image]


class Journal:
    """The journal as this process knows it: which file, and how far it was read. The engine holds the locks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.inode = 0
        self.offset = 0
        self._line = 0

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

    def entries(self) -> Iterator[Entry]:
        """The complete entries behind the place read so far; ItemDecodeError for a line that was damaged."""
        if self.inode == 0:
            return
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_ino != self.inode:
                return
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
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
        """Add an entry and wait until it is on disk; on failure the journal is as before."""
        line = _line(number, images)
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, self.offset)  # a torn line of a process that died, never acknowledged
            os.lseek(descriptor, self.offset, os.SEEK_SET)
            try:
                view = memoryview(line)
                while view:
                    view = view[os.write(descriptor, view) :]
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self.offset)
                raise
        finally:
            os.close(descriptor)
        self.offset += len(line)
        self._line += 1

    def start(self, number: int) -> None:
        """Replace the journal by an empty one that begins after entry `number`."""
        line = _line(number, ())
        replace_file(self.path, (line,))
        self.inode, self.offset, self._line = self.stamp()[0], len(line), 1


def _line(number: int, images: Sequence[Image]) -> bytes:
    content = {"number": number, "images": [[i.table, *i.key, i.item] for i in images]}
    payload = to_json(content).encode()
    return b"%08x %s\n" % (zlib.crc32(payload), payload)
