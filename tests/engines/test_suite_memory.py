"""The engine suite on the memory engine."""

from __future__ import annotations

import pytest

from bluestar_store.engines.memory import MemoryEngine
from bluestar_store.protocols import TableSpec
from bluestar_store.testing import EngineSuite
from tests.engines.doors import MemoryDoor


class TestMemoryEngine(EngineSuite):
    @pytest.fixture
    def specs(self, layout_specs: tuple[TableSpec, ...]) -> tuple[TableSpec, ...]:
        return layout_specs

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...]) -> MemoryEngine:
        engine = MemoryEngine()
        engine.create_tables(specs)
        return engine

    @pytest.fixture
    def door(self, engine: MemoryEngine) -> MemoryDoor:
        return MemoryDoor(engine)
