"""Wire values: what is made of them is made of each type, however deep it lies."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.documents.values import plain_value
from bluestar_store.engines.checks import item_bytes
from bluestar_store.engines.conditions import equal_values
from bluestar_store.mapping.values import to_wire
from bluestar_store.mapping.wire import copied_value, from_wire
from bluestar_store.protocols import AttributeValue

EACH_TYPE: dict[str, tuple[AttributeValue, Any, int]] = {
    "text": ({"S": "é"}, "é", 2),
    "number": ({"N": "12.50"}, Decimal("12.5"), 3),
    "binary": ({"B": b"\0\1"}, b"\0\1", 2),
    "boolean": ({"BOOL": True}, True, 1),
    "null": ({"NULL": True}, None, 1),
    "texts": ({"SS": ["a", "bc"]}, frozenset({"a", "bc"}), 3),
    "numbers": ({"NS": ["1", "2.5"]}, frozenset({Decimal(1), Decimal("2.5")}), 4),
    "binaries": ({"BS": [b"a", b"bc"]}, frozenset({b"a", b"bc"}), 3),
    "list": ({"L": []}, (), 3),
    "map": ({"M": {}}, {}, 3),
}
"""A wire value of each type, what it says, and its bytes by AWS's rules."""


@pytest.fixture(params=list(EACH_TYPE))
def each(request: pytest.FixtureRequest) -> tuple[AttributeValue, Any, int]:
    return EACH_TYPE[request.param]


def within(value: AttributeValue) -> AttributeValue:
    return {"M": {"a": {"L": [value]}}}


def test_each_type_is_read_also_within_lists_and_maps(each: tuple[AttributeValue, Any, int]) -> None:
    value, said, _ = each
    assert from_wire(value) == said
    assert from_wire(within(value)) == {"a": (said,)}


def test_each_type_is_written_as_it_is_read(each: tuple[AttributeValue, Any, int]) -> None:
    value, said, _ = each
    assert from_wire(to_wire(within_python(said))) == {"a": (said,)}
    assert equal_values(to_wire(said), value)


def within_python(value: Any) -> Any:
    return {"a": [value]}


def test_each_type_has_its_size_also_within_lists_and_maps(each: tuple[AttributeValue, Any, int]) -> None:
    value, _, size = each
    assert item_bytes({"x": value}) == 1 + size
    assert item_bytes({"x": within(value)}) == 1 + 3 + 1 + 1 + 3 + 1 + size


def test_a_copy_shares_no_container(each: tuple[AttributeValue, Any, int]) -> None:
    value = within(each[0])
    copy = copied_value(value)
    assert copy == value
    inner, copied = value["M"]["a"]["L"][0], copy["M"]["a"]["L"][0]
    assert copied is not inner
    for content, other in zip(inner.values(), copied.values(), strict=True):
        assert not isinstance(content, list | dict) or content is not other


def test_a_document_says_the_same_in_containers_of_the_callers_own(each: tuple[AttributeValue, Any, int]) -> None:
    value, said, _ = each
    (found,) = plain_value(within(value))["a"]
    assert found == (list(said) if isinstance(said, tuple) else said)


def test_true_is_not_one() -> None:
    assert not equal_values({"BOOL": True}, {"N": "1"})
    assert not equal_values(within({"BOOL": True}), within({"N": "1"}))
    assert not equal_values({"BOOL": False}, {"N": "0"})


def test_numbers_are_equal_by_value_and_sets_in_any_order() -> None:
    assert equal_values(within({"N": "1.0"}), within({"N": "1"}))
    assert equal_values(within({"NS": ["1", "2"]}), within({"NS": ["2.0", "1"]}))
    assert not equal_values({"SS": ["1"]}, {"NS": ["1"]})
    assert not equal_values({"L": [{"S": "a"}]}, {"SS": ["a"]})


def test_a_type_that_there_is_not_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="is of type 'X', which DynamoDB does not have"):
        from_wire(within({"X": "1"}))
