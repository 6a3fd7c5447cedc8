"""Values: every DynamoDB type exactly, numbers in one spelling, and nothing shared with the caller."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Put, Update
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item

KEY = Key("A", "A")
EXACT: dict[str, dict[str, Any]] = {
    "text": {"S": 'a "quoted" line\nand \t control \x00\x1f\u2028 é 😀 \\'},
    "empty_text": {"S": ""},
    "long_text": {"S": "é" * 50_000},
    "whole": {"N": "24500"},
    "zero": {"N": "0"},
    "digits_38": {"N": "1234567890123456789012345678901234567.8"},
    "digits_38_whole": {"N": "-99999999999999999999999999999999999999"},
    "small": {"N": "0." + "0" * 129 + "1"},
    "large": {"N": "9" * 38 + "0" * 88},
    "binary": {"B": bytes(range(256))},
    "empty_binary": {"B": b""},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "null": {"NULL": True},
    "empty_list": {"L": []},
    "empty_map": {"M": {}},
    "list": {"L": [{"N": "1"}, {"S": ""}, {"NULL": True}, {"L": [{"B": b"\x00"}]}, {"M": {"a": {"BOOL": False}}}]},
    "map": {"M": {"a b": {"M": {"deep": {"L": [{"NS": ["1"]}]}}}, "#": {"S": "x"}, "n": {"N": "-0.5"}}},
}
SETS: dict[str, dict[str, list[Any]]] = {
    "texts": {"SS": ["a", "b", "é"]},
    "numbers": {"NS": ["-1", "0.25", "38"]},
    "binaries": {"BS": [b"", b"\x00\xff", b"a"]},
}
SPELLINGS = {
    "6.00": "6",
    "+6": "6",
    "007": "7",
    ".5": "0.5",
    "5.": "5",
    "-0.0": "0",
    "0E+5": "0",
    "1E3": "1000",
    "1.50e-3": "0.0015",
    "12345678901234567890123456789012345678000": "12345678901234567890123456789012345678000",
    "1E-130": "0." + "0" * 129 + "1",
    "9.9999999999999999999999999999999999999E+125": "9" * 38 + "0" * 88,
}


class ValueSuite(EngineCase):
    """What goes in comes out."""

    @pytest.mark.parametrize("way", ["put", "update", "bulk"])
    def test_every_type_comes_back_exactly(self, engine: Engine, door: SideDoor, table: str, way: str) -> None:
        put(engine, table, way, EXACT)
        for found in reads(engine, table):
            assert found == item("A", **EXACT)
        assert door.get(table, KEY) == item("A", **EXACT)

    @pytest.mark.parametrize("way", ["put", "update", "bulk"])
    def test_sets_come_back_with_the_same_members(self, engine: Engine, table: str, way: str) -> None:
        put(engine, table, way, SETS)
        for found in reads(engine, table):
            for name, value in SETS.items():
                ((kind, members),) = found[name].items()
                assert {kind: sorted(members)} == value

    @pytest.mark.parametrize("way", ["put", "update", "bulk"])
    def test_a_number_comes_back_in_one_spelling(self, engine: Engine, table: str, way: str) -> None:
        written = {f"n{place}": {"N": text} for place, text in enumerate(SPELLINGS)}
        read = {f"n{place}": {"N": text} for place, text in enumerate(SPELLINGS.values())}
        put(engine, table, way, {**written, "list": {"L": [{"N": "1.0"}]}, "map": {"M": {"n": {"N": "2.50"}}}})
        expected = item("A", **read, list={"L": [{"N": "1"}]}, map={"M": {"n": {"N": "2.5"}}})
        for found in reads(engine, table):
            assert found == expected

    @pytest.mark.parametrize("way", ["put", "update", "bulk"])
    def test_the_callers_object_is_neither_changed_nor_kept(self, engine: Engine, table: str, way: str) -> None:
        mine: dict[str, Any] = {"map": {"M": {"a": {"L": [{"S": "old"}]}}}, "set": {"SS": ["a"]}, "n": {"N": "1.0"}}
        before = deepcopy(mine)
        put(engine, table, way, mine)
        assert mine == before
        mine["map"]["M"]["a"]["L"].append({"S": "new"})
        mine["set"]["SS"].append("b")
        mine["n"]["N"] = "2"
        for found in reads(engine, table):
            assert found == item("A", map={"M": {"a": {"L": [{"S": "old"}]}}}, set={"SS": ["a"]}, n={"N": "1"})

    def test_what_a_read_gave_belongs_to_the_caller(self, engine: Engine, table: str) -> None:
        stored = item("A", map={"M": {"a": {"L": [{"S": "old"}]}}}, set={"SS": ["a"]})
        engine.write(Put(table, stored))
        for found in reads(engine, table):
            found["map"]["M"]["a"]["L"].append({"S": "new"})
            found["map"]["M"]["b"] = {"S": "new"}
            found["set"]["SS"].append("b")
            found["SK"]["S"] = "B"
            found["new"] = {"S": "new"}
        for found in reads(engine, table):
            assert found == stored

    def test_one_object_written_twice_is_two_items(self, engine: Engine, table: str) -> None:
        shared = {"L": [{"S": "shared"}]}
        engine.write(Put(table, item("A", list=shared)), Put(table, item("B", list=shared)))
        engine.write(Update(table, KEY, {"list": {"L": []}}))
        assert engine.get(table, [Key("B", "A")], consistent=True) == {Key("B", "A"): item("B", list=shared)}


def put(engine: Engine, table: str, way: str, attributes: dict[str, Any]) -> None:
    """Store item A with these attributes in one of the ways there are."""
    match way:
        case "put":
            engine.write(Put(table, item("A", **attributes)))
        case "update":
            engine.write(Put(table, item("A")))
            engine.write(Update(table, KEY, attributes))
        case _:
            engine.put_many(table, [item("A", **attributes)])


def reads(engine: Engine, table: str) -> list[Item]:
    """Item A in all the ways there are to read it."""
    return [
        engine.get(table, [KEY], consistent=True)[KEY],
        engine.get_isolated(table, [KEY])[KEY],
        *engine.query(table, "A", consistent=True).items,
        *engine.scan(table, consistent=True).items,
    ]
