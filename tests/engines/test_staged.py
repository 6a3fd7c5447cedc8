"""What a unit of work sees and sends is what the same writes would have left, one after the other."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.memory.folding import folded
from bluestar_store.engines.memory.staged import StagedEngine
from bluestar_store.errors import AlreadyExistsError, ConflictError, InvalidWriteError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    ABSENT,
    ANY,
    EXISTS,
    AsRead,
    Check,
    Delete,
    Expectation,
    IndexSpec,
    Item,
    Put,
    TableSpec,
    Update,
    Write,
    pages,
)

SPEC = TableSpec("table", (IndexSpec("by_x", "bs_x", "bs_y"),))
KEYS = [Key(pk, sk) for pk in "AB" for sk in ("1", "2", "30")]

keys = st.sampled_from(KEYS)
expectations: st.SearchStrategy[Expectation] = st.sampled_from([ANY, ABSENT, EXISTS, 0, 1, 2, 3])
names = st.sampled_from(["a", "b", "bs_x", "bs_y"])
values = st.sampled_from([{"S": "x"}, {"S": "y"}])


@st.composite
def writes(
    draw: st.DrawFn, keys: st.SearchStrategy[Key] = keys, expected: st.SearchStrategy[Expectation] = expectations
) -> Write:
    key, expect = draw(keys), draw(expected)
    match draw(st.sampled_from([Put, Update, Delete, Check])):
        case kind if kind is Put:
            return Put("table", _item(key, draw(st.dictionaries(names, values)), draw(st.integers(1, 3))), expect)
        case kind if kind is Update:
            sets = draw(st.dictionaries(names, values)) | {"version": {"N": str(draw(st.integers(1, 3)))}}
            removes = draw(st.frozensets(names)) - sets.keys()
            return Update("table", key, sets, removes, expect)
        case kind if kind is Delete:
            return Delete("table", key, expect)
    return Check("table", key, EXISTS if expect is ANY else expect)


def _item(key: Key, attributes: dict[str, Any], version: int | None = None) -> Item:
    own = {} if version is None else {"version": {"N": str(version)}}
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **attributes, **own}


def engine_with(items: list[Item]) -> MemoryEngine:
    engine = MemoryEngine()
    engine.create_tables([SPEC])
    engine.put_many("table", items)
    return engine


stored = st.lists(
    st.builds(_item, keys, st.dictionaries(names, values), st.sampled_from([None, 1, 2])),
    unique_by=lambda item: (item["PK"]["S"], item["SK"]["S"]),
    max_size=6,
)


def _all_at_once(target: MemoryEngine, made: list[Write]) -> None:
    """What does not hold is told at once, or when it is sent."""
    staged = StagedEngine(target, [SPEC])
    for write in made:
        staged.write(write)
    target.write(*staged.writes.values())


def everything(engine: MemoryEngine | StagedEngine, limit: int | None = None) -> list[Any]:
    """All that reads of any form give, in order where there is one."""
    found: list[Any] = [engine.get("table", KEYS), engine.get_isolated("table", KEYS)]
    found.append(engine.get_places([("table", key) for key in KEYS]))
    for pk in "AB":
        for prefix in ("", "3"):
            for newest_first in (False, True):

                def page(cursor: str | None, asked: tuple[str, str, bool] = (pk, prefix, newest_first)) -> Any:
                    return engine.query("table", asked[0], asked[1], newest_first=asked[2], limit=limit, cursor=cursor)

                found.append(list(pages(page)))
    found.append(
        [[item["SK"] for item in some] for some in pages(lambda c: engine.query("table", "x", index="by_x", cursor=c))]
    )
    for options in ({}, {"sk_prefix": "3"}, {"lacking": "a"}):
        scanned = [
            item
            for some in pages(lambda c, o=options: engine.scan("table", cursor=c, limit=limit, **o))  # type: ignore[misc]
            for item in some
        ]
        found.append(sorted(scanned, key=lambda item: (item["PK"]["S"], item["SK"]["S"])))
    return found


@given(stored, st.lists(writes(), max_size=8), st.sampled_from([None, 1, 2]))
def test_a_unit_sees_and_leaves_what_its_writes_would_leave_one_by_one(
    items: list[Item], made: list[Write], limit: int | None
) -> None:
    direct, target = engine_with(items), engine_with(items)
    staged = StagedEngine(target, [SPEC])
    try:
        for write in made:
            direct.write(write)
    except ConflictError:
        with pytest.raises(ConflictError):
            _all_at_once(target, made)
        assert everything(target) == everything(engine_with(items))
        return
    for write in made:
        staged.write(write)
    assert everything(staged, limit) == everything(direct, limit)
    assert everything(target) == everything(engine_with(items))
    target.write(*staged.writes.values())
    assert everything(target) == everything(direct)


@st.composite
def as_read(draw: st.DrawFn, item: Item | None) -> Expectation:
    """Mostly what holds of the item, or of some of it."""
    if item is None:
        absent: tuple[Expectation, ...] = (ABSENT, ABSENT, AsRead(1))
        return draw(st.sampled_from(absent))
    found: dict[str, Any] = {name: item.get(name) for name in draw(st.sets(names))}
    if draw(st.integers(0, 9)) == 0:
        found |= draw(st.dictionaries(names, st.one_of(st.none(), values)))
    others = {name: found.pop(name) for name in draw(st.sets(names)) & found.keys()}
    version = int(item.get("version", {"N": "0"})["N"])
    expected: tuple[Expectation, ...] = (AsRead(version, found, others), AsRead(version, found, others), version)
    return draw(st.sampled_from(expected))


@given(st.data(), st.one_of(st.none(), st.builds(_item, st.just(KEYS[0]), st.dictionaries(names, values))))
def test_writes_that_expect_an_item_as_it_was_read_are_folded_like_the_others(data: st.DataObject, first: Any) -> None:
    items = [] if first is None else [first]
    direct, target = engine_with(items), engine_with(items)
    staged = StagedEngine(target, [SPEC])
    refused = False
    for _ in range(data.draw(st.integers(1, 5))):
        expected = as_read(direct.get("table", KEYS[:1]).get(KEYS[0]))
        write = data.draw(writes(st.just(KEYS[0]), expected))
        try:
            direct.write(write)
        except ConflictError:
            refused = True
        try:
            staged.write(write)
        except ConflictError:
            assert refused
            return
        if refused:
            break
        assert everything(staged) == everything(direct)
    if refused:
        with pytest.raises(ConflictError):
            target.write(*staged.writes.values())
        return
    target.write(*staged.writes.values())
    assert everything(target) == everything(direct)


def test_what_a_later_write_expects_of_an_earlier_one_is_looked_at_at_once() -> None:
    staged = StagedEngine(engine_with([]), [SPEC])
    staged.write(Put("table", _item(KEYS[0], {}, 1), ABSENT))
    with pytest.raises(AlreadyExistsError):
        staged.write(Put("table", _item(KEYS[0], {}, 1), ABSENT))
    with pytest.raises(VersionConflictError) as caught:
        staged.write(Delete("table", KEYS[1]), Delete("table", KEYS[0], 2))
    assert (caught.value.expected, caught.value.found) == (2, 1)
    assert caught.value.place == ("table", KEYS[0])
    assert list(staged.writes) == [("table", KEYS[0])]  # all of a call or nothing


def test_a_unit_reads_an_item_as_its_own_writes_expect_it() -> None:
    engine = engine_with([_item(KEYS[0], {"a": {"S": "x"}}, 1)])
    staged = StagedEngine(engine, [SPEC])
    staged.write(Check("table", KEYS[0], AsRead(1, {"a": {"S": "x"}, "b": None})))
    engine.put_many("table", [_item(KEYS[0], {"a": {"S": "y"}, "b": {"S": "y"}}, 4)])
    assert staged.get("table", KEYS[:1]) == {KEYS[0]: _item(KEYS[0], {"a": {"S": "x"}}, 1)}
    staged.write(Update("table", KEYS[0], {"version": {"N": "2"}}, expect=AsRead(1, {"a": {"S": "x"}})))
    with pytest.raises(VersionConflictError):
        engine.write(*staged.writes.values())


def test_an_item_as_read_after_a_write_that_expects_no_version_is_refused() -> None:
    staged = StagedEngine(engine_with([]), [SPEC])
    staged.write(Update("table", KEYS[0], {"version": {"N": "1"}}, expect=ANY))
    with pytest.raises(InvalidWriteError, match="expects no version"):
        staged.write(Delete("table", KEYS[0], AsRead(1, {"a": None})))


def test_what_is_made_and_deleted_again_must_not_have_been_there() -> None:
    made = Put("table", _item(KEYS[0], {}, 1), ABSENT)
    assert folded(made, Delete("table", KEYS[0], 1)) == Check("table", KEYS[0], ABSENT)


def test_items_belong_to_whoever_reads_them() -> None:
    staged = StagedEngine(engine_with([]), [SPEC])
    mine = _item(KEYS[0], {"a": {"M": {"deep": {"S": "x"}}}})
    staged.write(Put("table", mine))
    mine["a"]["M"]["deep"]["S"] = "y"
    read = staged.get("table", [KEYS[0]])[KEYS[0]]
    assert read["a"] == {"M": {"deep": {"S": "x"}}}
    read["a"]["M"]["deep"]["S"] = "z"
    assert staged.get("table", [KEYS[0]])[KEYS[0]]["a"] == {"M": {"deep": {"S": "x"}}}


def test_what_is_no_transaction_is_refused() -> None:
    staged = StagedEngine(engine_with([]), [SPEC])
    for call in (
        lambda: staged.put_many("table", []),
        lambda: staged.create_tables([SPEC]),
        lambda: staged.delete_tables(["table"]),
    ):
        with pytest.raises(InvalidWriteError, match="unit of work"):
            call()


def test_threads_may_write_into_one_unit() -> None:
    staged = StagedEngine(engine_with([]), [SPEC])
    threads = [
        threading.Thread(target=lambda n=n: staged.write(Put("table", _item(Key("T", str(n)), {})))) for n in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(staged.writes) == 50
