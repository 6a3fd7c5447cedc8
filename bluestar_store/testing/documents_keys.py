"""Rules of documents: keys, given and generated."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import pytest

from bluestar_store.documents import DocumentStore
from bluestar_store.errors import ConfigurationError, InvalidKeyError
from bluestar_store.testing.documents_case import INVALID, DocumentsCase, StoreOpener, refused, without_times

NO_KEYS = [None, "", 5, 1.5, b"a", ["a"], "x" * 2049, "half\ud800"]


class DocumentsKeys(DocumentsCase):
    """See `documents_suite`."""

    @pytest.mark.parametrize("key", NO_KEYS, ids=lambda key: str(ascii(key))[:20])
    def test_a_key_that_is_no_text_or_empty_is_refused(self, key: Any, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem", "orderId"):
            store.create({"orderId": key, "status": "open"})
        with refused(INVALID, "GetItem", "orderId"):
            store.get(key)
        with refused(INVALID, "UpdateItem", "orderId"):
            store.update_fields(key, {"status": "open"})
        with refused(INVALID, "UpdateItem", "orderId"):
            store.soft_delete(key)
        assert store.list(hide_soft_deleted=False) == []

    def test_a_missing_key_is_refused_where_none_can_be_generated(self, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem", "no id_generator"):
            store.create({"status": "open"})
        assert store.list() == []

    @pytest.mark.parametrize("key", ["x" * 2048, "a b", "a#b/../c", "é\U0001f600", " "])
    def test_any_other_text_is_a_key(self, key: str, store: DocumentStore) -> None:
        store.create({"orderId": key, "n": 1})
        store.update_fields(key, {"n": 2})
        assert without_times(store.get(key)) == {"orderId": key, "n": 2}

    @pytest.mark.parametrize("key", ["a\u202eb", "a\u200b", "\n", "\u3164"], ids=ascii)
    def test_no_new_key_has_what_nobody_can_see(self, key: str, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem", rf"cannot be seen: U\+{ord(key[-1] if len(key) < 3 else key[1]):04X}"):
            store.create({"orderId": key})
        store.merge({key: store.checked_item({"orderId": key, "n": 1})}, overwrite=False)  # of an export, as it was
        store.update_fields(key, {"n": 2})
        assert without_times(store.get(key)) == {"orderId": key, "n": 2}

    @pytest.mark.parametrize("blank", [{}, {"orderId": ""}, {"orderId": None}], ids=["missing", "empty", "none"])
    def test_an_item_without_a_key_gets_a_generated_one(self, blank: dict[str, Any], open_store: StoreOpener) -> None:
        numbers = itertools.count(1)
        store = open_store(id_generator=lambda: f"order_{next(numbers)}")
        created = store.create({**blank, "status": "open"})
        assert created["orderId"] == "order_1"
        assert store.create({"orderId": "mine"})["orderId"] == "mine"
        assert store.create(blank)["orderId"] == "order_2"
        assert store.get("order_1") == created

    def test_a_generator_may_be_given_the_item(self, open_store: StoreOpener) -> None:
        def key_for(item: dict[str, Any]) -> str:
            return f"{item['customer']}-1"

        def with_key(item: dict[str, Any]) -> dict[str, Any]:
            item["orderId"] = f"{item['customer']}-2"
            return item

        given = {"customer": "ACME"}
        assert open_store(id_generator=key_for).create(given)["orderId"] == "ACME-1"
        assert open_store(id_generator=with_key).create(given)["orderId"] == "ACME-2"
        assert given == {"customer": "ACME"}

    def test_a_generator_may_give_uuids(self, open_store: StoreOpener) -> None:
        store = open_store(id_generator=uuid.uuid4)
        key = store.create({"status": "open"})["orderId"]
        assert str(uuid.UUID(key)) == key
        assert store.get(key) is not None

    @pytest.mark.parametrize("made", [None, "", 5], ids=str)
    def test_a_generator_that_gives_no_key_is_told(self, made: object, open_store: StoreOpener) -> None:
        store = open_store(id_generator=lambda: made)
        with refused(INVALID, "PutItem", "orderId"):
            store.create({"status": "open"})
        assert store.list() == []

    @pytest.mark.parametrize("name", ["", "ab", "../up", "a/b", ".hidden", "a b", "x" * 256, None, 5])
    def test_a_name_that_no_table_can_have_is_refused(self, name: Any, store: DocumentStore) -> None:
        with pytest.raises(InvalidKeyError, match="table name"):
            type(store)(name, "orderId")
        with pytest.raises(InvalidKeyError, match="attribute name"):
            type(store)(store.table_name, "")

    def test_indexes_that_no_table_can_have_are_refused(self, open_store: StoreOpener) -> None:
        for fields in (["orderId"], [f"field{number}" for number in range(21)], ["a b"]):
            with pytest.raises(ConfigurationError, match="index"):
                open_store(indexes=fields)
