"""The engine suite on the memory engine."""

from __future__ import annotations

import pytest

from bluestar_store.engines.checks import checked_item
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.errors import InvalidWriteError
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


def test_the_name_of_an_attribute_may_have_64_kb_less_one() -> None:
    """Here, since DynamoDB Local takes no such name: see the suite."""
    item = {"PK": {"S": "A"}, "SK": {"S": "A"}, "n" * (64 * 1024 - 1): {"S": "x"}}
    assert checked_item("t", item) == item
    with pytest.raises(InvalidWriteError, match="65535 bytes"):
        checked_item("t", item | {"n" * (64 * 1024): {"S": "x"}})
