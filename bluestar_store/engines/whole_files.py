"""Files that are replaced whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bluestar_store.disk import AS_BYTES, NO_LINK, in_doubt, keep_access, sync, sync_folder


def write_whole(path: Path, content: bytes, *, mode: int = 0o666, like: os.stat_result | None = None) -> None:
    """Replace a file, durably; see `replace_file`. InDoubtError, an OSError, where only the last step failed."""
    replace_file(path, (content,), mode=mode, like=like)
    with in_doubt():
        sync_names(path)


def replace_file(
    path: Path, parts: Iterable[bytes], *, mode: int = 0o666, like: os.stat_result | None = None
) -> os.stat_result:
    """Replace a file: a temporary one beside it, synced, then renamed over it. Returns what the new one is.

    A symbolic link stays, and the file that it leads to is replaced. A file that is there keeps owner, group and
    permissions, as far as this process may give them; a new one gets those of `like`, if given. `mode`: else the
    permissions of a new file, less what the process's umask takes; unless it is 0o666, the most that any file keeps.
    OSError, and nothing left behind, where it cannot be written, or is no plain file. The rename is durable once
    `sync_names` was called, too.
    """
    path = target_of(path)
    old = _plain_file(path) or like
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # of a process that was killed; it may have had other permissions
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | AS_BYTES | NO_LINK
    try:
        with os.fdopen(os.open(temporary, flags, mode if old is None else mode & 0o600), "wb") as file:
            file.writelines(parts)
            if old is not None:
                file.flush()
                keep_access(file.fileno(), old, 0o7777 if mode == 0o666 else mode)
            file.flush()
            sync(file.fileno())
            found = os.fstat(file.fileno())
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
