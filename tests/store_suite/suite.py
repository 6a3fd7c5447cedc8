"""The suite that a Store has to pass wherever its items live, in either layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import pytest

from bluestar_store.store import Store
from bluestar_store.testing.engine_case import SideDoor
from tests.store_suite.actors import ActorTests
from tests.store_suite.as_stored import AsStoredTests
from tests.store_suite.audit import AuditTests
from tests.store_suite.batches import BatchTests
from tests.store_suite.catalog import CatalogTests
from tests.store_suite.checks import CheckTests
from tests.store_suite.deletion import DeletionTests
from tests.store_suite.digests import DigestTests
from tests.store_suite.encryption import EncryptionTests
from tests.store_suite.foreign import ForeignItemTests
from tests.store_suite.incarnations import IncarnationTests
from tests.store_suite.pipelines import PipelineTests
from tests.store_suite.records import RecordTests
from tests.store_suite.replacement import ReplacementTests
from tests.store_suite.rules import RuleTests
from tests.store_suite.side_door import BeforeWrite, RawChange, RawGet, RawPut, before_writes, raw_change
from tests.store_suite.snapshot import SnapshotTests
from tests.store_suite.trails import TrailTests
from tests.store_suite.units import UnitTests
from tests.store_suite.unreadable import UnreadableTests
from tests.store_suite.workflow import WorkflowTests
from tests.store_suite.working import WorkingTests
from tests.store_suite.writes import WriteTests


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
    skipped. One that only has another engine below sets `every_rule` to False: what is left are the tests marked
    `every_engine`, those that an engine could break although it passes EngineSuite. With "slow" the others are left to
    `make test-slow`. See tests/README.md.
    """

    every_rule: ClassVar[Literal[True, False, "slow"]] = True
    """Also the rules that no engine can break."""

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
