"""Rules of documents: indexes on chosen fields."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store.documents import DocumentStore
from bluestar_store.errors import ConfigurationError
from bluestar_store.testing.documents_case import INVALID, DocumentsCase, DocumentsDoor, StoreOpener, refused


def keys(found: list[dict[str, Any]]) -> list[str]:
    return [one["orderId"] for one in found]


class DocumentsFind(DocumentsCase):
    """See `documents_suite`."""

    @pytest.fixture
    def indexed(self, open_store: StoreOpener) -> DocumentStore:
        return open_store(indexes=("status", "customer"))

    def test_items_are_found_by_an_indexed_field_in_the_order_of_their_keys(self, indexed: DocumentStore) -> None:
        for key, status in (("B2", "open"), ("A1", "open"), ("C3", "paid"), ("D4", None)):
            indexed.create({"orderId": key, "customer": "ACME"} | ({"status": status} if status else {}))
        assert keys(indexed.find("status", "open")) == ["A1", "B2"]
        assert indexed.find("status", "open")[0] == indexed.get("A1")
        assert keys(indexed.find("customer", "ACME")) == ["A1", "B2", "C3", "D4"]
        assert indexed.find("status", "other") == []

    def test_what_is_found_is_as_it_is_now(self, indexed: DocumentStore) -> None:
        indexed.create({"orderId": "A1", "status": "open"})
        indexed.update_fields("A1", {"status": "paid"})
        assert indexed.find("status", "open") == []
        assert keys(indexed.find("status", "paid")) == ["A1"]
        indexed.soft_delete("A1")
        assert indexed.find("status", "paid") == []
        assert keys(indexed.find("status", "paid", hide_soft_deleted=False)) == ["A1"]

    def test_many_are_found_whole(self, indexed: DocumentStore) -> None:
        """More than one BatchGetItem takes."""
        for number in range(130):
            indexed.create({"orderId": f"A{number:03d}", "status": "open"})
        assert keys(indexed.find("status", "open")) == [f"A{number:03d}" for number in range(130)]

    def test_items_of_other_programs_are_found(self, indexed: DocumentStore, door: DocumentsDoor) -> None:
        door.put({"orderId": "A1", "status": "open"})
        assert keys(indexed.find("status", "open")) == ["A1"]

    def test_a_table_that_is_there_gets_the_index(self, store: DocumentStore, open_store: StoreOpener) -> None:
        store.create({"orderId": "A1", "status": "open"})
        indexed = open_store(indexes=["status"])
        assert keys(indexed.find("status", "open")) == ["A1"]
        assert keys(open_store(indexes="status").find("status", "open")) == ["A1"]
        assert keys(store.list()) == ["A1"]

    def test_items_whose_field_is_no_text_stay_out_of_an_index_made_later(
        self, store: DocumentStore, open_store: StoreOpener
    ) -> None:
        for key, status in (("A1", 5), ("B2", "open"), ("C3", 6), ("D4", "")):
            store.create({"orderId": key, "status": status})
        indexed = open_store(indexes=["status"])
        assert keys(indexed.find("status", "open")) == ["B2"]
        assert keys(indexed.list()) == ["A1", "B2", "C3", "D4"]
        if self.checks_whole_updates:
            with refused(INVALID, "UpdateItem"):
                indexed.update_fields("A1", {"total": 1})
        indexed.update_fields("C3", {"status": "open"})
        assert keys(indexed.find("status", "open")) == ["B2", "C3"]

    def test_a_field_without_an_index_is_told(self, indexed: DocumentStore) -> None:
        with pytest.raises(ConfigurationError, match=r"no index on 'total'.*indexes=\('total',\)"):
            indexed.find("total", "5")

    @pytest.mark.parametrize("value", [5, True, None, "", ["open"], "x" * 2049], ids=lambda value: str(value)[:5])
    def test_the_value_of_an_indexed_field_is_a_text(self, value: Any, indexed: DocumentStore) -> None:
        indexed.create({"orderId": "B2"})
        with refused(INVALID, "PutItem", "status"):
            indexed.create({"orderId": "A1", "status": value})
        with refused(INVALID, "Query", "status"):
            indexed.find("status", value)
        if value is not None:
            with refused(INVALID, "UpdateItem", "status"):
                indexed.update_fields("B2", {"status": value})
        assert keys(indexed.list()) == ["B2"]

    def test_a_soft_field_cannot_be_an_indexed_one(self, indexed: DocumentStore) -> None:
        indexed.create({"orderId": "B2"})
        with refused(INVALID, "UpdateItem", "status"):
            indexed.soft_delete("B2", soft_field="status")
