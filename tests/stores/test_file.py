"""The store suite in a folder; a second engine over the same folder is the side door."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestar_store import Store, TableLayout
from bluestar_store.testing import SideDoor
from tests.engines.test_suite_file import FileDoor
from tests.store_suite.suite import StoreSuite
from tests.stores.conftest import MakeStore


class TestFile(StoreSuite):
    every_rule = False

    @pytest.fixture(params=[TableLayout.SINGLE, pytest.param(TableLayout.PER_TABLE, marks=pytest.mark.slow)], ids=str)
    def layout(self, request: pytest.FixtureRequest) -> TableLayout:
        """The one in which everything lies beside each other; both are tried in memory."""
        return TableLayout(request.param)

    @pytest.fixture
    def store(self, make_store: MakeStore, layout: TableLayout, tmp_path: Path) -> Store:
        return make_store(persistence_mode="file", file_persistence_dir=tmp_path / "store", table_layout=layout)

    @pytest.fixture
    def door(self, store: Store, tmp_path: Path) -> SideDoor:
        return FileDoor(tmp_path / "store")
