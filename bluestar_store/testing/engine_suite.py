"""The whole of what `protocols.Engine` promises, as one class of tests."""

from __future__ import annotations

from bluestar_store.testing.engine_as_read import AsReadSuite
from bluestar_store.testing.engine_bulk import BulkSuite
from bluestar_store.testing.engine_fits import FitsSuite
from bluestar_store.testing.engine_limits import LimitsSuite
from bluestar_store.testing.engine_queries import QuerySuite
from bluestar_store.testing.engine_reads import ReadSuite
from bluestar_store.testing.engine_tables import TableSuite
from bluestar_store.testing.engine_threads import ThreadSuite
from bluestar_store.testing.engine_values import ValueSuite
from bluestar_store.testing.engine_writes import WriteSuite


class EngineSuite(
    ReadSuite,
    QuerySuite,
    WriteSuite,
    AsReadSuite,
    FitsSuite,
    BulkSuite,
    ValueSuite,
    LimitsSuite,
    TableSuite,
    ThreadSuite,
):
    """Every rule of the engine seam. Subclass it, and give the fixtures of `EngineCase`:

        class TestMyEngine(EngineSuite):
            @pytest.fixture
            def specs(self) -> tuple[TableSpec, ...]: ...       # at least one with an index

            @pytest.fixture
            def engine(self, specs) -> Iterator[Engine]: ...    # fresh: these tables, no items

            @pytest.fixture
            def door(self, engine) -> SideDoor: ...             # the items, past the code under test

    A target that cannot do what DynamoDB does says so in the class attributes of `EngineCase`; the tests that need it
    are skipped with that reason.
    """
