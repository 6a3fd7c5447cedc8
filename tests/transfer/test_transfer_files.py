"""The files of an export: one spelling of an item, sorted lines, and damage that is found and named."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store import FileMissingError, FileStoreError, ItemDecodeError
from bluestar_store.engines.item_json import item_from_json
from bluestar_store.keys import Key
from bluestar_store.models.registry import KINDS
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import OWN_PREFIX, AttributeValue, Item
from bluestar_store.settings import TableLayout
from bluestar_store.transfer import sorting
from bluestar_store.transfer.files import Manifest, TableDigest, held, line_of, read_items
from bluestar_store.transfer.layout import TableMap
from tests.strategies import decimals, placed

TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = decimals().map(lambda number: format(number, "f"))
SCALARS: st.SearchStrategy[AttributeValue] = st.one_of(
    TEXTS.map(lambda text: {"S": text}),
    NUMBERS.map(lambda text: {"N": text}),
    st.binary(max_size=12).map(lambda content: {"B": content}),
    st.booleans().map(lambda value: {"BOOL": value}),
    st.just({"NULL": True}),
    st.lists(TEXTS, min_size=1, max_size=4, unique=True).map(lambda members: {"SS": members}),
    st.lists(st.integers(-99, 99).map(str), min_size=1, max_size=4, unique=True).map(lambda members: {"NS": members}),
    st.lists(st.binary(max_size=4), min_size=1, max_size=4, unique=True).map(lambda members: {"BS": members}),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda members: {"L": members})
        | st.dictionaries(NAMES, inner, max_size=3).map(lambda members: {"M": members})
    ),
    max_leaves=6,
)
ATTRIBUTES = st.dictionaries(
    NAMES.filter(lambda name: name not in ("PK", "SK", "version") and not name.startswith(OWN_PREFIX)),
    VALUES,
    max_size=4,
)


@st.composite
def foreign_keys(draw: st.DrawFn) -> tuple[str, Key]:
    """A table, and a key in it that no entity has."""
    table = draw(st.sampled_from(sorted({mapper.table for mapper in KINDS})))
    pk = draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.just("CLIENT#A"))
    return table, Key(pk, draw(st.sampled_from(["FOREIGN", "STEP#", "RULE#x", "\n", "\0", "é😀"])))


@st.composite
def own_keys(draw: st.DrawFn) -> tuple[str, Key]:
    """A table, and a key of one of its entities; numbers not always in our width."""
    mapper, identity = draw(placed())
    key = mapper.keys.build(identity)
    narrow = Key(key.pk, key.sk.replace("#00", "#", 1))
    return mapper.table, narrow if draw(st.booleans()) and mapper.keys.parse(narrow) else key


@st.composite
def stores(draw: st.DrawFn) -> dict[str, list[Item]]:
    """Odd items by table, no key twice."""
    places = draw(st.lists(own_keys() | foreign_keys(), max_size=12, unique_by=lambda place: place[1]))
    tables: dict[str, list[Item]] = {}
    for table, key in places:
        item: Item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}} | draw(ATTRIBUTES)
        if draw(st.booleans()):
            item["version"] = {"N": str(draw(st.integers(0, 10**20)))}
        tables.setdefault(table, []).append(item)
    return tables


def shuffled(value: Any, draw: Any) -> Any:
    """The same wire value with attributes and members of sets in another order, and numbers spelled differently."""
    match value:
        case {"SS": list(members)} | {"BS": list(members)}:
            return {next(iter(value)): draw(st.permutations(members))}
        case {"NS": list(members)}:
            return {"NS": [f"{member}.0" for member in draw(st.permutations(members))]}
        case {"N": str(text)}:
            return {"N": f"{text}0" if "." in text else f"{text}.00"}
        case {"L": list(members)}:
            return {"L": [shuffled(member, draw) for member in members]}
        case {"M": dict(members)}:
            return {"M": {name: shuffled(members[name], draw) for name in draw(st.permutations(list(members)))}}
    return value


@given(ATTRIBUTES, st.data())
def test_equal_items_have_one_line(attributes: Item, data: st.DataObject) -> None:
    item = {"PK": {"S": "A"}, "SK": {"S": "B"}} | attributes
    same = {name: shuffled(item[name], data.draw) for name in data.draw(st.permutations(list(item)))}
    assert line_of(same) == line_of(item)
    assert b"\n" not in line_of(item)
    read = json.loads(line_of(item))
    assert line_of(item) == json.dumps(read, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert line_of(item_from_json("T", json.loads(line_of(item)))) == line_of(item)


@given(st.lists(st.tuples(NAMES, NAMES).map(Key._make), unique=True), st.integers(1, 400))
def test_lines_sort_by_key_however_little_memory_there_is(keys: list[Key], run_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(sorting, "RUN_BYTES", run_bytes)
        patch.setattr(sorting, "MAX_RUNS", 3)
        sorter = sorting.Sorter(Path(folder), "t")
        for key in keys:
            sorter.add(key, json.dumps(key).encode())
        assert [Key(*json.loads(line)) for line in sorter.lines()] == sorted(keys)
        assert not list(Path(folder).iterdir())


@given(own_keys())
def test_no_key_is_that_of_two_kinds(place: tuple[str, Key]) -> None:
    assert len([mapper for mapper in KINDS if mapper.keys.parse(place[1])]) == 1


@given(own_keys() | foreign_keys(), ATTRIBUTES)
def test_an_item_comes_out_of_layout_single_as_it_went_in(place: tuple[str, Key], attributes: Item) -> None:
    table, key = place
    table_map = TableMap(Tables("p-", "", TableLayout.SINGLE))
    item: Item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}} | attributes
    assert table_map.outgoing(table_map.incoming(table, key, item)) == (table, item)


def test_what_an_index_could_not_hold_is_refused() -> None:
    table_map = TableMap(Tables("p-", "", TableLayout.SINGLE))
    for value in ({"N": "1"}, {"S": ""}, {"S": "é" * 600}):
        with pytest.raises(ValueError, match="no key of the index by_level"):
            table_map.incoming("irs-limits", Key("A", "B"), {"PK": {"S": "A"}, "SK": {"S": "B"}, "bs_level": value})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON"),
        (b"[]", "not the manifest"),
        (b'{"format": 2, "tables": {}, "complete": true}', "format 2"),
        (b'{"format": 1, "tables": {}}', "not the manifest"),
        (b'{"format": 1, "tables": {"irs-limits": {"items": "1", "sha256": ""}}, "complete": true}', "not the manif"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(FileStoreError, match=reason):
        Manifest.read(tmp_path)


def test_a_folder_without_manifest_is_no_export(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="no complete export"):
        Manifest.read(tmp_path)


GOOD = b'{"PK":{"S":"A"},"SK":{"S":"B"}}\n'


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "is not JSON"),
        (b'{"PK":{"S":"A"},"SK":{"S":"C"}}', "is cut off"),
        (b'{"PK":{"S":"\xff"},"SK":{"S":"C"}}\n', "is not UTF-8"),
        (b'{"PK":{"S":"A"}}\n', "without text in PK and SK"),
        (b'{"PK":{"S":"A"},"SK":{"S":"C"},"n":{"N":"x"}}\n', "is no number"),
        (b'{"PK":{"S":"A"},"SK":{"S":"C"},"n":{"N":"1.0"}}\n', "is not spelled"),
        (b'{"PK":{"S":"A"},"SK":{"S":"C"},"SK":{"S":"D"}}\n', "is not spelled"),
        (b"[" * 100_000 + b"\n", "is nested too deep"),
        (GOOD, "does not come after"),
        (b'{"PK":{"S":"A"},"SK":{"S":"A"}}\n', "does not come after the line before: PK=A SK=B"),
        (b"x" * 5_000_000 + b"\n", "longer than any item"),
    ],
)
def test_a_damaged_line_is_named_by_file_and_number(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "irs-limits.jsonl").write_bytes(GOOD + line)
    with pytest.raises(ItemDecodeError, match=reason) as caught:
        list(read_items(tmp_path, "irs-limits", TableDigest(2, "")))
    assert caught.value.where == f"{tmp_path / 'irs-limits.jsonl'} line 2"


def test_two_transfers_do_not_use_one_folder(tmp_path: Path) -> None:
    with held(tmp_path, "export"), pytest.raises(FileStoreError, match="in use by another"), held(tmp_path, "import"):
        pass
    with held(tmp_path, "import"):
        pass
    assert not list(tmp_path.iterdir())
