"""The engine suite on the file engine; a second engine over the same folder is the side door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Put, TableSpec
from bluestar_store.testing import EngineSuite


class FileDoor:
    """Another process's view of the folder: a new engine for each call, so that nothing is remembered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, table: str, item: Item) -> None:
        FileEngine(self._folder).write(Put(table, item))

    def get(self, table: str, key: Key) -> Item | None:
        return FileEngine(self._folder).get(table, [key]).get(key)


class TestFileEngine(EngineSuite):
    @pytest.fixture
    def specs(self, layout_specs: tuple[TableSpec, ...]) -> tuple[TableSpec, ...]:
        return layout_specs

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...], tmp_path: Path) -> Iterator[FileEngine]:
        engine = FileEngine(tmp_path / "store")
        engine.create_tables(specs)
        yield engine
        engine.close()

    @pytest.fixture
    def door(self, engine: FileEngine) -> FileDoor:
        return FileDoor(engine.folder)
