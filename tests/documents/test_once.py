"""Documents on DynamoDB, with replies that are lost: each write is applied once, and nobody is told what is not so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluestar_store.documents import PynamoStore, import_documents
from bluestar_store.errors import UnavailableError
from bluestar_store.testing.documents_case import EXISTS_OR_NOT, refused
from tests.documents.conftest import TABLE
from tests.servers import FaultProxy

STAMPED = {"created": "2026-01-02", "modified": "2026-01-02"}
"""What an item brings, so that another one can be its equal."""


@pytest.fixture
def other(local_mode: None) -> PynamoStore:
    """The store of another process, whose replies arrive."""
    return PynamoStore(TABLE, "orderId")


@pytest.fixture
def proxy(fault_proxy: Callable[[str], FaultProxy], dynamodb_local_url: str) -> FaultProxy:
    return fault_proxy(dynamodb_local_url)


class Unlucky:
    """A store whose replies may be lost; what others do meanwhile is done before it asks again."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.store, self._proxy = PynamoStore(TABLE, "orderId"), proxy
        self._seconds = 0.0
        self.store._engine._clock = lambda: self._seconds

    def loses(self, meanwhile: Callable[[], object] = lambda: None, *, stopped_seconds: float = 1) -> PynamoStore:
        """The store, whose next write is applied, and the reply lost."""

        def pause(_: float) -> None:
            self._seconds += stopped_seconds
            meanwhile()

        self.store._engine._sleep = pause
        self._proxy.clear()
        self._proxy.cut_reply("TransactWriteItems")
        return self.store

    def fails(self, meanwhile: Callable[[], object]) -> PynamoStore:
        """The store, whose next write is not applied, and nobody says so."""
        self.loses(meanwhile)
        self._proxy.clear()
        self._proxy.add_rule(
            {"operation": "TransactWriteItems", "times": 1, "error": {"code": "InternalServerError", "status": 500}}
        )
        return self.store


@pytest.fixture
def unlucky(other: PynamoStore, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unlucky]:
    monkeypatch.setenv("BLUESTAR_DYNAMODB_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("BLUESTAR_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("BLUESTAR_READ_TIMEOUT_SECONDS", "120")  # what is given up could still be applied, and too late
    made = Unlucky(proxy)
    yield made
    made.store._connection.close()


def total(store: PynamoStore) -> Any:
    found = store.get("A1")
    assert found is not None
    return found["total"]


def test_a_create_whose_reply_was_lost_is_done_whatever_others_did_meanwhile(
    unlucky: Unlucky, other: PynamoStore
) -> None:
    created = unlucky.loses().create({"orderId": "A1", "tags": {"b", "a"}, "total": 5})
    assert other.get("A1") == created
    assert unlucky.loses(lambda: other.update_fields("B2", {"total": 6})).create({"orderId": "B2"})["orderId"] == "B2"
    with refused(EXISTS_OR_NOT, "PutItem"):
        unlucky.loses().create({"orderId": "A1", "tags": {"b", "a"}, "total": 5})
    assert [found["orderId"] for found in other.list()] == ["A1", "B2"]


def test_an_update_whose_reply_was_lost_does_not_come_back_over_a_newer_value(
    unlucky: Unlucky, other: PynamoStore
) -> None:
    other.create({"orderId": "A1", "total": 5})
    unlucky.loses(lambda: other.update_fields("A1", {"total": 7})).update_fields("A1", {"total": 6})
    assert total(other) == 7
    unlucky.loses(lambda: other.update_fields("A1", {"softDelete": False})).soft_delete("A1")
    assert [found["orderId"] for found in other.list()] == ["A1"]


def test_an_import_whose_reply_was_lost_does_not_come_back_over_a_newer_value(
    unlucky: Unlucky, other: PynamoStore, tmp_path: Path
) -> None:
    path = tmp_path / "items.json"
    path.write_text(json.dumps({TABLE: [{"orderId": "A1", "total": 6}]}))
    for newer, overwrite in ((7, False), (8, True)):
        store = unlucky.loses(partial(other.update_fields, "A1", {"total": newer}))
        (done,) = import_documents([store], path, overwrite=overwrite)
        assert (done.written, done.overwritten) == (not overwrite, overwrite)
        assert total(other) == newer


def test_of_two_that_create_equal_items_one_at_most_is_told_that_it_did(unlucky: Unlucky, other: PynamoStore) -> None:
    item = {"orderId": "A1", "total": 5, **STAMPED}
    with pytest.raises(UnavailableError) as raised:  # it may have been the first
        unlucky.fails(lambda: other.create(item)).create(item)
    assert raised.value.outcome_unknown
    assert other.get("A1") == item


def test_of_many_that_create_equal_items_and_lose_replies_one_is_told_that_it_did(
    unlucky: Unlucky, proxy: FaultProxy
) -> None:
    unlucky.loses()
    proxy.clear()
    proxy.cut_reply("TransactWriteItems", times=6)

    def create(_: int) -> bool:
        try:
            unlucky.store.create({"orderId": "A1", **STAMPED})
        except (ClientError, UnavailableError):  # refused, and the reply to that may have been lost
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(create, range(8)))[-2:] == [False, True]


@pytest.mark.parametrize("change", ["create an equal", "update_fields", "soft_delete"])
def test_after_a_long_stop_a_write_is_not_sent_again_and_its_outcome_is_unknown(
    change: str, unlucky: Unlucky, other: PynamoStore
) -> None:
    calls: dict[str, Callable[[PynamoStore], object]] = {
        "create an equal": lambda store: store.create({"orderId": "B2", **STAMPED}),
        "update_fields": lambda store: store.update_fields("A1", {"total": 6}),
        "soft_delete": lambda store: store.soft_delete("A1"),
    }
    other.create({"orderId": "A1", "total": 5})
    newer = {"total": 7, "softDelete": False}
    store = unlucky.loses(lambda: other.update_fields("A1", newer), stopped_seconds=601)
    with pytest.raises(UnavailableError) as raised:
        calls[change](store)
    assert raised.value.outcome_unknown
    assert total(other) == 7
    assert [found["orderId"] for found in other.list()] == ["A1", "B2"][: 2 if change == "create an equal" else 1]


def test_after_a_long_stop_a_create_knows_its_item_by_its_time_even_when_others_changed_it(
    unlucky: Unlucky, other: PynamoStore
) -> None:
    store = unlucky.loses(lambda: other.update_fields("A1", {"total": 7}), stopped_seconds=601)
    assert store.create({"orderId": "A1", "total": 5})["total"] == 5
    assert total(other) == 7
