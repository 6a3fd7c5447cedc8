"""Files that are replaced whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, content: bytes, *, mode: int = 0o666) -> None:
    """Replace a file, durably. `mode`: its permissions, less what the process's umask takes."""
    replace_file(path, (content,), mode=mode)
    sync_folder(path.parent)


def replace_file(path: Path, parts: Iterable[bytes], *, mode: int = 0o666) -> os.stat_result:
    """Replace a file: a temporary one beside it, synced, then renamed over it. Returns what the new one is.

    The rename is durable once the folder is synced, too: see `sync_folder`.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())
        stat = os.fstat(file.fileno())
    temporary.replace(path)
    return stat


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
