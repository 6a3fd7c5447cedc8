"""A small file beside the file engine's journal that says how far the journal is known to be on disk.

It is overwritten in place and never synced: an outdated or missing mark costs one sync. Readers need it because a line
that can be read need not be on disk: its writer may still be syncing it, or have died before.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

from bluestar_store.disk import NO_LINK, NO_WAIT, keep_access, read_plain

NAME = ".journal.synced"
_BYTES = 96


class Mark(NamedTuple):
    """The journal's inode, and how many of its bytes are on disk.

    `end`, `crc`: where the entry ends that is being appended behind them, and the checksum that its line begins with.
    """

    inode: int
    synced: int
    end: int = 0
    crc: int = 0


NOTHING = Mark(0, 0)
"""What is known where there is no mark, or one that somebody is writing at this moment."""


class MarkFile:
    """The mark of a journal."""

    def __init__(self, journal: Path) -> None:
        self.path, self._journal = journal.with_name(NAME), journal

    def read(self) -> Mark:
        """What is known."""
        try:
            crc, _, content = read_plain(self.path, 2 * _BYTES).rstrip().partition(b" ")
            return Mark(*map(int, content.split())) if int(crc, 16) == zlib.crc32(content) else NOTHING
        except (OSError, ValueError, TypeError):
            return NOTHING

    def write(self, mark: Mark) -> None:
        """Note it. OSError where that cannot be done."""
        content = b"%d %d %d %d" % mark
        line = b"%08x %s" % (zlib.crc32(content), content)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | NO_LINK | NO_WAIT, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            if os.fstat(descriptor).st_size == 0:  # new: for whoever may write the journal
                keep_access(descriptor, self._journal.stat())
            file.write(line.ljust(_BYTES - 1) + b"\n")

    def remove(self) -> None:
        """Forget what is known."""
        self.path.unlink(missing_ok=True)
