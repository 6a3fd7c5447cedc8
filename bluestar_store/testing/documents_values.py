"""Rules of documents: what values are kept, exactly, and which are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from bluestar_store.documents import DocumentStore
from bluestar_store.testing.documents_case import INVALID, DocumentsCase, refused, spelled


class Color(StrEnum):
    """A text with a type of its own."""

    RED = "red"


def nested(depth: int) -> Any:
    """A list in a list, `depth` deep."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def endless() -> Any:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


KEPT: dict[str, tuple[Any, Any]] = {
    "text": ("a\n\u2028é\U0001f600\0", "a\n\u2028é\U0001f600\0"),
    "empty text": ("", ""),
    "text of a type": (Color.RED, "red"),
    "true": (True, True),
    "none": (None, None),
    "whole": (-12, -12),
    "38 digits": (12345678901234567890123456789012345678, 12345678901234567890123456789012345678),
    "38 decimals": (Decimal("0.12345678901234567890123456789012345678"),) * 2,
    "whole decimal": (Decimal("5.00"), 5),
    "trailing zeros": (Decimal("5.10"), Decimal("5.1")),
    "large": (Decimal("9E+125"), 9 * 10**125),
    "small": (Decimal("-1E-130"), Decimal("-1E-130")),
    "zero": (Decimal("-0.0"), 0),
    "binary": (b"\x00\xff", b"\x00\xff"),
    "byte array": (bytearray(b"a"), b"a"),
    "tuple": ((1, "a"), [1, "a"]),
    "empty containers": ([{}, [], ""], [{}, [], ""]),
    "set of texts": ({"b", "a"}, {"a", "b"}),
    "set of numbers": ({1, Decimal("2.5")}, {1, Decimal("2.5")}),
    "set of binary": (frozenset({b"a", b"\xff"}), {b"a", b"\xff"}),
    "deep": (nested(31), nested(31)),
    "looks like a mark": ({"$set": [1, 1]}, {"$set": [1, 1]}),
    "looks like a mark for maps": ({"$map": {"$binary": "?"}}, {"$map": {"$binary": "?"}}),
    "names with signs": ({"a.b #:/~ é": {"$x": 1}}, {"a.b #:/~ é": {"$x": 1}}),
}
REFUSED: dict[str, Any] = {
    "float": 1.5,
    "float inside": {"a": [{"b": 0.1}]},
    "float in a set": {0.5},
    "not a number": Decimal("NaN"),
    "infinite": Decimal("Infinity"),
    "39 digits": 10**38 + 1,
    "too large": Decimal("1E+126"),
    "too small": Decimal("1E-131"),
    "object": object(),
    "datetime": datetime(2026, 1, 2, tzinfo=UTC),
    "function": len,
    "empty set": set(),
    "mixed set": {1, "a"},
    "set of truths": {True},
    "set of tuples": {(1, 2)},
    "number as a name": {5: "a"},
    "empty name": {"": 1},
    "too deep": nested(33),
    "endless": endless(),
    "half a character": "\ud800",
    "too long": "x" * 409_600,
}


class DocumentsValues(DocumentsCase):
    """See `documents_suite`."""

    @pytest.mark.parametrize("name", KEPT)
    def test_a_value_is_kept_exactly(self, name: str, store: DocumentStore) -> None:
        given, expected = KEPT[name]
        store.create({"orderId": "A1", "value": given})
        store.create({"orderId": "B2"})
        store.update_fields("B2", {"other": 1} if given is None else {"value": given})
        assert store.create({"orderId": "C3", "value": given})["value"] == expected
        for document in (store.get("A1"), store.list()[0], *([] if given is None else [store.get("B2")])):
            assert document is not None
            assert document["value"] == expected
            assert spelled(document["value"]) == spelled(expected)

    @pytest.mark.parametrize("name", REFUSED)
    def test_a_value_that_dynamodb_cannot_hold_is_refused(self, name: str, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem"):
            store.create({"orderId": "A1", "value": REFUSED[name]})
        assert store.list() == []
        first = store.create({"orderId": "A1", "value": "first"})
        with refused(INVALID, "UpdateItem"):
            store.update_fields("A1", {"value": REFUSED[name]})
        assert store.get("A1") == first

    @pytest.mark.parametrize("name", [5, "", None, "x" * 65_536, "\ud800"], ids=lambda name: str(ascii(name))[:10])
    def test_a_name_that_dynamodb_cannot_hold_is_refused(self, name: Any, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem"):
            store.create({"orderId": "A1", name: "a"})
        store.create({"orderId": "A1"})
        with refused(INVALID, "UpdateItem"):
            store.update_fields("A1", {name: "a"})

    @pytest.mark.parametrize("item", [None, "A1", ["orderId", "A1"], 5], ids=str)
    def test_what_is_no_dict_is_refused(self, item: Any, store: DocumentStore) -> None:
        with refused(INVALID, "PutItem", "dict"):
            store.create(item)
        store.create({"orderId": "A1"})
        with refused(INVALID, "UpdateItem", "dict"):
            store.update_fields("A1", item)

    def test_an_update_may_not_grow_an_item_too_far(self, store: DocumentStore) -> None:
        first = store.create({"orderId": "A1", "one": "x" * 300_000})
        with refused(INVALID, "UpdateItem", "size"):
            store.update_fields("A1", {"two": "x" * 200_000})
        assert store.get("A1") == first
        if self.large_updates:
            store.update_fields("A1", {"one": "x" * 400_000})

    def test_an_update_of_too_many_fields_is_refused(self, store: DocumentStore) -> None:
        store.create({"orderId": "A1"})
        if self.large_updates:
            store.update_fields("A1", {f"f{number}": number for number in range(249)})
        with refused(INVALID, "UpdateItem", "250"):
            store.update_fields("A1", {f"f{number}": number for number in range(250)})

    def test_an_error_shows_no_value(self, store: DocumentStore) -> None:
        with pytest.raises(Exception, match="account") as raised:
            store.create({"orderId": "A1", "account": {"number": {"12345678901", 5}}})
        assert "12345678901" not in f"{raised.value!r} {raised.value}"
