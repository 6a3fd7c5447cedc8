"""Locks of a folder that several processes use, and the translation of its OSErrors."""

from __future__ import annotations

import errno
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bluestar_store.disk import InDoubtError, new_mode, open_new
from bluestar_store.errors import AccessDeniedError, ConfigurationError, UnavailableError

LOCK = ".lock"
"""The file that is the lock over which tables there are in the folder."""
LOCK_TIMEOUT_SECONDS = 60.0
"""How long a call waits for other processes."""


def claim_of(table: str) -> str:
    """The name of the file that marks `{table}.json` as somebody else's than the file engine's; it is a lock, too."""
    return f".{table}.documents.lock"


def claimed(folder: Path, table: str) -> bool:
    """Whether `{table}.json` is, or is about to be, somebody else's than the file engine's."""
    return (folder / claim_of(table)).exists()


def folder_lock(folder: Path, timeout_seconds: float = LOCK_TIMEOUT_SECONDS, *, name: str = LOCK) -> FileLock:
    """A lock that processes share: by default the one over which tables there are in the folder."""
    # Asked every millisecond: with the default of 50 a contended write would wait longer than it takes.
    return _Lock(folder / name, timeout=timeout_seconds, poll_interval=0.001, thread_local=False)


class FolderLocks:
    """Who may look into a folder: one thread of a process at a time, and one process at a time may write.

    `processes` is the lock that processes share, to be held inside of `alone`.
    """

    def __init__(self, folder: Path, timeout_seconds: float = LOCK_TIMEOUT_SECONDS, *, name: str = LOCK) -> None:
        self._folder, self._timeout_seconds, self._name = folder, timeout_seconds, name
        self.forked()

    def forked(self) -> None:
        """In a forked child: locks that no thread of its parent's holds."""
        self._threads = threading.RLock()
        self.processes = folder_lock(self._folder, self._timeout_seconds, name=self._name)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other threads out of the block, and raise its OSErrors as the library's errors."""
        with self._threads, folder_failures(self._folder):
            yield


class _Lock(FileLock):
    """A lock whose file is made for whom the folder is for: whoever can open it can keep all others waiting."""

    def _acquire(self) -> None:
        path = Path(self.lock_file)
        with suppress(OSError):  # it is there, or cannot be made: the lock itself says so
            open_new(path, new_mode(path.parent.stat())).close()
        with suppress(OSError):  # filelock 3.20 sets the mode of a file that is there, too: to what it is
            self._context.mode = stat.S_IMODE(path.stat().st_mode)
        super()._acquire()


@contextmanager
def folder_failures(folder: Path) -> Iterator[None]:
    """Our errors instead of the system's."""
    try:
        yield
    except Timeout:
        raise UnavailableError(f"{folder}: another process has held its lock for too long") from None
    except (NotADirectoryError, FileExistsError):
        raise ConfigurationError(f"BLUESTAR_FILE_PERSISTENCE_DIR (or --dir) {folder} is not a folder") from None
    except OSError as error:
        kind = AccessDeniedError if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else UnavailableError
        failure = kind(f"{error.filename or folder}: {error.strerror}")
        failure.outcome_unknown = isinstance(error, InDoubtError)
        raise failure from error
