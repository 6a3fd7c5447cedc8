"""Files in a local folder. Every name is looked up from the folder above it, so no symbolic link is ever followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from bluestar_store.disk import (
    FOLDER,
    NO_LINK,
    NO_WAIT,
    clean_temporaries,
    make_folder,
    new_folder_mode,
    other_spelling,
    require_posix,
    sync,
    walk,
)
from bluestar_store.errors import FileMissingError, FileStoreError
from bluestar_store.files.local_writer import LocalWriter, in_place_of_empty
from bluestar_store.files.paths import TEMPORARY, InvalidPathError, check_new_path, checked_path, checked_prefix
from bluestar_store.files.protocol import FileInfo
from bluestar_store.files.streams import BINARY, FileWriter, StreamedFiles
from bluestar_store.redaction.tracebacks import without_locals

COPY_BYTES = 1024 * 1024


@without_locals
class LocalFileStore(StreamedFiles):
    """The folder is made at the first write. Content types are not kept; there are no links.

    What a killed process left half written lies in `.*.bluestar-tmp` files, which are never listed; the first write
    of a store into a folder deletes those that lie there. Where the file system takes names that differ in case only
    for one, a name is only there as it is spelled, and FileStoreError refuses to write another spelling of it.
    """

    def __init__(self, folder: str | Path) -> None:
        """Raises ConfigurationError on Windows."""
        require_posix("a local folder of files (file:///)")
        self.folder = Path(folder).absolute()
        self._cleaned: set[tuple[int, int]] = set()

    @property
    def location(self) -> str:
        """See `FileStore`."""
        return f"files in {self.folder}"

    def _reader(self, path: str) -> BinaryIO:
        with self._at(path) as (folder, name):
            _plain(folder, name, path)  # a pipe would wait for its writer
            return os.fdopen(os.open(name, os.O_RDONLY | NO_LINK | NO_WAIT, dir_fd=folder), "rb")

    def _writer(self, path: str, content_type: str, if_absent: bool) -> FileWriter:
        with self._at(path, make=True) as (folder, name):
            _check_spelling(folder, name, path)
            self._clean(folder)
            return LocalWriter(folder, name, path, if_absent)

    def _clean(self, folder: int) -> None:
        found = os.fstat(folder)
        identity = (found.st_dev, found.st_ino)
        if identity not in self._cleaned:
            self._cleaned.add(identity)
            clean_temporaries(".", TEMPORARY, folder)

    def _check_there(self, path: str) -> None:
        self.stat(path)

    def move(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        checked_path(dst)
        check_new_path(dst)
        with self._at(src) as (source, old):
            found = _plain(source, old, src)
            with self._at(dst, make=True) as (target, new):
                there = _no_link(target, new, dst)
                if there is None or not os.path.samestat(found, there):  # else it changes the case of its own name
                    _check_spelling(target, new, dst)
                in_place_of_empty(target, new, lambda: os.rename(old, new, src_dir_fd=source, dst_dir_fd=target))
                sync(target)
                sync(source)

    def copy(self, src: str, dst: str) -> None:
        """See `FileStore`."""
        checked_path(dst)
        check_new_path(dst)
        with self._reader(src) as source:
            if src != dst:
                with self._writer(dst, BINARY, False) as target:
                    copyfileobj(source, target, COPY_BYTES)

    def list_files(self, prefix: str = "") -> list[str]:
        """See `FileStore`."""
        above = checked_prefix(prefix).rpartition("/")[0]
        try:
            with self._at(f"{above}/" if above else "", check=False) as (folder, _):
                return sorted(path for path in _under(folder, f"{above}/" if above else "") if path.startswith(prefix))
        except FileMissingError:
            return []

    def delete(self, path: str) -> None:
        """See `FileStore`."""
        with suppress(FileMissingError), self._at(path) as (folder, name):
            _plain(folder, name, path)
            os.unlink(name, dir_fd=folder)
            sync(folder)

    def stat(self, path: str) -> FileInfo:
        """See `FileStore`."""
        with self._at(path) as (folder, name):
            found = _plain(folder, name, path)
        modified = datetime.fromtimestamp(found.st_mtime_ns / 1e9, UTC)
        etag = f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}"
        return FileInfo(path, found.st_size, modified, None, etag)

    def link(self, path: str, expires_seconds: int = 3600) -> str:
        """See `FileStore`."""
        self.stat(path)
        raise FileStoreError(f"{self.location}: a folder has no links that expire")

    def close(self) -> None:
        """Nothing to let go of."""

    @contextmanager
    def _at(self, path: str, *, make: bool = False, check: bool = True) -> Iterator[tuple[int, str]]:
        """The open folder that holds the file, and the file's name there; what fails in the block is translated."""
        *above, name = (checked_path(path) if check else path).split("/")
        folder = -1
        try:
            if make:
                make_folder(self.folder)
            folder = os.open(self.folder, FOLDER)
            for each in above:
                inner = _entered(folder, each, make)
                os.close(folder)
                folder = inner
            yield folder, name
        except OSError as error:
            raise self._translated(error, path) from error
        finally:
            if folder >= 0:
                os.close(folder)

    def _translated(self, error: OSError, path: str) -> FileStoreError:
        if error.errno == errno.ELOOP:
            return InvalidPathError(f"{path!r} is no path in a file store: it leads over a symbolic link")
        if isinstance(error, FileNotFoundError):
            return FileMissingError(f"{path} is not there ({self.location})")
        return FileStoreError(f"{path} ({self.location}): {error.strerror or error}")

    def __repr__(self) -> str:
        return f"LocalFileStore({str(self.folder)!r})"


def _entered(folder: int, name: str, make: bool) -> int:
    """The folder in the folder. A link in its place is ELOOP, a file FileNotFoundError unless it should be made."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, new_folder_mode(os.fstat(folder)), dir_fd=folder)
            sync(folder)
    try:
        if make:
            _check_spelling(folder, name, name)
        elif other_spelling(name, dir_fd=folder) is not None:
            raise FileNotFoundError(errno.ENOENT, "not there")
        return os.open(name, FOLDER | NO_LINK, dir_fd=folder)
    except NotADirectoryError:  # what Linux says of a link, too
        _no_link(folder, name, name)
        if make:
            raise
        raise FileNotFoundError(errno.ENOENT, "not there") from None


def _no_link(folder: int, name: str, path: str) -> os.stat_result | None:
    """What is there, or None. OSError(ELOOP) for a symbolic link."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link", path)
    return found


def _check_spelling(folder: int, name: str, path: str) -> None:
    """OSError where a write would be one to a link, or to another name, which the file system takes for the same."""
    _no_link(folder, name, path)
    if (there := other_spelling(name, dir_fd=folder)) is not None:
        raise FileExistsError(errno.EEXIST, f"{there} is there, which this file system takes for the same name")


def _plain(folder: int, name: str, path: str) -> os.stat_result:
    """What is known of the file; anything but a file is FileNotFoundError."""
    found = _no_link(folder, name, path)
    if found is None or not stat.S_ISREG(found.st_mode) or other_spelling(name, dir_fd=folder) is not None:
        raise FileNotFoundError(errno.ENOENT, "no file", path)
    return found


def _raise_unless_missing(error: OSError) -> None:
    """A folder that cannot be read is no empty one; one that was deleted meanwhile is."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _under(folder: int, prefix: str) -> Iterator[str]:
    """The paths of all files in the open folder; links and what is still being written are no files."""
    for base, folders, names, descriptor in walk(".", folder, onerror=_raise_unless_missing):
        inner = prefix + ("" if base == "." else f"{base[2:]}/")
        folders[:] = [name for name in folders if not name.endswith(TEMPORARY)]
        for name in names:
            with suppress(FileNotFoundError, InvalidPathError):  # deleted meanwhile, or by a name we would refuse
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield checked_path(inner + name)
