"""Read units are counted as AWS's developer guide counts them ("DynamoDB read and write operations")."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bluestar_store.engines.checks import item_bytes
from bluestar_store.engines.memory import tables
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import IndexSpec, Item, TableSpec, scan_pages
from bluestar_store.testing import ReadUnitEngine

TABLE, INDEX = "units", IndexSpec("by_level", "bs_kind", "bs_level")
KB = 1024


def item(sk: str, size: int, pk: str = "P", **attributes: str) -> Item:
    """An item of this size, in bytes, name and key included."""
    bare: Item = {"PK": {"S": pk}, "SK": {"S": sk}, **{name: {"S": text} for name, text in attributes.items()}}
    bare["x"] = {"S": "x" * (size - item_bytes(bare) - 1)}
    assert item_bytes(bare) == size
    return bare


@pytest.fixture
def engine() -> Iterator[ReadUnitEngine]:
    metered = ReadUnitEngine(MemoryEngine())
    metered.create_tables([TableSpec(TABLE, (INDEX,))])
    yield metered
    metered.close()


def units(engine: ReadUnitEngine, read: Callable[[], object]) -> float:
    with engine.counted() as counted:
        read()
    return counted.total


@pytest.mark.parametrize(("size", "blocks"), [(100, 1), (4 * KB, 1), (4 * KB + 1, 2), (6 * KB, 2), (8 * KB, 2)])
def test_an_item_counts_by_its_size_rounded_up_to_4_kb(engine: ReadUnitEngine, size: int, blocks: int) -> None:
    engine.put_many(TABLE, [item("A", size)])
    keys = [Key("P", "A")]
    assert units(engine, lambda: engine.get(TABLE, keys, consistent=True)) == blocks
    assert units(engine, lambda: engine.get(TABLE, keys)) == blocks / 2
    assert units(engine, lambda: engine.get_isolated(TABLE, keys)) == blocks * 2


def test_each_item_of_a_batch_is_rounded_up_by_itself(engine: ReadUnitEngine) -> None:
    """AWS's example: "if BatchGetItem reads a 1.5 KB item and a 6.5 KB item, it calculates the size as 12 KB"."""
    engine.put_many(TABLE, [item("A", 1536), item("B", 6656)])
    assert units(engine, lambda: engine.get(TABLE, [Key("P", "A"), Key("P", "B")], consistent=True)) == 3


def test_a_query_is_rounded_up_as_a_whole(engine: ReadUnitEngine) -> None:
    """AWS's example: a query whose items are 40.8 KB together is rounded to 44 KB."""
    engine.put_many(TABLE, [item(f"A{n:02d}", 40 * KB // 10 + 82) for n in range(10)])
    assert units(engine, lambda: engine.query(TABLE, "P", consistent=True)) == 11
    assert units(engine, lambda: engine.query(TABLE, "P")) == 5.5


def test_what_is_not_there_counts_as_much_as_4_kb(engine: ReadUnitEngine) -> None:
    assert units(engine, lambda: engine.get(TABLE, [Key("P", "A"), Key("P", "B")], consistent=True)) == 2
    assert units(engine, lambda: engine.get_isolated(TABLE, [Key("P", "A")])) == 2
    assert units(engine, lambda: engine.query(TABLE, "P")) == 0.5
    assert units(engine, lambda: engine.scan(TABLE, consistent=True)) == 1


def test_a_scan_counts_what_it_reads_whatever_its_filters_leave(
    engine: ReadUnitEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGE_ITEMS", 10)
    engine.put_many(TABLE, [item(f"A{n:02d}", 8 * KB, bs_kind="k") for n in range(20)])
    engine.put_many(TABLE, [item("B", 100)])
    found: list[Item] = []

    def scan() -> None:
        found.extend(one for page in scan_pages(engine, TABLE, sk_prefix="B", lacking="bs_kind") for one in page)

    assert units(engine, scan) == 41  # two pages of 80 KB, and the begun 4 KB of the last
    assert [one["SK"]["S"] for one in found] == ["B"]


def test_a_query_of_an_index_counts_what_the_index_holds_eventually(engine: ReadUnitEngine) -> None:
    engine.put_many(TABLE, [item(f"A{n}", 100 * KB, bs_kind="k", bs_level="l") for n in range(3)])
    assert units(engine, lambda: engine.query(TABLE, "k", index=INDEX.name, consistent=False)) == 0.5


def test_a_key_that_is_asked_for_twice_is_read_once_and_the_report_names_each_call(engine: ReadUnitEngine) -> None:
    with engine.counted() as counted:
        engine.get(TABLE, [Key("P", "A"), Key("P", "A")], consistent=True)
    assert str(counted) == "1 read units\n  1: get units PK=P SK=A"
