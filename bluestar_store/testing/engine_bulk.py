"""put_many: items as they are, in bulk."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bluestar_store.errors import InvalidWriteError
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, key_of
from bluestar_store.testing.engine_case import EngineCase, SideDoor, all_pages, item, numbered


class BulkSuite(EngineCase):
    """Bulk writes."""

    def test_a_bulk_is_written_item_by_item_as_it_is(self, engine: Engine, table: str) -> None:
        items = [item("A", f"S{number:04d}", version=number % 3 or None, text="x" * 50) for number in range(160)]
        assert engine.put_many(table, iter(items)) == 160
        found = engine.query(table, "A", consistent=True)
        assert all_pages(found, lambda cursor: engine.query(table, "A", cursor=cursor, consistent=True)) == items

    def test_a_bulk_of_nothing_is_no_error(self, engine: Engine, table: str) -> None:
        told: list[int] = []
        assert engine.put_many(table, [], progress=told.append) == 0
        assert told == []

    def test_progress_adds_up_to_the_items_written(self, engine: Engine, table: str) -> None:
        for count in (1, 25, 26, 1000, 1001):
            told: list[int] = []
            assert engine.put_many(table, numbered("A", count), progress=told.append) == count
            assert sum(told) == count
            assert all(told)

    def test_of_two_items_with_one_key_the_later_one_is_kept(self, engine: Engine, door: SideDoor, table: str) -> None:
        near = [item("NEAR", text="first"), item("NEAR", text="later")]
        far = [item("FAR", text="first"), *numbered("BETWEEN", 60), item("FAR", text="later")]
        engine.put_many(table, [*near, *far])
        assert door.get(table, Key("NEAR", "A")) == item("NEAR", text="later")
        assert door.get(table, Key("FAR", "A")) == item("FAR", text="later")

    def test_a_bulk_may_be_repeated_after_it_broke_off(self, engine: Engine, table: str) -> None:
        items = numbered("A", 70)

        def breaking() -> Iterator[Item]:
            yield from items[:40]
            raise OSError("the file ended")

        with pytest.raises(OSError, match="the file ended"):
            engine.put_many(table, breaking())
        assert engine.put_many(table, items) == 70
        assert list(engine.get(table, map(key_of, items), consistent=True).values()) == items

    def test_items_are_asked_for_one_by_one_in_the_callers_thread(self, engine: Engine, table: str) -> None:
        threads: list[int] = []

        def asked() -> Iterator[Item]:
            for one in numbered("A", 160):
                threads.append(threading.get_ident())
                yield one

        assert engine.put_many(table, asked(), progress=lambda _: threads.append(threading.get_ident())) == 160
        assert set(threads) == {threading.get_ident()}

    def test_nothing_is_written_any_more_when_the_items_broke_off(self, engine: Engine, table: str) -> None:
        def breaking() -> Iterator[Item]:
            yield from numbered("A", 240)
            raise OSError("the file ended")

        with pytest.raises(OSError, match="the file ended"):
            engine.put_many(table, breaking())
        found = engine.scan(table, consistent=True).items
        later = [item("B", "S"), *(one | {"text": {"S": "later"}} for one in found)]
        engine.put_many(table, later)
        assert sorted(engine.scan(table, consistent=True).items, key=key_of) == sorted(later, key=key_of)

    def test_of_many_items_with_one_key_the_last_is_kept_however_far_apart_they_are(
        self, engine: Engine, table: str
    ) -> None:
        items = [item("A", f"S{number % 30:04d}", text=str(number)) for number in range(300)]
        engine.put_many(table, items)
        assert sorted(engine.scan(table, consistent=True).items, key=key_of) == items[-30:]

    def test_an_item_that_dynamodb_would_refuse_is_refused(self, engine: Engine, table: str) -> None:
        with pytest.raises(InvalidWriteError):
            engine.put_many(table, [item("A", amount={"N": "NaN"})])
        with pytest.raises(InvalidWriteError):
            engine.put_many(table, [{"PK": {"S": "A"}}])
        assert engine.scan(table, consistent=True).items == []
