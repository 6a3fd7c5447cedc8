"""The suite of documents in both modes: on moto, on DynamoDB Local, and in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestar_store.documents import DocumentStore, FileStore, PynamoStore
from bluestar_store.testing.documents_case import StoreOpener
from bluestar_store.testing.documents_suite import DocumentsSuite
from tests.documents.conftest import FileDoor, TableDoor
from tests.engines.conftest import connection_to


class TestFile(DocumentsSuite):
    @pytest.fixture
    def open_store(self, file_mode: Path, open_here: StoreOpener) -> StoreOpener:
        return open_here

    @pytest.fixture
    def door(self, store: DocumentStore) -> FileDoor:
        return FileDoor(store)

    def test_it_is_the_class_of_the_mode(self, store: DocumentStore) -> None:
        assert type(store) is FileStore


class TestMoto(DocumentsSuite):
    many_threads = False  # two of its writes at once may fail, or both succeed
    large_updates = False  # it counts what an update replaces, and recurses over its fields
    checks_whole_updates = False

    @pytest.fixture
    def open_store(self, moto_mode: None, open_here: StoreOpener) -> StoreOpener:
        return open_here

    @pytest.fixture
    def door(self, store: DocumentStore) -> TableDoor:
        return TableDoor(store, lambda: connection_to(None))

    def test_it_is_the_class_of_the_mode(self, store: DocumentStore) -> None:
        assert type(store) is PynamoStore


class TestDynamoDbLocal(DocumentsSuite):
    @pytest.fixture
    def open_store(self, local_mode: None, open_here: StoreOpener) -> StoreOpener:
        return open_here

    @pytest.fixture
    def door(self, store: DocumentStore, dynamodb_local_url: str) -> TableDoor:
        return TableDoor(store, lambda: connection_to(dynamodb_local_url))
