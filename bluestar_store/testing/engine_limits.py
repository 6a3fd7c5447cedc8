"""DynamoDB's limits: refused before anything is sent, alike on every engine."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store.errors import ConfigurationError, InvalidKeyError, InvalidWriteError, ItemTooLargeError
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    ABSENT,
    ANY,
    EXISTS,
    Check,
    Delete,
    Engine,
    IndexSpec,
    Put,
    TableSpec,
    Update,
    Write,
    key_of,
)
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item
from bluestar_store.testing.engine_reads import IMPOSSIBLE

KEY = Key("A", "A")
OVERHEAD = len("PK") + len("A") + len("SK") + len("A") + len("x")
"""Bytes of an item A beside its text x."""
KB_400 = 400 * 1024


def nested(levels: int) -> dict[str, Any]:
    """A value of so many levels, the innermost text counted."""
    value: dict[str, Any] = {"S": "x"}
    for level in range(levels - 1):
        value = {"M": {"a": value}} if level % 2 else {"L": [value]}
    return value


REFUSED: dict[str, dict[str, Any]] = {
    "39 digits": {"N": "1" * 39},
    "39 digits behind the point": {"N": "0." + "1" * 39},
    "over the largest number": {"N": "1E126"},
    "under the smallest number": {"N": "1E-131"},
    "NaN": {"N": "NaN"},
    "infinity": {"N": "Infinity"},
    "no number": {"N": "six"},
    "empty number": {"N": ""},
    "number with a space": {"N": " 6"},
    "number with an underscore": {"N": "1_000"},
    "number of another script": {"N": "٣"},
    "a Python number": {"N": 6},
    "empty set of texts": {"SS": []},
    "empty set of numbers": {"NS": []},
    "empty set of binaries": {"BS": []},
    "a member twice": {"SS": ["a", "a"]},
    "a number twice in two spellings": {"NS": ["1", "1.0"]},
    "mixed set": {"SS": ["a", b"b"]},
    "empty name in a map": {"M": {"": {"S": "x"}}},
    "33 levels": nested(33),
    "surrogate": {"S": "\ud800"},
    "surrogate in a name": {"M": {"\ud800": {"S": "x"}}},
    "two types": {"S": "x", "N": "1"},
    "no type": {},
    "unknown type": {"X": "x"},
    "false null": {"NULL": False},
    "bare text": "x",  # type: ignore[dict-item]  # what a careless caller gives
    "bare None": None,  # type: ignore[dict-item]
    "text in binary": {"B": "x"},
    "NaN deep inside": {"L": [{"M": {"a": {"NS": ["NaN"]}}}]},
}


class LimitsSuite(EngineCase):
    """Writes over a limit are refused and change nothing."""

    def test_a_value_that_dynamodb_does_not_take_is_refused(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", x="old"))
        for case, value in REFUSED.items():
            bad = item("A") | {"x": value}
            for write in (Put(table, bad), Update(table, KEY, {"x": value})):
                with pytest.raises(InvalidWriteError) as caught:
                    engine.write(Put(table, item("B")), write)
                assert "'x'" in str(caught.value), case
            with pytest.raises(InvalidWriteError):
                engine.put_many(table, [bad])
            assert door.get(table, KEY) == item("A", x="old"), case
        assert door.get(table, Key("B", "A")) is None

    def test_32_levels_of_nesting_are_taken(self, engine: Engine, door: SideDoor, table: str) -> None:
        deep = item("A", x=nested(32))
        engine.write(Put(table, deep))
        assert door.get(table, KEY) == deep

    def test_101_writes_are_refused(self, engine: Engine, table: str) -> None:
        with pytest.raises(InvalidWriteError, match="101"):
            engine.write(*(Put(table, item(f"P{number}")) for number in range(101)))
        assert engine.scan(table, consistent=True).items == []

    @pytest.mark.parametrize("second", ["Put", "Update", "Delete", "Check"])
    def test_one_item_twice_in_a_transaction_is_refused(
        self, engine: Engine, door: SideDoor, table: str, second: str
    ) -> None:
        writes: dict[str, Write] = {
            "Put": Put(table, item("A", x="2")),
            "Update": Update(table, KEY, {"x": {"S": "2"}}, expect=ANY),
            "Delete": Delete(table, KEY),
            "Check": Check(table, KEY, ABSENT),
        }
        with pytest.raises(InvalidWriteError, match="twice"):
            engine.write(Put(table, item("A", x="1")), Put(table, item("B")), writes[second])
        assert door.get(table, KEY) is None

    def test_an_item_of_400_kb_is_taken(self, engine: Engine, door: SideDoor, table: str) -> None:
        self.needs(self.exact_limits, "exact limits")
        for text in ("x" * (KB_400 - OVERHEAD), "é" * ((KB_400 - OVERHEAD) // 2)):
            engine.write(Put(table, item("A", x=text)))
            assert door.get(table, KEY) == item("A", x=text)

    def test_an_item_one_byte_over_400_kb_is_refused(self, engine: Engine, door: SideDoor, table: str) -> None:
        with pytest.raises(ItemTooLargeError, match="400 KB"):
            engine.write(Put(table, item("A", x="x" * (KB_400 - OVERHEAD + 1))))
        with pytest.raises(ItemTooLargeError):
            engine.put_many(table, [item("A", x="é" * 204_800)])
        assert door.get(table, KEY) is None

    def test_an_update_that_grows_an_item_too_far_is_refused_and_changes_nothing(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        before = item("A", x="x" * 300_000)
        door.put(table, before)
        grow = Update(table, KEY, {"y": {"S": "y" * 150_000}})
        with pytest.raises(ItemTooLargeError):
            engine.write(Put(table, item("B")), grow)
        with pytest.raises(ItemTooLargeError):
            engine.write(Update(table, KEY, {"y": {"S": "y" * KB_400}}))
        assert door.get(table, KEY) == before
        assert door.get(table, Key("B", "A")) is None

    def test_an_update_may_replace_one_large_attribute_by_another(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        self.needs(self.exact_limits, "exact limits")
        door.put(table, item("A", x="x" * 300_000))
        engine.write(Update(table, KEY, {"y": {"S": "y" * 150_000}}, frozenset({"x"})))
        assert door.get(table, KEY) == item("A", y="y" * 150_000)

    def test_a_transaction_of_more_than_4_mb_is_refused(self, engine: Engine, table: str) -> None:
        items = [item(f"P{number}", x="x" * 390_000) for number in range(11)]
        with pytest.raises(InvalidWriteError, match="4 MB"):
            engine.write(*(Put(table, one) for one in items))
        assert engine.scan(table, consistent=True).items == []

    def test_a_key_that_dynamodb_does_not_take_is_refused_in_every_write(self, engine: Engine, table: str) -> None:
        change = {"x": {"S": "x"}}
        for key in IMPOSSIBLE:
            for write in (
                Put(table, item(*key)),
                Update(table, key, change, expect=ANY),
                Delete(table, key),
                Check(table, key, EXISTS),
            ):
                with pytest.raises(InvalidKeyError):
                    engine.write(Put(table, item("A")), write)
            with pytest.raises(InvalidKeyError):
                engine.put_many(table, [item(*key)])
        assert engine.scan(table, consistent=True).items == []

    def test_an_item_without_text_in_its_keys_is_refused(self, engine: Engine, table: str) -> None:
        wrong: list[Any] = [{"N": "1"}, {"S": 5}, {"B": b"x"}, {"S": None}, {}, "A", None]
        for bad in ({"PK": {"S": "A"}}, {"SK": {"S": "A"}}, *({"PK": value, "SK": {"S": "A"}} for value in wrong)):
            with pytest.raises(InvalidWriteError):
                engine.put_many(table, [bad])
        for value in wrong:
            with pytest.raises(InvalidWriteError):
                engine.put_many(table, [{"PK": {"S": "A"}, "SK": value}])

    def test_an_empty_attribute_name_is_refused(self, engine: Engine, table: str) -> None:
        for write in (
            Put(table, item("A", **{"": "x"})),
            Update(table, KEY, {"": {"S": "x"}}, expect=ANY),
            Update(table, KEY, {"x": {"S": "x"}}, frozenset({""}), expect=ANY),
        ):
            with pytest.raises(InvalidWriteError):
                engine.write(write)

    def test_the_name_of_an_attribute_has_less_than_64_kb(self, engine: Engine, door: SideDoor, table: str) -> None:
        long, longer = "n" * 30_000, "é" * (32 * 1024)  # DynamoDB Local fails (500) at 60,000 already
        engine.write(Put(table, item("A", **{long: "x"})))
        assert door.get(table, KEY) == item("A", **{long: "x"})
        for write in (
            Put(table, item("A", **{longer: "x"})),
            Put(table, item("A") | {"x": {"M": {longer: {"S": "x"}}}}),
            Update(table, KEY, {longer: {"S": "x"}}),
            Update(table, KEY, remove=frozenset({longer})),
        ):
            with pytest.raises(InvalidWriteError, match="65535 bytes"):
                engine.write(Put(table, item("B")), write)
        with pytest.raises(InvalidWriteError):
            engine.put_many(table, [item("B", **{longer: "x"})])
        assert door.get(table, KEY) == item("A", **{long: "x"})
        assert door.get(table, Key("B", "A")) is None

    def test_the_name_of_an_attribute_that_an_index_has_is_shorter(self, engine: Engine, table: str) -> None:
        for name in ("n" * 256, "é" * 128, ""):
            for index in (IndexSpec("by_x", name, "bs_x"), IndexSpec("by_x", "bs_x", name)):
                with pytest.raises(ConfigurationError, match="255 bytes"):
                    engine.create_tables([TableSpec(table, (index,))], upgrade=True)

    def test_an_update_that_cannot_mean_anything_is_refused(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", x="old"))
        x = {"x": {"S": "x"}}
        for write in (
            Update(table, KEY),
            Update(table, KEY, x, frozenset({"x"})),
            Update(table, KEY, {"PK": {"S": "B"}}),
            Update(table, KEY, {"SK": {"S": "A"}}),
            Update(table, KEY, remove=frozenset({"SK"})),
            Update(table, KEY, {f"a{number}": {"S": "x"} for number in range(251)}),
        ):
            with pytest.raises(InvalidWriteError):
                engine.write(write)
        assert door.get(table, KEY) == item("A", x="old")

    def test_an_update_of_250_attributes_is_taken(self, engine: Engine, door: SideDoor, table: str) -> None:
        self.needs(self.exact_limits, "exact limits")
        one = item("A", **{f"attribute {number}": str(number) for number in range(250)})
        engine.write(Update(table, KEY, {name: one[name] for name in one if name not in ("PK", "SK")}, expect=ANY))
        assert door.get(table, KEY) == one
        engine.write(Update(table, KEY, remove=frozenset(one) - {"PK", "SK"}))
        assert door.get(table, key_of(one)) == item("A")

    def test_a_check_that_expects_nothing_is_refused(self, engine: Engine, table: str) -> None:
        with pytest.raises(InvalidWriteError):
            engine.write(Check(table, KEY, ANY))
