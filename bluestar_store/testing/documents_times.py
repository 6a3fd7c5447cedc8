"""Rules of documents: `created` and `modified`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bluestar_store.documents import DocumentStore
from bluestar_store.testing.documents_case import DocumentsCase, DocumentsDoor


def read(store: DocumentStore, key: str = "A1") -> dict[str, Any]:
    found = store.get(key)
    assert found is not None
    return found


class DocumentsTimes(DocumentsCase):
    """See `documents_suite`."""

    def test_a_new_item_has_both_times_as_text_in_utc(self, store: DocumentStore) -> None:
        before = datetime.now(UTC)
        store.create({"orderId": "A1"})
        found = read(store)
        assert found["created"] == found["modified"]
        assert before <= datetime.fromisoformat(found["created"]) <= datetime.now(UTC)
        assert found["created"].endswith("+00:00")

    def test_every_change_moves_modified_on_and_leaves_created(self, store: DocumentStore) -> None:
        created = store.create({"orderId": "A1"})
        times = [created["modified"]]
        store.update_fields("A1", {"status": "paid"})
        times.append(read(store)["modified"])
        store.soft_delete("A1")
        times.append(read(store)["modified"])
        assert times == sorted(set(times))
        assert read(store)["created"] == created["created"]

    def test_times_that_an_item_brings_are_kept(self, store: DocumentStore) -> None:
        by = {"userId": "u1"}
        own = {"created": {"at": "2020-01-02", "by": by}, "modified": {"at": "2020-01-03", "by": by}}
        store.create({"orderId": "A1", **own})
        assert {name: read(store)[name] for name in own} == own

    def test_the_shape_of_one_is_that_of_the_other(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "created": {"at": "2020-01-02", "by": {"userId": "u1"}}})
        store.create({"orderId": "B2", "modified": 1_600_000_000})
        assert list(read(store)["modified"]) == ["at"]
        assert datetime.fromisoformat(read(store)["modified"]["at"]).year >= 2024
        assert read(store, "B2")["created"] > 1_600_000_000

    @pytest.mark.parametrize("brought", ["2020-01-02T03:04:05Z", "long ago"])
    def test_a_text_becomes_iso_8601_by_a_change(self, brought: str, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "modified": brought})
        store.update_fields("A1", {"status": "paid"})
        assert datetime.fromisoformat(read(store)["modified"]).tzinfo is UTC

    @pytest.mark.parametrize(("brought", "unit"), [(1_600_000_000, 1), (1_600_000_000_123, 1000)])
    def test_a_number_stays_one_of_the_same_unit(self, brought: int, unit: int, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "created": brought, "modified": brought})
        store.update_fields("A1", {"status": "paid"})
        found = read(store)
        assert found["created"] == brought
        assert abs(found["modified"] / unit - datetime.now(UTC).timestamp()) < 60

    def test_a_map_stays_one_and_names_nobody_for_a_change(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "created": {"at": 5, "by": "u1"}, "modified": {"at": "2020-01-02", "by": "u1"}})
        for _ in range(2):
            store.update_fields("A1", {"status": "paid"})
            found = read(store)
            assert list(found["modified"]) == ["at"]
            assert datetime.fromisoformat(found["modified"]["at"]).year >= 2024
        assert found["created"] == {"at": 5, "by": "u1"}

    @pytest.mark.parametrize("brought", [{"when": "2020"}, ["2020"], True, None, {"at": None}], ids=str)
    def test_any_other_shape_is_left_alone(self, brought: Any, store: DocumentStore) -> None:
        store.create({"orderId": "A1", "created": brought, "modified": brought})
        store.update_fields("A1", {"status": "paid"})
        store.soft_delete("A1")
        found = read(store)
        assert (found["created"], found["modified"], found["status"]) == (brought, brought, "paid")

    def test_times_among_the_fields_are_set_as_they_are(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1"})
        by = {"at": "2020-01-02", "by": "u1"}
        store.update_fields("A1", {"modified": by, "created": "mine"})
        assert (read(store)["modified"], read(store)["created"]) == (by, "mine")

    def test_an_item_of_another_program_gets_modified_by_a_change(
        self, store: DocumentStore, door: DocumentsDoor
    ) -> None:
        door.put({"orderId": "A1"})
        store.update_fields("A1", {"status": "paid"})
        found = read(store)
        assert "created" not in found
        assert datetime.fromisoformat(found["modified"]).tzinfo is UTC
