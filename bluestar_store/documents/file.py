"""Documents in a folder, for work without a server."""

from __future__ import annotations

import codecs
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bluestar_store.disk import make_folder, open_plain, other_spelling, require_posix, user_id
from bluestar_store.documents import timestamps
from bluestar_store.documents.data_files import data_file, read_data, table_items
from bluestar_store.documents.failures import PUT, UPDATE, condition_failed
from bluestar_store.documents.names import dynamo_table_name
from bluestar_store.documents.store import DocumentStore, IdGenerator, with_key
from bluestar_store.documents.table_file import TableFile
from bluestar_store.documents.values import check_size, same_items
from bluestar_store.engines.file.shared_folders import LOCK, FolderLocks, claim_of, claimed, folder_lock
from bluestar_store.errors import ConfigurationError
from bluestar_store.forking import remember
from bluestar_store.protocols import Item
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import Settings

OTHERS = stat.S_IWGRP | stat.S_IWOTH
"""Permissions by which other users may change a file, or what is in a folder."""


@without_locals
class FileStore(DocumentStore):
    """See `DynamoStore`: the items lie in `{FILE_PERSISTENCE_DIR}/{table_name}.json`, current after each write.

    Without FILE_PERSISTENCE_DIR that is the folder `bluestar-store` in the system's folder for temporary files.
    Several processes may use it; a write that came back survives kill -9. Where the file does not exist, it is made
    from the test data that the settings name, `data_set` of it: SeedError for what is wrong with that. Raises
    ConfigurationError on Windows.
    """

    def __init__(
        self,
        table_name: str,
        pk_name: str,
        id_generator: IdGenerator | None = None,
        *,
        indexes: Iterable[str] = (),
        data_set: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(table_name, pk_name, id_generator, indexes=indexes)
        require_posix("mode file")
        self._settings = settings or Settings()
        self._data_set = data_set
        self._is_private = self._settings.file_persistence_dir is None
        self.folder = (self._settings.file_persistence_dir or default_folder()).absolute()
        self.forked()
        remember(self)
        with self._reading():
            pass
        if (there := other_spelling(self._table.path)) is not None:
            raise ConfigurationError(
                f"{self.folder} has {there}, and this file system takes {self.table_name}.json for the same: give the "
                "tables names that differ in more than case"
            )

    def forked(self) -> None:
        """In a forked child: locks of its own, and the file read anew."""
        self._locks = FolderLocks(self.folder, name=claim_of(self.table_name))
        self._table = TableFile(self.folder / f"{self.table_name}.json", self.pk_name, self.indexes)

    @property
    def location(self) -> str:
        """The file."""
        return str(self._table.path)

    def reset(self, data_set: str | None = None) -> None:
        """Forget all items, and begin again with the test data, this set of it where one is named."""
        items = self._first_items(data_set or self._data_set)
        with self._writing() as table:
            table.save(items, alone=True)

    def _read(self, key: str) -> Item | None:
        with self._reading() as table:
            return table.items.get(key)

    def _read_all(self) -> list[Item]:
        with self._reading() as table:
            return list(table.items.values())

    def _find(self, field: str, value: str) -> list[Item]:
        with self._reading() as table:
            return table.find(field, value)

    def _insert(self, key: str, item: Item, is_stamped: bool) -> None:
        with self._writing() as table:
            if key in table.items:
                raise condition_failed(PUT, self._named(key, "exists already"))
            table.save({key: item})

    def _change(self, key: str, changes: Item) -> None:
        with self._writing() as table:
            found = table.items.get(key)
            if found is None:
                raise condition_failed(UPDATE, self._named(key, "does not exist"))
            stamp = timestamps.shaped(found.get(timestamps.MODIFIED), timestamps.now())
            changed = found | ({timestamps.MODIFIED: stamp} if stamp else {}) | changes
            self._check_indexed(changed)
            check_size(changed)
            table.save({key: changed})

    def merge(self, items: Mapping[str, Item], overwrite: bool) -> Mapping[str, Item]:
        """See `DocumentStore`; all of them in one write."""
        with self._writing() as table:
            there = {key: table.items[key] for key in items if key in table.items}
            new = {key: item for key, item in items.items() if key not in there}
            if overwrite:
                new |= {key: items[key] for key, found in there.items() if not same_items(found, items[key])}
            if new:
                table.save(new)
            return there

    @contextmanager
    def _reading(self) -> Iterator[TableFile]:
        with self._locks.alone():
            self._make()
            self._table.refresh()
            yield self._table

    @contextmanager
    def _writing(self) -> Iterator[TableFile]:
        with self._locks.alone():
            self._make()
            with self._locks.processes:
                self._table.refresh()
                yield self._table

    def _make(self) -> None:
        """See to it that the file is there and ours: a file engine may keep its tables in this folder, too."""
        path = self._table.path
        if self._is_private:
            check_private(self.folder, self.table_name)
        if claimed(self.folder, self.table_name) and path.exists():
            return
        items = self._first_items(self._data_set)  # first: nothing is made from data that cannot be read
        make_folder(self.folder)
        if self._is_private:
            check_private(self.folder)
        with folder_lock(self.folder):
            if not claimed(self.folder, self.table_name) and path.exists() and not _is_list(path):
                raise ConfigurationError(
                    f"{path} is no list of items, but perhaps a table of the file engine: give documents another "
                    "folder (FILE_PERSISTENCE_DIR) or another table name"
                )
            with self._locks.processes:
                if not path.exists():
                    self._table.save(items, alone=True)

    def _first_items(self, data_set: str | None) -> dict[str, Item]:
        path = data_file(self._settings, data_set)
        if path is None:
            return {}
        content = read_data(path, self._settings.test_data_schema)
        names = (self.table_name, dynamo_table_name(self.table_name))
        return table_items(
            path,
            content,
            names,
            self.pk_name,
            lambda item: self.checked_item(with_key(item, self.pk_name, self.id_generator)),
        )


def default_folder() -> Path:
    """Where documents lie while FILE_PERSISTENCE_DIR names no folder."""
    return Path(tempfile.gettempdir()) / "bluestar-store"


def check_private(folder: Path, table: str | None = None) -> None:
    """ConfigurationError for a folder among the temporary ones that another user has made, or could change.

    So it is for a file of a `table` in it: anybody may make a folder of this name before us, with what he likes in it.
    Nothing is wrong with none.
    """
    try:
        found, above = folder.lstat(), folder.parent.stat()
    except FileNotFoundError:
        return
    if not _is_ours(found, stat.S_ISDIR) or (above.st_mode & OTHERS and not above.st_mode & stat.S_ISVTX):
        raise ConfigurationError(
            f"{folder} is not this user's own folder, or others may change it: set FILE_PERSISTENCE_DIR to another one"
        )
    for name in () if table is None else (f"{table}.json", claim_of(table), LOCK):
        path = folder / name
        try:
            is_ours = _is_ours(path.lstat(), stat.S_ISREG)
        except FileNotFoundError:
            continue
        if not is_ours:
            raise ConfigurationError(
                f"{path} is not this user's own file, or others may change it: delete it, or set FILE_PERSISTENCE_DIR"
            )


def _is_ours(found: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    return is_kind(found.st_mode) and found.st_uid == user_id() and not found.st_mode & OTHERS


def _is_list(path: Path) -> bool:
    with open_plain(path) as file:
        return file.read(64).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
