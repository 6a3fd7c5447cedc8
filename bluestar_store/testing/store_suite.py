"""The suite that a Store has to pass wherever its items live, in either layout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bluestar_store.store import Store
from bluestar_store.testing.engine_case import SideDoor
from bluestar_store.testing.side_door import BeforeWrite, RawChange, RawGet, RawPut, before_writes, raw_change
from bluestar_store.testing.store_suite_actors import ActorTests
from bluestar_store.testing.store_suite_as_stored import AsStoredTests
from bluestar_store.testing.store_suite_audit import AuditTests
from bluestar_store.testing.store_suite_batches import BatchTests
from bluestar_store.testing.store_suite_catalog import CatalogTests
from bluestar_store.testing.store_suite_checks import CheckTests
from bluestar_store.testing.store_suite_deletion import DeletionTests
from bluestar_store.testing.store_suite_digests import DigestTests
from bluestar_store.testing.store_suite_encryption import EncryptionTests
from bluestar_store.testing.store_suite_foreign import ForeignItemTests
from bluestar_store.testing.store_suite_incarnations import IncarnationTests
from bluestar_store.testing.store_suite_pipelines import PipelineTests
from bluestar_store.testing.store_suite_records import RecordTests
from bluestar_store.testing.store_suite_replacement import ReplacementTests
from bluestar_store.testing.store_suite_rules import RuleTests
from bluestar_store.testing.store_suite_snapshot import SnapshotTests
from bluestar_store.testing.store_suite_trails import TrailTests
from bluestar_store.testing.store_suite_units import UnitTests
from bluestar_store.testing.store_suite_unreadable import UnreadableTests
from bluestar_store.testing.store_suite_workflow import WorkflowTests
from bluestar_store.testing.store_suite_working import WorkingTests
from bluestar_store.testing.store_suite_writes import WriteTests


class StoreSuite(
    RuleTests,
    WriteTests,
    PipelineTests,
    ReplacementTests,
    ForeignItemTests,
    UnreadableTests,
    IncarnationTests,
    AsStoredTests,
    CatalogTests,
    RecordTests,
    SnapshotTests,
    UnitTests,
    CheckTests,
    WorkflowTests,
    WorkingTests,
    AuditTests,
    BatchTests,
    DeletionTests,
    TrailTests,
    DigestTests,
    ActorTests,
    EncryptionTests,
):
    """Every rule of the repositories. Subclass it in a test module, and give it two fixtures:

        class TestMyStore(StoreSuite):
            @pytest.fixture
            def store(self) -> Iterator[Store]: ...         # fresh: its tables, no items

            @pytest.fixture
            def door(self, store: Store) -> SideDoor: ...   # the items, past the code under test

    A target that does not isolate transactions sets `isolated_transactions` to False; the tests that need it are
    skipped.
    """

    isolated_transactions = True
    """Two writes of one item at the same time are kept apart."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        raise NotImplementedError

    @pytest.fixture
    def door(self, store: Store) -> SideDoor:
        raise NotImplementedError

    @pytest.fixture
    def raw_put(self, door: SideDoor) -> RawPut:
        return door.put

    @pytest.fixture
    def raw_get(self, door: SideDoor) -> RawGet:
        return door.get

    @pytest.fixture
    def change(self, raw_get: RawGet, raw_put: RawPut) -> RawChange:
        return raw_change(raw_get, raw_put)

    @pytest.fixture
    def before_write(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> BeforeWrite:
        return before_writes(store, monkeypatch)
