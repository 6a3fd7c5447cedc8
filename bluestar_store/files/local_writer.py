"""Writing a local file whole or not at all: a file beside it, read back, then named as the one that is meant."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from contextlib import suppress

from bluestar_store.errors import AlreadyExistsError, FileStoreError
from bluestar_store.files.paths import TEMPORARY
from bluestar_store.files.streams import FileWriter


class LocalWriter(FileWriter):
    """Writes beside the file, under a name of its own, so that several may write at once."""

    def __init__(self, folder: int, name: str, path: str, if_absent: bool) -> None:
        super().__init__()
        self._name, self._path, self._if_absent = name, path, if_absent
        self._temporary = f".{uuid.uuid4().hex}{TEMPORARY}"
        self._sum = hashlib.sha256()
        if if_absent and os.access(name, os.F_OK, dir_fd=folder):
            raise AlreadyExistsError(f"{path} is there already")
        self._folder = os.dup(folder)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            self._file = os.fdopen(os.open(self._temporary, flags, 0o666, dir_fd=self._folder), "w+b")
        except BaseException:
            os.close(self._folder)
            raise

    def _take(self, data: memoryview) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from error
        self._sum.update(data)

    def _commit(self) -> None:
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.seek(0)
            if hashlib.file_digest(self._file, "sha256").digest() != self._sum.digest():
                raise FileStoreError(f"{self._path}: what was written reads differently; the disk may be damaged")
            self._put_in_place()
            os.fsync(self._folder)
        except FileExistsError:
            raise AlreadyExistsError(f"{self._path} is there already") from None
        except OSError as error:
            raise self._failed(error) from error
        self._drop()

    def _put_in_place(self) -> None:
        here = {"src_dir_fd": self._folder, "dst_dir_fd": self._folder}
        if self._if_absent:
            os.link(self._temporary, self._name, **here, follow_symlinks=False)
            return
        try:
            os.rename(self._temporary, self._name, **here)
        except IsADirectoryError:  # an empty one, left when its files were deleted, is in nobody's way
            with suppress(OSError):
                os.rmdir(self._name, dir_fd=self._folder)
            os.rename(self._temporary, self._name, **here)

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
