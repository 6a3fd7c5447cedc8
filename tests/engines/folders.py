"""Folders for the tests of the file engine, and what people do to them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.file.journal_mark import NAME as MARK
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Put
from bluestar_store.testing.engine_case import all_pages, item

TABLE, OTHER = "bluestar-one", "bluestar-two"
KEY = Key("A", "A")


def opened(engine: FileEngine) -> FileEngine:
    """The same folder as another process sees it."""
    return FileEngine(engine.folder)


def content(engine: FileEngine, table: str = TABLE) -> list[Item]:
    first = engine.scan(table)
    return all_pages(first, lambda cursor: engine.scan(table, cursor=cursor))


def path_of(engine: FileEngine, table: str = TABLE) -> Path:
    return engine.folder / f"{table}.json"


def rewrite(path: Path, text: str | bytes) -> None:
    """What an editor does: the file is replaced, and has another stamp whatever the clock says."""
    temporary = path.with_suffix(".edited")
    temporary.write_bytes(text.encode() if isinstance(text, str) else text)
    temporary.replace(path)


def attempts(engine: FileEngine) -> list[Callable[[], object]]:
    """Reads and writes."""
    return [
        lambda: engine.get(TABLE, [KEY]),
        lambda: engine.scan(OTHER),
        lambda: engine.write(Put(TABLE, item("NEW"))),
        lambda: engine.put_many(OTHER, [item("NEW")]),
    ]


def contents_of(folder: Path) -> dict[str, bytes]:
    """Each file but for the lock, and the note on how much of the journal is known to be on disk."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (".lock", MARK)}


def fill_the_disk(monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    """os.write takes so many bytes, then there is no room; what others write through it is not disturbed."""
    real_write = os.write
    left = written

    def full(descriptor: int, data: Any) -> int:
        nonlocal left
        if left > 0:
            taken = real_write(descriptor, bytes(data)[:left])
            left -= taken
            return taken
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
