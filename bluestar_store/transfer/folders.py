"""The folder of an export: made for its owner only, and used by one process at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bluestar_store import disk
from bluestar_store.disk import FOLDER, POSIX, lock
from bluestar_store.errors import FileMissingError, FileStoreError

_IN_USE = "{} is in use by another export or import"


def make_folder(folder: Path) -> None:
    """A folder for what has bank account numbers in it; FileStoreError when it cannot be."""
    try:
        disk.make_folder(folder)
    except (FileExistsError, NotADirectoryError):
        raise FileStoreError(f"{folder} is not a folder") from None
    except OSError as error:
        raise FileStoreError(f"{folder} cannot be made: {error.strerror}") from error


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder for this process: the lock ends with the process, however it dies.

    FileStoreError when another process has it, and instead of an OSError of the files in it.
    """
    if not folder.exists():
        raise FileMissingError(f"{folder} does not exist: nothing to {what}")
    try:
        with _alone(folder):
            yield
    except Timeout:
        raise FileStoreError(_IN_USE.format(folder)) from None
    except BrokenPipeError:  # of whoever reads our progress
        raise
    except OSError as error:
        raise FileStoreError(f"{error.filename or folder}: cannot {what}: {error.strerror}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The lock of the folder itself, so that no file is left; on Windows, which has none, of a file `.lock` in it."""
    if not POSIX:
        with FileLock(folder / ".lock", timeout=0):
            yield
        return
    descriptor = os.open(folder, FOLDER)
    try:
        try:
            lock(descriptor, wait=False)
        except BlockingIOError:
            raise FileStoreError(_IN_USE.format(folder)) from None
        yield
    finally:
        os.close(descriptor)
