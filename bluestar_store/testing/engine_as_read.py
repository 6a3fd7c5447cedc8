"""Writes that expect an item as it was read: what is equal, what is not, how much can be compared."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store.engines.checks import MAX_CONDITIONS
from bluestar_store.errors import InvalidWriteError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import AsRead, AttributeValue, Check, Delete, Engine, Update
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item

KEY = Key("A", "A")
NULL: AttributeValue = {"NULL": True}
NESTED: dict[str, Any] = {"M": {"tiers": {"L": [{"M": {"pct": {"N": "20.5"}, "no": NULL}}, {"SS": ["a", "b"]}]}}}
VALUES: dict[str, tuple[AttributeValue, ...]] = {
    "text": ({"S": "text"}, {"S": "Text"}, {"S": ""}, {"S": "e\u0301"}, {"S": "\u00e9"}),
    "number": ({"N": "1"}, {"N": "1.5"}, {"N": "-1"}, {"N": "12345678901234567890123456789012345678"}, {"S": "1"}),
    "bool": ({"BOOL": True}, {"BOOL": False}, {"N": "1"}, {"S": "true"}),
    "null": (NULL, {"S": ""}, {"BOOL": False}, {"S": "NULL"}),
    "binary": ({"B": b"\x00\xff"}, {"B": b"\x00"}, {"B": b""}, {"S": "AP8="}),
    "texts": ({"SS": ["a", "b"]}, {"SS": ["a"]}, {"L": [{"S": "a"}, {"S": "b"}]}),
    "numbers": ({"NS": ["1", "2.5"]}, {"NS": ["1"]}, {"SS": ["1", "2.5"]}),
    "binaries": ({"BS": [b"a", b"\xff"]}, {"BS": [b"a"]}, {"SS": ["a"]}),
    "list": ({"L": [{"N": "1"}, NULL]}, {"L": [NULL, {"N": "1"}]}, {"L": []}, {"M": {}}),
    "map": (NESTED, {"M": {}}, {"M": {"tiers": {"L": []}}}, {"M": {"TIERS": NESTED["M"]["tiers"]}}),
}
"""Of each type, values that all differ from the first."""
SPELLINGS: dict[str, tuple[AttributeValue, AttributeValue]] = {
    "a number": ({"N": "1"}, {"N": "1.0"}),
    "a power of ten": ({"N": "100"}, {"N": "1E2"}),
    "a set of texts": ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
    "a set of numbers": ({"NS": ["1", "2.5"]}, {"NS": ["2.50", "1.0"]}),
    "a set of bytes": ({"BS": [b"a", b"b"]}, {"BS": [b"b", b"a"]}),
    "a number in a list in a map": (
        {"M": {"a": {"L": [{"N": "20.5"}, {"SS": ["a", "b"]}]}}},
        {"M": {"a": {"L": [{"N": "20.50"}, {"SS": ["b", "a"]}]}}},
    ),
}
"""Two ways to write one value."""


class AsReadSuite(EngineCase):
    """`AsRead`, the expectation of a write over an item that was read."""

    @pytest.mark.parametrize("kind", VALUES)
    def test_a_value_of_each_type_holds_as_it_was_read_and_no_other_does(
        self, engine: Engine, door: SideDoor, table: str, kind: str
    ) -> None:
        self.needs(self.exact_equality or kind != "bool", "equality that tells True from 1")
        stored, *others = VALUES[kind]
        door.put(table, item("A", version=1, x=stored))
        read = engine.get(table, [KEY], consistent=True)[KEY]
        engine.write(Check(table, KEY, AsRead(1, {"x": read["x"]})))
        for other in (*others, None):
            with pytest.raises(VersionConflictError) as caught:
                engine.write(Check(table, KEY, AsRead(1, {"x": other})))
            assert (caught.value.expected, caught.value.found, caught.value.attribute) == (1, 1, "x")
            assert caught.value.place == (table, KEY)

    @pytest.mark.parametrize("what", SPELLINGS)
    def test_one_value_holds_however_it_is_spelled(self, engine: Engine, door: SideDoor, table: str, what: str) -> None:
        stored, spelled = SPELLINGS[what]
        door.put(table, item("A", version=1, x=stored))
        engine.write(Check(table, KEY, AsRead(1, {"x": spelled})))

    def test_an_attribute_that_came_or_went_is_noticed(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", version=2, there="x", null=NULL))
        engine.write(Check(table, KEY, AsRead(2, {"there": {"S": "x"}, "gone": None, "null": NULL})))
        cases: tuple[dict[str, AttributeValue | None], ...]
        cases = ({"there": None}, {"gone": {"S": "x"}}, {"null": {"S": "x"}}, {"gone": NULL}, {"null": None})
        for expected in cases if self.exact_equality else cases[:3]:
            with pytest.raises(VersionConflictError) as caught:
                engine.write(Delete(table, KEY, AsRead(2, expected)))
            assert caught.value.attribute == next(iter(expected))
        assert door.get(table, KEY) is not None

    def test_another_version_is_told_before_another_value(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", version=5, x="new"))
        with pytest.raises(VersionConflictError) as caught:
            engine.write(Update(table, KEY, {"x": {"S": "mine"}}, expect=AsRead(4, {"x": {"S": "old"}})))
        assert (caught.value.expected, caught.value.found, caught.value.attribute) == (4, 5, None)
        with pytest.raises(VersionConflictError) as caught:
            engine.write(Delete(table, Key("B", "B"), AsRead(4, {"x": None})))
        assert caught.value.found is None

    def test_no_error_shows_a_value(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", version=1, account_number="123456789012"))
        expect = AsRead(1, {"account_number": {"S": "999456789012"}})
        with pytest.raises(VersionConflictError) as caught:
            engine.write(Delete(table, KEY, expect))
        for text in (str(caught.value), repr(caught.value), repr(expect)):
            assert "456789012" not in text

    def test_names_that_mean_something_to_dynamodb_can_be_compared(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        names = ("status", "size", "a.b", "a[0]", "#a0", ":a0", "sp ace", "\u00f6")
        door.put(table, item("A", version=1, **dict.fromkeys(names, "x")))
        engine.write(Check(table, KEY, AsRead(1, {name: {"S": "x"} for name in names})))

    def test_as_many_attributes_as_one_expression_takes_can_be_compared(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        present = {f"attribute {number:03d}": {"N": str(number)} for number in range(MAX_CONDITIONS)}
        absent: dict[str, Any] = dict.fromkeys(present)
        for version, attributes in ((0, absent), (7, present)):
            door.put(table, item("A", version=version or None, **({} if version == 0 else present)))
            engine.write(Update(table, KEY, {"x": {"S": "x"}}, expect=AsRead(version, attributes)))
        with pytest.raises(InvalidWriteError, match=str(MAX_CONDITIONS)):
            engine.write(Check(table, KEY, AsRead(7, present | {"one more": None})))

    def test_large_values_can_be_compared(self, engine: Engine, door: SideDoor, table: str) -> None:
        self.needs(self.exact_limits, "the size of an item by AWS's rules")
        large = {"S": "x" * 350_000}
        door.put(table, item("A", version=1, large=large))
        engine.write(Update(table, KEY, {"large": {"S": "y" * 350_000}}, expect=AsRead(1, {"large": large})))
        with pytest.raises(VersionConflictError):
            engine.write(Check(table, KEY, AsRead(1, {"large": large})))

    def test_what_is_compared_counts_to_the_4_mb_of_a_transaction(self, engine: Engine, table: str) -> None:
        large = {"S": "x" * 350_000}
        keys = [Key("A", str(number)) for number in range(12)]
        writes = [Update(table, key, {"large": large}, expect=AsRead(1, {"large": large})) for key in keys]
        with pytest.raises(InvalidWriteError, match="4 MB"):
            engine.write(*writes)
