"""The folder of an export: made for its owner only, and used by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bluestar_store.errors import FileMissingError, FileStoreError


def make_folder(folder: Path) -> None:
    """A folder for what has bank account numbers in it; FileStoreError when it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise FileStoreError(f"{folder} is not a folder") from None
    except OSError as error:
        raise FileStoreError(f"{folder} cannot be made: {error.strerror}") from error


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder for this process: the kernel lets go of it, whenever the process dies, and no file is left.

    FileStoreError when another process has it, and instead of an OSError of the files in it.
    """
    if not folder.exists():
        raise FileMissingError(f"{folder} does not exist: nothing to {what}")
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, folder)
            yield
        finally:
            os.close(descriptor)
    except BrokenPipeError:  # of whoever reads our progress
        raise
    except OSError as error:
        raise FileStoreError(f"{error.filename or folder}: cannot {what}: {error.strerror}") from error


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileStoreError(f"{folder} is in use by another export or import") from None
