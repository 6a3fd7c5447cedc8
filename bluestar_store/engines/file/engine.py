"""The engine in a folder: the memory engine made durable by a journal, and shared by processes through a lock.

Table files say which journal entry they contain (`applied`), so that each can be replaced by itself: reading a table
file and then the entries behind its number gives the table, whenever a process died. A file that somebody edits by
hand is noticed by its time stamp and read again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bluestar_store.disk import in_doubt, make_folder, other_spelling, real_spelling, require_posix
from bluestar_store.engines.file.journal import Journal
from bluestar_store.engines.file.shared_folders import (
    LOCK_TIMEOUT_SECONDS,
    FolderLocks,
    claim_of,
    claimed,
)
from bluestar_store.engines.file.table_files import Stamp, read_table, stamp_of, write_table
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.memory.tables import Image, ItemTables, Table
from bluestar_store.errors import ConfigurationError, ItemDecodeError
from bluestar_store.forking import remember
from bluestar_store.whole_files import sync_names

CHECKPOINT_BYTES = 4 * 1024 * 1024
"""A journal is folded into the table files from this size on, and from twice the tables' own size."""

_log = logging.getLogger(__name__)


class FileEngine(MemoryEngine):
    """See `protocols.Engine`. Several processes may use one folder; an acknowledged write survives kill -9.

    Nobody sees a write that is not on disk. Raises ConfigurationError on Windows, which lacks what that needs.
    """

    def __init__(self, folder: Path, *, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> None:
        require_posix("mode file")
        self.folder = folder.absolute()
        super().__init__()
        self._journal = Journal(self.folder)
        self._locks = FolderLocks(self.folder, lock_timeout_seconds)
        self._number = 0
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: locks of its own, and what the files say instead of what a thread was just reading."""
        self._locks.forked()
        self._stamps: dict[str, Stamp] = {}

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def data_id(self) -> str:
        """The folder's."""
        return f"file-{hashlib.sha256(str(real_spelling(self.folder)).encode()).hexdigest()[:16]}"

    @contextmanager
    def _reading(self) -> Iterator[ItemTables]:
        with self._locks.alone():
            self._catch_up()
            yield self._items

    @contextmanager
    def _writing(self) -> Iterator[ItemTables]:
        with self._locks.alone():
            make_folder(self.folder)
            with self._locks.processes:
                self._catch_up()
                yield self._items

    def _catch_up(self) -> None:
        """Take over what other processes, or people with editors, did since the last call."""
        while True:
            inode, size = self._journal.stamp()
            replaced = inode != self._journal.inode or size < self._journal.offset
            if replaced or self._table_stamps() != self._stamps:
                # Checkpoints happen under the lock, so under it no file is newer than another.
                with self._locks.processes:
                    self._load()
                return
            if size > self._journal.offset:
                if not self._journal.is_settled(size, locked=self._locks.processes.is_locked):
                    # Its writer died before it was on disk, or could not tell, or is of an older release.
                    with self._locks.processes:
                        self._journal.settle()
                self._replay({})
            # A checkpoint between the first look and the reading took away what was to be read: look again.
            if self._journal.stamp()[0] == inode:
                return

    def _table_stamps(self) -> dict[str, Stamp]:
        """Of the table files that are not claimed by others, such as `bluestar_store.documents`."""
        try:
            with os.scandir(self.folder) as found:
                entries = {entry.name: entry for entry in found}
            names = [name.removesuffix(".json") for name in entries if name.endswith(".json") and name[0] != "."]
            return {name: stamp_of(entries[f"{name}.json"].stat()) for name in names if claim_of(name) not in entries}
        except FileNotFoundError:
            return {}

    def _load(self) -> None:
        """Read all table files, and the journal over them."""
        stamps = self._table_stamps()
        loaded = {name: read_table(self._path(name)) for name in stamps}
        self._items = ItemTables(self.location)
        self._items.tables = {name: table for name, (table, _) in loaded.items()}
        applied = {name: number for name, (_, number) in loaded.items()}
        self._number = max(applied.values(), default=0)
        sync_names(*self._paths(loaded))  # a writer may have died before it was certain that its renames stay
        self._journal.rewind()
        self._journal.settle()
        self._stamps = {}  # until all is read: what fails half way is read again
        self._replay(applied)
        self._stamps = stamps

    def _replay(self, applied: dict[str, int]) -> None:
        tables = self._items.tables
        for entry in self._journal.entries():
            self._items.apply(
                image for image in entry.images if image.table in tables and entry.number > applied.get(image.table, 0)
            )
            self._number = max(self._number, entry.number)

    def _commit(self, images: Sequence[Image]) -> None:
        if not images:
            return
        if self._journal.inode == 0:
            self._journal.start(self._number)
        self._journal.append(self._number + 1, images)
        self._number += 1
        super()._commit(images)
        if self._journal.offset > max(CHECKPOINT_BYTES, 2 * sum(size for _, size, _ in self._stamps.values())):
            self._fold()

    def _fold(self) -> None:
        """A checkpoint; when none can be made, everything is safe in the journal, and the next write tries again."""
        try:
            self._checkpoint()
        except OSError as error:
            _log.warning("%s: the journal could not be folded into the table files: %s", self.folder, error)

    def _checkpoint(self) -> None:
        """Fold the journal into the table files. Called under both locks, with everything read."""
        if self._table_stamps() != self._stamps:
            return  # somebody edits a file right now: read that first, at the next call
        for name, table in self._items.tables.items():
            self._stamps[name] = write_table(self._path(name), table, self._number)
        sync_names(*self._paths(self._items.tables))
        self._journal.start(self._number)

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.json"

    def _paths(self, tables: Iterable[str]) -> list[Path]:
        """All files whose names count: tables may be symbolic links to files elsewhere."""
        return [*map(self._path, tables), self._journal.path]

    def _keep_table(self, table: Table) -> None:
        name = table.spec.name
        if claimed(self.folder, name):
            raise ConfigurationError(
                f"{self.folder / name}.json belongs to bluestar_store.documents ({claim_of(name)} says so); give those "
                "another folder (FILE_PERSISTENCE_DIR) or another table name"
            )
        if (there := other_spelling(self._path(name))) is not None:
            raise ConfigurationError(
                f"{self.folder} has {there}, and this file system takes {name}.json for the same: give the tables "
                "names that differ in more than case"
            )
        stamp = write_table(self._path(name), table, self._number)
        with in_doubt():
            sync_names(self._path(name))
        super()._keep_table(table)  # after the file: a table that only this process knew would lose its writes
        self._stamps[name] = stamp

    def delete_tables(self, names: Sequence[str]) -> None:
        """See `protocols.Engine`; deletes the files."""
        with self._writing() as items:
            gone = [name for name in dict.fromkeys(names) if name in items.tables]
            for name in gone:
                self._path(name).unlink(missing_ok=True)
            with in_doubt():
                sync_names(*map(self._path, gone))
            for name in gone:
                del items.tables[name]
                self._stamps.pop(name, None)

    def close(self) -> None:
        """Fold the journal into the table files, so that they show the current items; may be called twice.

        Not when somebody broke a file, or the folder does not allow it: the journal keeps everything, and the next call
        names the damage.
        """
        if self._journal.inode == 0 or not self.folder.exists():
            return
        with suppress(ItemDecodeError), self._writing():
            if self._journal.has_entries and self._items.tables:
                self._fold()
