"""Files by operating system: syncing, owners and permissions, and names that differ in case only.

What one system has and another lacks is looked up when it is used, so that the package can be imported on each.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from bluestar_store.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # Windows
    _HAS_FCNTL = False
else:
    _HAS_FCNTL = True

POSIX = sys.platform != "win32" and _HAS_FCNTL and hasattr(os, "O_DIRECTORY")
"""Whether there are locks that the kernel lets go of, and folders that can be opened and synced."""
AS_BYTES = getattr(os, "O_BINARY", 0)
"""A flag for `os.open`: Windows would make two bytes of each newline."""
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""A flag for `os.open`: a symbolic link is an error."""
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
"""A flag for `os.open`: of a pipe it does not wait for the other end."""
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
"""The flags for `os.open` of a folder."""

_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.ENOTTY)
"""What network shares say that cannot empty a drive's cache (F_FULLFSYNC), or have no syncing of folders."""


class InDoubtError(OSError):
    """A write that failed and may have been made. It may be found on disk later."""


@contextmanager
def in_doubt() -> Iterator[None]:
    """Raise an OSError of the block as an InDoubtError: the change before it is visible already."""
    try:
        yield
    except OSError as error:
        raise InDoubtError(error.errno, error.strerror, error.filename) from error


def require_posix(what: str) -> None:
    """Raise ConfigurationError on Windows."""
    if not POSIX:
        raise ConfigurationError(
            f"{what} needs Linux or macOS (on Windows: WSL); DynamoDB, memory, S3 and Azure work everywhere"
        )


def sync(descriptor: int) -> None:
    """Wait until the file, or the folder's names, are on disk."""
    # What macOS calls fsync leaves everything in the drive's cache.
    if sys.platform != "win32" and _HAS_FCNTL and (full := getattr(fcntl, "F_FULLFSYNC", None)) is not None:
        try:
            fcntl.fcntl(descriptor, full)
            return
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
    os.fsync(descriptor)


def sync_data(descriptor: int) -> None:
    """Wait until the file's content and size are on disk; its times may follow later."""
    if hasattr(os, "fdatasync"):
        os.fdatasync(descriptor)
    else:
        sync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until files made, renamed and deleted in the folder are on disk; on Windows, which cannot, do nothing."""
    if POSIX:
        descriptor = os.open(folder, FOLDER)
        try:
            sync(descriptor)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
        finally:
            os.close(descriptor)


def walk(name: str, folder: int, **options: Any) -> Iterator[tuple[str, list[str], list[str], int]]:
    """`os.fwalk` from an open folder, over no symbolic link. Not for Windows."""
    if sys.platform == "win32":
        raise NotImplementedError
    return os.fwalk(name, dir_fd=folder, follow_symlinks=False, **options)


def user_id() -> int:
    """Whose this process is. Not for Windows."""
    if sys.platform == "win32":
        raise NotImplementedError
    return os.getuid()


def lock(descriptor: int, *, wait: bool) -> None:
    """Lock an open file or folder until it is closed, by the kernel if need be. Not for Windows.

    BlockingIOError when somebody else has it, unless that is to be waited for.
    """
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def new_mode(folder: os.stat_result) -> int:
    """The permissions of a new file in the folder, less what the umask takes: its owner's alone.

    In a folder that gives its own group to what is made in it (setgid), and lets the group write, the group's too:
    there several users work together.
    """
    shared = stat.S_ISGID | stat.S_IWGRP
    return 0o660 if folder.st_mode & shared == shared else 0o600


def new_folder_mode(folder: os.stat_result) -> int:
    """The same of a new folder in the folder."""
    return 0o770 if new_mode(folder) == 0o660 else 0o700


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, each with `new_folder_mode`; one that is there stays so.

    FileExistsError where something else is there.
    """
    try:
        folder.mkdir(mode=new_folder_mode(folder.parent.stat()), exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        make_folder(folder.parent)
        folder.mkdir(mode=new_folder_mode(folder.parent.stat()), exist_ok=True)


def open_new(path: Path, mode: int = 0o600) -> BinaryIO:
    """A new file, to be written. FileExistsError where something is there."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | AS_BYTES | NO_LINK, mode), "wb")


def new_temporary(stem: str, suffix: str, mode: int, *, folder: int | None = None) -> tuple[str, int]:
    """The name and descriptor of a new file of a random name. It is locked, so that nobody deletes it while it is used.

    `stem` is how its name begins: a path, or a name in an open `folder`. See `clean_temporaries`.
    """
    while True:
        name = f"{stem}{secrets.token_hex(16)}{suffix}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | AS_BYTES | NO_LINK
        descriptor = os.open(name, flags, mode, dir_fd=folder)
        try:
            with suppress(OSError):  # a share without locks: then it is not cleaned away, either
                lock(descriptor, wait=True)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
        except BaseException:
            os.close(descriptor)
            os.unlink(name, dir_fd=folder)
            raise
        os.close(descriptor)  # somebody cleaned it away before it was locked


def clean_temporaries(stem: str, suffix: str, folder: str | int) -> None:
    """Delete temporary files of killed processes: those in the folder with such names that no process has locked."""
    place: dict[str, Any] = {"dir_fd": folder} if isinstance(folder, int) else {}
    for name in os.listdir(folder):
        if name.startswith(stem) and name.endswith(suffix):
            with suppress(OSError):  # another one's to clean, or cleaned meanwhile; no reason to fail a write
                path = name if isinstance(folder, int) else os.path.join(folder, name)
                descriptor = os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT, **place)
                try:
                    lock(descriptor, wait=False)
                    os.unlink(path, **place)
                finally:
                    os.close(descriptor)


def open_plain(path: Path, access: int = os.O_RDONLY) -> BinaryIO:
    """A file to be read. OSError where there is none, or no plain file: a pipe or a device never ends.

    `access` O_RDWR: its descriptor may be written.
    """
    file = os.fdopen(os.open(path, access | AS_BYTES | NO_WAIT), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is no plain file", str(path))
    return file


def read_plain(path: Path, most: int = 64 * 1024 * 1024) -> bytes:
    """The content of a plain file, see `open_plain`; OSError too where it has more bytes than `most`."""
    with open_plain(path) as file:
        return read_most(file, most)


def read_most(file: BinaryIO, most: int) -> bytes:
    """All of an open file; OSError where it has more bytes than `most`."""
    size = os.fstat(file.fileno()).st_size
    content = file.read(size + 1) if size <= most else b""  # which takes as much memory as it is told to read
    while size <= most and len(content) > size:  # it has grown meanwhile
        size = len(content)
        content += file.read(size)
    if size > most:
        raise OSError(errno.EFBIG, f"is over {most // 1024**2} MB")
    return content


def keep_access(descriptor: int, found: os.stat_result, most: int = 0o7777) -> None:
    """Give an open file the owner, group and permissions of the one that it will replace, as far as is permitted.

    A group that cannot be kept leaves the new one no more rights than everybody has.
    """
    if sys.platform == "win32" or not hasattr(os, "fchown"):
        return
    mode, ours = found.st_mode & most, os.fstat(descriptor)
    if ours.st_gid != found.st_gid and not _chown(descriptor, -1, found.st_gid):
        mode = mode & ~0o2070 | (mode & 0o007) << 3
    if ours.st_uid != found.st_uid and not _chown(descriptor, found.st_uid, -1):
        mode &= ~0o4000
    if os.fstat(descriptor).st_mode & 0o7777 != mode:  # last: a change of owner takes bits away
        with suppress(OSError):  # not every file system has them
            os.fchmod(descriptor, mode)


def _chown(descriptor: int, user: int, group: int) -> bool:
    if sys.platform != "win32":
        try:
            os.fchown(descriptor, user, group)
        except OSError:
            return False
    return True


def real_spelling(path: Path) -> Path:
    """The real path with its names in the case that they have on disk, however the given path spells them."""
    real = Path(os.path.realpath(path))
    for part in [real, *real.parents][-2::-1]:
        if (name := other_spelling(part)) is not None:
            return real_spelling(part.with_name(name) / real.relative_to(part))
    return real


def other_spelling(path: str | Path, *, dir_fd: int | None = None) -> str | None:
    """The name that a file has instead of the path's, where the file system takes names that differ in case for one.

    None where the file's name is just that, and where there is none.
    """
    folder, name = os.path.split(path)
    try:
        found = os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        swapped = os.stat(os.path.join(folder, name.swapcase()), dir_fd=dir_fd, follow_symlinks=False)
    except OSError:
        return None
    if not os.path.samestat(found, swapped):
        return None
    names = os.listdir(folder or "." if dir_fd is None else dir_fd)
    alike = (each for each in names if each.casefold() == name.casefold())
    return None if name in names else next(alike, name.swapcase())
