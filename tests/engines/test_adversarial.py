"""The adversarial engine is an engine, and does its worst where AWS may."""

from __future__ import annotations

import math

import pytest

from bluestar_store.errors import VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import Delete, IndexSpec, Item, Put, TableSpec, Update
from bluestar_store.testing import EngineSuite, FrozenClock
from tests.adversarial_engine import AdversarialEngine, Place
from tests.engines.doors import AdversarialDoor

TABLE = "t"
KEYS = [Key("A", f"S{number}") for number in range(6)]
SPEC = TableSpec(TABLE, (IndexSpec("by_level", "bs_level", "bs_level_sort"),))


class TestAdversarialEngine(EngineSuite):
    """Where nothing is late: what the suite asks one caller may not find on AWS either, for some milliseconds."""

    @pytest.fixture
    def specs(self, layout_specs: tuple[TableSpec, ...]) -> tuple[TableSpec, ...]:
        return layout_specs

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...]) -> AdversarialEngine:
        engine = AdversarialEngine(settled=True, index_spread=0, eventual_spread=0)
        engine.create_tables(specs)
        return engine

    @pytest.fixture
    def door(self, engine: AdversarialEngine) -> AdversarialDoor:
        return AdversarialDoor(engine)


def made(**options: object) -> AdversarialEngine:
    engine = AdversarialEngine(**options)  # type: ignore[arg-type]  # each test's own
    engine.create_tables([SPEC])
    return engine


def item(key: Key, version: int = 1) -> Item:
    level = {"bs_level": {"S": "level"}, "bs_level_sort": {"S": f"{version}"}}
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}, "version": {"N": str(version)}, **level}


def write_all(engine: AdversarialEngine, version: int = 1) -> None:
    engine.write(*(Put(TABLE, item(key, version)) for key in KEYS))


def versions(items: list[Item]) -> list[int]:
    return [int(one["version"]["N"]) for one in items]


def got(engine: AdversarialEngine) -> list[int]:
    return versions(list(engine.get(TABLE, KEYS, consistent=True).values()))


def queried(engine: AdversarialEngine) -> list[int]:
    return versions(engine.query(TABLE, "A", consistent=True).items)


def scanned(engine: AdversarialEngine) -> list[int]:
    return versions(engine.scan(TABLE, consistent=True).items)


@pytest.mark.parametrize("read", [got, queried, scanned])
def test_reads_of_several_items_see_a_transaction_come_one_by_one(read: object) -> None:
    assert callable(read)
    for seed in range(5):
        engine = made(seed=seed)
        write_all(engine)
        engine.settle()
        write_all(engine, 2)
        seen = [sorted(read(engine)) for _ in range(8)]
        assert seen == sorted(seen)  # no item goes back
        assert len(seen[0]) == 6
        assert any(1 in one and 2 in one for one in seen)
        assert read(engine) == [2] * 6


def test_the_order_is_another_one_for_each_seed() -> None:
    orders = set()
    for seed in range(20):
        engine = made(seed=seed)
        write_all(engine)
        orders.add(tuple(tuple(one["SK"]["S"] for one in engine.query(TABLE, "A").items) for _ in range(8)))
    assert len(orders) > 15


def test_one_key_and_isolated_reads_see_a_transaction_whole() -> None:
    engine = made(spread=math.inf)
    write_all(engine)
    assert got(engine) == []
    assert versions(list(engine.get_isolated(TABLE, KEYS).values())) == [1] * 6
    assert [len(engine.get(TABLE, [key], consistent=True)) for key in KEYS] == [1] * 6
    assert got(engine) == []


def test_conditions_see_what_is_committed() -> None:
    engine = made(spread=math.inf)
    write_all(engine)
    write_all(engine, 2)
    assert got(engine) == [1] * 6
    with pytest.raises(VersionConflictError):
        engine.write(Update(TABLE, KEYS[0], {"n": {"N": "3"}}, expect=1))
    engine.write(Update(TABLE, KEYS[0], {"version": {"N": "3"}}, expect=2))
    assert got(engine) == [3, 1, 1, 1, 1, 1]  # of one item it is no transaction


def test_the_test_shows_items_one_by_one() -> None:
    engine = made(spread=math.inf)
    write_all(engine)
    assert engine.pending == [Place(TABLE, key) for key in KEYS]
    engine.show(Place(TABLE, KEYS[2]))
    assert list(engine.get(TABLE, KEYS, consistent=True)) == [KEYS[2]]
    engine.settle()
    assert engine.pending == []
    assert got(engine) == [1] * 6


def test_a_clock_tells_when_items_are_seen() -> None:
    clock = FrozenClock()
    engine = made(now=clock.monotonic)
    write_all(engine)
    assert [got(engine) for _ in range(20)] == [[]] * 20
    seen = []
    for _ in range(8):
        clock.advance(1)
        seen.append(len(got(engine)))
    assert seen == sorted(seen)
    assert len(set(seen) - {0, 6}) > 0
    assert seen[-1] == 6


def test_a_delete_of_a_transaction_is_late_too() -> None:
    engine = made(spread=math.inf)
    write_all(engine)
    engine.settle()
    engine.write(*(Delete(TABLE, key) for key in KEYS))
    assert got(engine) == [1] * 6
    assert engine.get(TABLE, KEYS[:1], consistent=True) == {}


def test_an_index_follows_later_item_by_item_and_in_order() -> None:
    engine = made(seed=1)
    engine.put_many(TABLE, [item(key) for key in KEYS])
    engine.put_many(TABLE, [item(KEYS[0], 2)])
    counts = []
    for _ in range(16):
        found = engine.query(TABLE, "level", index="by_level").items
        counts.append(len(found))
        kept = [one["bs_level_sort"]["S"] for one in found if one["SK"]["S"] == "S0"]
        assert kept in ([], ["1"], ["2"])
    assert counts == sorted(counts)
    assert len(set(counts) - {0, 6}) > 0
    assert kept == ["2"]


def test_a_read_that_asks_for_no_consistency_may_see_any_recent_state() -> None:
    engine = made(seed=1, eventual_spread=40)
    for version in (1, 2, 3):
        engine.put_many(TABLE, [item(KEYS[0], version)])
    answers = [versions(list(engine.get(TABLE, KEYS[:1]).values())) for _ in range(40)]
    assert {tuple(answer) for answer in answers} == {(), (1,), (2,), (3,)}
    assert versions(list(engine.get(TABLE, KEYS[:1]).values())) == [3]
    assert answers != sorted(answers)  # it goes back in time


def test_a_settled_write_is_seen_by_whoever_made_it() -> None:
    engine = made(settled=True, spread=math.inf)
    for version in range(1, 20):
        write_all(engine, version)
        assert got(engine) == queried(engine) == [version] * 6
