"""Rules of documents: what create, update_fields and soft_delete do, and what list and get show of it."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluestar_store.documents import DocumentStore, DynamoStore
from bluestar_store.testing.documents_case import (
    EXISTS_OR_NOT,
    INVALID,
    DocumentsCase,
    DocumentsDoor,
    StoreOpener,
    refused,
    without_times,
)


class DocumentsWrites(DocumentsCase):
    """See `documents_suite`."""

    def test_it_is_a_dynamo_store(self, store: DocumentStore) -> None:
        assert isinstance(store, DynamoStore)
        assert store.location in repr(store)

    def test_an_empty_table_has_no_items(self, store: DocumentStore) -> None:
        assert store.list() == []
        assert store.get("A1") is None

    def test_what_was_created_is_there_for_every_store_of_the_table(
        self, store: DocumentStore, open_store: StoreOpener
    ) -> None:
        created = store.create({"orderId": "A1", "status": "open", "lines": [{"sku": "x", "count": 2}]})
        for one in (store, open_store()):
            assert one.get("A1") == created
            assert one.list() == [created]
        assert without_times(created) == {"orderId": "A1", "status": "open", "lines": [{"sku": "x", "count": 2}]}

    def test_creating_what_exists_is_refused_and_changes_nothing(self, store: DocumentStore) -> None:
        first = store.create({"orderId": "A1", "status": "open"})
        with refused(EXISTS_OR_NOT, "PutItem", "'A1' exists already"):
            store.create({"orderId": "A1", "status": "other"})
        with refused(EXISTS_OR_NOT, "PutItem"):
            store.create(first)
        store.soft_delete("A1")
        with refused(EXISTS_OR_NOT, "PutItem"):
            store.create({"orderId": "A1"})
        assert store.get("A1") != first
        assert [found["status"] for found in store.list(hide_soft_deleted=False)] == ["open"]

    def test_an_update_sets_its_fields_and_leaves_the_others(self, store: DocumentStore) -> None:
        store.create(
            {"orderId": "A1", "status": "open", "total": 5, "tags": ["a", "b"], "to": {"zip": "1", "city": "X"}}
        )
        store.update_fields("A1", {"status": "paid", "tags": ["c"], "to": {"zip": "2"}, "new.name #1": {"a": []}})
        assert without_times(store.get("A1")) == {
            "orderId": "A1",
            "status": "paid",
            "total": 5,
            "tags": ["c"],
            "to": {"zip": "2"},
            "new.name #1": {"a": []},
        }

    def test_none_leaves_a_field_as_it_is_and_the_key_never_changes(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "status": "open", "total": 5})
        store.update_fields("A1", {"orderId": "B2", "status": None, "total": 6})
        assert without_times(store.get("A1")) == {"orderId": "A1", "status": "open", "total": 6}
        assert store.get("B2") is None

    def test_an_update_of_no_fields_still_needs_the_item(self, store: DocumentStore) -> None:
        first = store.create({"orderId": "A1", "status": "open"})
        store.update_fields("A1", {})
        assert without_times(store.get("A1")) == without_times(first)
        with refused(EXISTS_OR_NOT, "UpdateItem", "'B2' does not exist"):
            store.update_fields("B2", {})

    def test_changing_what_does_not_exist_is_refused_and_makes_nothing(self, store: DocumentStore) -> None:
        with refused(EXISTS_OR_NOT, "UpdateItem", "'A1' does not exist"):
            store.update_fields("A1", {"status": "paid"})
        with refused(EXISTS_OR_NOT, "UpdateItem", "'A1' does not exist"):
            store.update_fields("A1", {"modified": "mine"})
        with refused(EXISTS_OR_NOT, "UpdateItem", "'A1' does not exist"):
            store.soft_delete("A1")
        assert store.list(hide_soft_deleted=False) == []

    def test_a_soft_deleted_item_is_hidden_from_lists_and_can_still_be_had(self, store: DocumentStore) -> None:
        for key in ("A1", "B2"):
            store.create({"orderId": key})
        store.soft_delete("A1")
        assert [found["orderId"] for found in store.list()] == ["B2"]
        assert [found["orderId"] for found in store.list(hide_soft_deleted=False)] == ["A1", "B2"]
        found = store.get("A1")
        assert found is not None
        assert found["softDelete"] is True
        store.soft_delete("A1")
        store.update_fields("A1", {"softDelete": False})
        assert [found["orderId"] for found in store.list()] == ["A1", "B2"]

    def test_only_soft_delete_hides_whatever_field_is_set(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1"})
        store.soft_delete("A1", soft_field="archived")
        assert [found["archived"] for found in store.list()] == [True]
        with refused(INVALID, "UpdateItem", "is the key"):
            store.soft_delete("A1", soft_field="orderId")
        with refused(INVALID, "UpdateItem"):
            store.soft_delete("A1", soft_field="")

    def test_a_list_is_in_the_order_of_the_keys_and_so_are_names(self, store: DocumentStore) -> None:
        for key in ("b", "a10", "B", "a9", "é", "\U0001f600", "\uffee"):
            store.create({"z": 1, "orderId": key, "a": {"z": 1, "b": {"y": 1, "x": 2}}})
        found = store.list()
        assert [one["orderId"] for one in found] == ["B", "a10", "a9", "b", "é", "\uffee", "\U0001f600"]
        assert list(found[0]) == ["a", "created", "modified", "orderId", "z"]
        assert [list(found[0]["a"]), list(found[0]["a"]["b"])] == [["b", "z"], ["x", "y"]]

    def test_a_long_list_is_given_whole(self, store: DocumentStore, open_store: StoreOpener) -> None:
        """More than the 1 MB of one page."""
        text = "x" * 300_000
        for number in range(5):
            store.create({"orderId": f"A{number}", "text": text})
        assert [one["orderId"] for one in open_store().list()] == ["A0", "A1", "A2", "A3", "A4"]

    def test_both_sides_may_change_their_objects(self, store: DocumentStore) -> None:
        item: dict[str, Any] = {"orderId": "A1", "lines": [{"count": 1}], "tags": {"a"}}
        given = copy.deepcopy(item)
        created = store.create(item)
        assert item == given
        fields: dict[str, Any] = {"to": {"zips": ["1"]}}
        store.update_fields("A1", fields)
        expected = copy.deepcopy(store.get("A1"))
        for one in (item, created, fields, store.get("A1"), store.list()[0]):
            assert one is not None
            one.get("lines", []).append("changed")
            one.get("tags", set()).add("changed")
            one.get("to", {})["zips"] = ["changed"]
        assert store.get("A1") == expected

    def test_items_of_other_programs_are_read_and_changed(self, store: DocumentStore, door: DocumentsDoor) -> None:
        door.put({"orderId": "A1", "count": 3, "nested": {"list": [1, "a"]}})
        assert store.get("A1") == {"orderId": "A1", "count": 3, "nested": {"list": [1, "a"]}}
        store.update_fields("A1", {"count": 4})
        assert without_times(store.get("A1")) == {"orderId": "A1", "count": 4, "nested": {"list": [1, "a"]}}

    def test_of_many_that_create_one_item_one_succeeds(self, store: DocumentStore) -> None:
        if not self.many_threads:
            pytest.skip("this target declares that it lacks: many threads")

        def create(number: int) -> int | None:
            try:
                store.create({"orderId": "A1", "by": number})
            except ClientError:
                return None
            return number

        with ThreadPoolExecutor(8) as threads:
            made = [found for found in threads.map(create, range(24)) if found is not None]
        assert [one["by"] for one in store.list()] == made
        assert len(made) == 1

    def test_of_many_that_update_one_item_none_is_lost(self, store: DocumentStore) -> None:
        if not self.many_threads:
            pytest.skip("this target declares that it lacks: many threads")
        store.create({"orderId": "A1"})
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: store.update_fields("A1", {f"field{number}": number}), range(24)))
        found = store.get("A1")
        assert found is not None
        assert {name for name in found if name.startswith("field")} == {f"field{number}" for number in range(24)}
