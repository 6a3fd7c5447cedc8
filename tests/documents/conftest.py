"""A clean environment for documents, and the three places that the suite runs on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from bluestar_store.documents import DocumentStore, get_store
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.mapping.values import to_wire
from bluestar_store.testing.documents_case import KEY, StoreOpener

TABLE = "customer-orders"


@pytest.fixture(autouse=True)
def _clean_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's own says where documents are."""
    for name in ("PERSISTENCE_MODE", "FILE_PERSISTENCE_DIR", "TEST_DATA_FILE", "TEST_DATA_SET", "TEST_DATA_SCHEMA"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"BLUESTAR_{name}", raising=False)


@pytest.fixture
def file_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Mode file, in a folder of the test's own."""
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "documents"))
    return tmp_path / "documents"


@pytest.fixture
def moto_mode() -> Iterator[None]:
    """Mode dynamo, on an empty DynamoDB inside this process."""
    with mock_aws():
        yield


@pytest.fixture
def local_mode(dynamodb_local_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode dynamo, on DynamoDB Local, under a name that no other test uses."""
    monkeypatch.setenv("BLUESTAR_DYNAMODB_ENDPOINT_URL", dynamodb_local_url)
    monkeypatch.setenv("BLUESTAR_READ_TIMEOUT_SECONDS", "20")
    monkeypatch.setenv("CUSTOMER_ORDERS_DYNAMO_TABLE_NAME", f"customer-orders-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def open_here() -> StoreOpener:
    """The table of a test, in the mode of its environment."""
    return partial(get_store, TABLE, KEY)


class FileDoor:
    """Edits the file."""

    def __init__(self, store: DocumentStore) -> None:
        self._path = Path(store.location)

    def put(self, item: Mapping[str, Any]) -> None:
        items = [found for found in json.loads(self._path.read_text()) if found[KEY] != item[KEY]]
        temporary = self._path.with_suffix(".edited")
        temporary.write_text(json.dumps([item, *items], indent=4))
        temporary.replace(self._path)


class TableDoor:
    """Puts with a client of its own."""

    def __init__(self, store: DocumentStore, connect: Callable[[], AwsConnection]) -> None:
        self._table = store.location.rpartition(" ")[2]
        self._client = connect().connection.client

    def put(self, item: Mapping[str, Any]) -> None:
        wire = {name: to_wire(value) for name, value in item.items()}
        self._client.put_item(TableName=self._table, Item=wire)
