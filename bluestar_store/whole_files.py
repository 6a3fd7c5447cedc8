"""Replaces files atomically: whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bluestar_store.disk import (
    POSIX,
    clean_temporaries,
    in_doubt,
    keep_access,
    new_mode,
    new_temporary,
    sync,
    sync_folder,
)


def write_whole(path: Path, content: bytes, *, most: int = 0o7777, like: os.stat_result | None = None) -> None:
    """Replace a file, durably; see `replace_file`. InDoubtError, an OSError, where only the last step failed."""
    replace_file(path, (content,), most=most, like=like)
    with in_doubt():
        sync_names(path)


def replace_file(
    path: Path, parts: Iterable[bytes], *, most: int = 0o7777, like: os.stat_result | None = None
) -> os.stat_result:
    """Replace a file: a temporary one beside it, synced, then renamed over it. Returns what the new one is.

    A symbolic link stays, and the file that it leads to is replaced. A file that is there keeps owner, group and
    permissions, as far as this process may give them, and of the permissions no more than `most`; a new one gets those
    of `like`, if given, and else is its owner's alone (see `new_mode`).
    OSError, and nothing left behind, where it cannot be written, or is no plain file. The rename is durable once
    `sync_names` was called, too.
    """
    path = target_of(path)
    old = _plain_file(path) or like
    clean_temporaries(f".{path.name}.", ".tmp", str(path.parent))
    mode = 0o600 if old is not None else new_mode(path.parent.stat()) & most
    name, descriptor = new_temporary(str(path.with_name(f".{path.name}.")), ".tmp", mode)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(parts)
            if old is not None:
                file.flush()
                keep_access(file.fileno(), old, most)
            file.flush()
            sync(file.fileno())
            found = os.fstat(file.fileno())
            if POSIX:  # while it is locked, or somebody could clean it away
                temporary.replace(path)
        if not POSIX:  # Windows renames no open file
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return found


def sync_names(*paths: Path) -> None:
    """Make durable that these files were made, replaced or deleted."""
    for folder in {target_of(path).parent for path in paths}:
        sync_folder(folder)


def target_of(path: Path) -> Path:
    """Where a path leads over symbolic links: the path itself where it is none."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _plain_file(path: Path) -> os.stat_result | None:
    """What is there, None when nothing is; OSError for a folder, a pipe, a device, or links that go in a circle."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if not stat.S_ISREG(found.st_mode):
        kind = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
        raise OSError(kind, "is no plain file", str(path))
    return found
