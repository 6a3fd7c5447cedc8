"""Writes a local file atomically: to a temporary file that is read back and then renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from contextlib import suppress

from bluestar_store.disk import keep_access, new_mode, new_temporary, sync, walk
from bluestar_store.errors import AlreadyExistsError, FileStoreError
from bluestar_store.files.paths import TEMPORARY
from bluestar_store.files.streams import FileWriter


class LocalWriter(FileWriter):
    """Writes beside the file, under a name of its own, so that several may write at once."""

    def __init__(self, folder: int, name: str, path: str, if_absent: bool) -> None:
        super().__init__()
        self._name, self._path, self._if_absent = name, path, if_absent
        self._sum = hashlib.sha256()
        if if_absent and _is_there(folder, name):
            raise AlreadyExistsError(f"{path} is there already")
        self._folder = os.dup(folder)
        try:
            self._temporary, descriptor = new_temporary(
                ".", TEMPORARY, new_mode(os.fstat(self._folder)), folder=self._folder
            )
            self._file = os.fdopen(descriptor, "w+b")
        except BaseException:
            os.close(self._folder)
            raise

    def forked(self) -> None:
        """In a forked child: what waits in the buffer would be written a second time when it is collected."""
        super().forked()
        nowhere = os.open(os.devnull, os.O_RDWR)
        with suppress(AttributeError, ValueError):  # not open yet, or not any more
            os.dup2(nowhere, self._file.fileno(), inheritable=False)
        os.close(nowhere)

    def _take(self, data: memoryview) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self._sum.update(data)

    def _commit(self) -> None:
        try:
            self._file.flush()
            self._keep_access()
            sync(self._file.fileno())
            self._file.seek(0)
            if hashlib.file_digest(self._file, "sha256").digest() != self._sum.digest():
                raise FileStoreError(f"{self._path}: what was written reads differently; the disk may be damaged")
            self._put_in_place()
        except FileExistsError:
            raise AlreadyExistsError(f"{self._path} is there already") from None
        except OSError as error:
            raise self._failed(error) from error
        try:
            sync(self._folder)
        except OSError as error:
            raise FileStoreError(f"{self._path}: {error.strerror}; it was written, and may not stay") from error
        self._drop()

    def _keep_access(self) -> None:
        """Owner, group and permissions of the file that is replaced."""
        with suppress(FileNotFoundError):
            found = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode):
                keep_access(self._file.fileno(), found)

    def _put_in_place(self) -> None:
        here = {"src_dir_fd": self._folder, "dst_dir_fd": self._folder}

        def put() -> None:
            if self._if_absent:
                os.link(self._temporary, self._name, **here, follow_symlinks=False)
            else:
                os.rename(self._temporary, self._name, **here)

        in_place_of_empty(self._folder, self._name, put)

    def _drop(self) -> None:
        if self._folder < 0:
            return
        with suppress(OSError):  # what could not be written is not wanted any more
            self._file.close()
        with suppress(FileNotFoundError):  # renamed
            os.unlink(self._temporary, dir_fd=self._folder)
        os.close(self._folder)
        self._folder = -1

    def _failed(self, error: OSError) -> FileStoreError:
        reason = "a folder of that name is there" if error.errno == errno.EISDIR else error.strerror or error
        return FileStoreError(f"{self._path}: {reason}; nothing was written")


def in_place_of_empty(folder: int, name: str, put: Callable[[], None]) -> None:
    """Put something there, in place of folders without files if some were left there.

    IsADirectoryError for one that has files.
    """
    try:
        put()
        return
    except (IsADirectoryError, FileExistsError):
        if not _is_folder(folder, name):
            raise
    for _, folders, _, inside in walk(name, folder, topdown=False):
        for each in folders:
            with suppress(OSError):  # it has files
                os.rmdir(each, dir_fd=inside)
    with suppress(OSError):
        os.rmdir(name, dir_fd=folder)
    if _is_folder(folder, name):
        raise IsADirectoryError(errno.EISDIR, "a folder of that name is there", name)
    put()


def _is_folder(folder: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _is_there(folder: int, name: str) -> bool:
    try:
        return not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
