"""write: what each kind does, every expectation against every state, all or nothing."""

from __future__ import annotations

import pytest

from bluestar_store.errors import AlreadyExistsError, ConflictError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    ABSENT,
    ANY,
    EXISTS,
    AsRead,
    Check,
    Delete,
    Engine,
    Expectation,
    Item,
    Put,
    Update,
    Write,
    key_of,
)
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item

EXPECTATIONS: tuple[Expectation, ...] = (
    ABSENT,
    ANY,
    EXISTS,
    3,
    0,
    AsRead(0, {"kept": {"S": "kept"}, "never": None}),
    AsRead(3, {"never": None}, {"kept": {"S": "kept"}}),
    AsRead(3, {"kept": {"S": "changed"}}),
    AsRead(None, {"version": {"N": "3"}}),
)
KINDS = ("Put", "Update", "Delete", "Check")
STATES: dict[str, Item | None] = {
    "absent": None,
    "no version": item("A", kept="kept", gone="gone"),
    "version 3": item("A", version=3, kept="kept", gone="gone"),
    "version 4": item("A", version=4, kept="kept", gone="gone"),
    "a written-out version 0": item("A", version=0, kept="kept", gone="gone"),
    "version is text": item("A", version={"S": "3"}, kept="kept", gone="gone"),
}
KEY = Key("A", "A")


def write_of(kind: str, table: str, expect: Expectation) -> Write:
    match kind:
        case "Put":
            return Put(table, item("A", version=9, new="new"), expect)
        case "Update":
            return Update(table, KEY, {"version": {"N": "9"}, "new": {"S": "new"}}, frozenset({"gone"}), expect)
        case "Delete":
            return Delete(table, KEY, expect)
        case _:
            return Check(table, KEY, expect)


def outcome(kind: str, state: Item | None) -> Item | None:
    """What a write that goes through leaves behind."""
    match kind:
        case "Put":
            return item("A", version=9, new="new")
        case "Update":
            kept = {name: value for name, value in (state or {}).items() if name != "gone"}
            return kept | item("A", version=9, new="new")
        case "Delete":
            return None
        case _:
            return state


def holds(expect: Expectation, state: Item | None) -> bool:
    """The meaning of an expectation."""
    if expect is ANY:
        return True
    if expect is ABSENT:
        return state is None
    if expect is EXISTS:
        return state is not None
    if isinstance(expect, AsRead):
        asked = expect.all_attributes
        version = EXISTS if expect.version is None else expect.version
        return state is not None and holds(version, state) and all(state.get(n) == asked[n] for n in asked)
    if expect == 0:
        return state is not None and state.get("version", {"N": "0"}) == {"N": "0"}
    return state is not None and state.get("version") == {"N": str(expect)}


class WriteSuite(EngineCase):
    """Writes and their expectations."""

    @pytest.mark.parametrize("expect", EXPECTATIONS, ids=str)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_write_goes_through_exactly_when_its_expectation_holds(
        self, engine: Engine, door: SideDoor, table: str, kind: str, expect: Expectation
    ) -> None:
        if kind == "Check" and expect is ANY:
            return  # refused: see LimitsSuite
        for name, state in STATES.items():
            engine.write(Delete(table, KEY))
            if state is not None:
                door.put(table, state)
            if holds(expect, state):
                engine.write(write_of(kind, table, expect))
                assert door.get(table, KEY) == outcome(kind, state), name
                continue
            with pytest.raises(AlreadyExistsError if expect is ABSENT else VersionConflictError) as caught:
                engine.write(write_of(kind, table, expect))
            assert door.get(table, KEY) == state, name
            assert table in str(caught.value)
            assert str(KEY) in str(caught.value)
            if isinstance(caught.value, VersionConflictError):
                version = expect.version if isinstance(expect, AsRead) else expect
                assert caught.value.expected == (version if isinstance(version, int) else None)
                versions = {"absent": None, "no version": 0, "version 3": 3, "version 4": 4}
                if name in versions:
                    assert caught.value.found == versions[name], name

    def test_a_put_replaces_the_whole_item(self, engine: Engine, door: SideDoor, table: str) -> None:
        door.put(table, item("A", vestingTiers="of another program"))
        engine.write(Put(table, item("A", text="new")))
        assert door.get(table, KEY) == item("A", text="new")

    def test_an_update_leaves_what_it_does_not_name(self, engine: Engine, door: SideDoor, table: str) -> None:
        tiers = {"L": [{"M": {"years": {"N": "3"}, "pct": {"N": "100"}}}, {"NULL": True}]}
        door.put(table, item("A", vestingTiers=tiers, old="old"))
        engine.write(Update(table, KEY, {"new": {"BOOL": True}}, frozenset({"old", "never there"})))
        assert door.get(table, KEY) == item("A", vestingTiers=tiers, new={"BOOL": True})

    def test_an_update_takes_attribute_names_that_mean_something_to_dynamodb(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        names = ("status", "size", "a.b", "a[0]", "#n", ":v", "sp ace", "ö", "SET x = :y")
        door.put(table, item("A", **dict.fromkeys((*names, "name"), "old")))
        engine.write(Update(table, KEY, {name: {"S": "new"} for name in names}, frozenset({"name"})))
        assert door.get(table, KEY) == item("A", **dict.fromkeys(names, "new"))

    def test_a_transaction_writes_all_its_items_in_all_its_tables(
        self, engine: Engine, door: SideDoor, table: str, other_table: str
    ) -> None:
        door.put(table, item("GONE"))
        door.put(other_table, item("CHANGED", version=1))
        door.put(other_table, item("CHECKED", version=7))
        engine.write(
            Put(table, item("NEW"), ABSENT),
            Delete(table, Key("GONE", "A"), EXISTS),
            Update(other_table, Key("CHANGED", "A"), {"version": {"N": "2"}}, expect=1),
            Check(other_table, Key("CHECKED", "A"), 7),
        )
        assert door.get(table, Key("NEW", "A")) == item("NEW")
        assert door.get(table, Key("GONE", "A")) is None
        assert door.get(other_table, Key("CHANGED", "A")) == item("CHANGED", version=2)
        assert door.get(other_table, Key("CHECKED", "A")) == item("CHECKED", version=7)

    @pytest.mark.parametrize("place", range(4))
    def test_one_expectation_that_fails_anywhere_undoes_the_whole_transaction(
        self, engine: Engine, door: SideDoor, table: str, other_table: str, place: int
    ) -> None:
        before = {
            (table, Key("OLD", "A")): item("OLD", version=1),
            (other_table, Key("GONE", "A")): item("GONE", version=1),
        }
        for (name, _), state in before.items():
            door.put(name, state)
        writes: list[Write] = [
            Put(table, item("NEW"), ABSENT),
            Update(table, Key("OLD", "A"), {"version": {"N": "2"}}, expect=1),
            Delete(other_table, Key("GONE", "A"), 1),
        ]
        writes.insert(place, Check(other_table, Key("NOBODY", "A"), EXISTS))
        with pytest.raises(VersionConflictError, match="NOBODY"):
            engine.write(*writes)
        assert door.get(table, Key("NEW", "A")) is None
        for (name, key), state in before.items():
            assert door.get(name, key) == state

    def test_the_first_expectation_that_fails_is_the_one_named(
        self, engine: Engine, door: SideDoor, table: str, other_table: str
    ) -> None:
        door.put(table, item("FIRST", version=4))
        door.put(other_table, item("SECOND", version=5))
        with pytest.raises(VersionConflictError) as caught:
            engine.write(
                Put(table, item("NEW"), ABSENT),
                Update(table, Key("FIRST", "A"), {"x": {"S": "x"}}, expect=3),
                Put(other_table, item("SECOND"), ABSENT),
            )
        assert (caught.value.expected, caught.value.found) == (3, 4)
        assert "FIRST" in caught.value.item
        with pytest.raises(AlreadyExistsError, match="SECOND"):
            engine.write(Put(other_table, item("SECOND"), ABSENT), Delete(table, Key("FIRST", "A"), 3))

    def test_a_refused_write_can_be_repeated_when_its_expectation_holds(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        door.put(table, item("A", version=1))
        write = Update(table, KEY, {"version": {"N": "3"}}, expect=2)
        with pytest.raises(ConflictError):
            engine.write(write)
        door.put(table, item("A", version=2))
        engine.write(write)
        with pytest.raises(ConflictError):
            engine.write(write)  # it is not taken for a repetition of the one before
        assert door.get(table, KEY) == item("A", version=3)

    def test_no_writes_are_no_error(self, engine: Engine) -> None:
        engine.write()

    def test_a_transaction_takes_100_writes(self, engine: Engine, table: str) -> None:
        items = [item(f"P{number}") for number in range(100)]
        engine.write(*(Put(table, one, ABSENT) for one in items))
        assert list(engine.get(table, map(key_of, items), consistent=True).values()) == items
        engine.write(*(Delete(table, key_of(one), EXISTS) for one in items))
        assert engine.scan(table, consistent=True).items == []

    def test_the_same_key_in_two_tables_is_two_items(
        self, engine: Engine, door: SideDoor, table: str, other_table: str
    ) -> None:
        if table == other_table:
            pytest.skip("this layout has one table")
        engine.write(Put(table, item("A", text="one"), ABSENT), Put(other_table, item("A", text="two"), ABSENT))
        assert door.get(table, KEY) == item("A", text="one")
        assert door.get(other_table, KEY) == item("A", text="two")
