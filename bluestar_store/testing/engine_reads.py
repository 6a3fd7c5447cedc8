"""get, get_isolated and scan."""

from __future__ import annotations

from functools import partial

import pytest

from bluestar_store.errors import InvalidKeyError, InvalidWriteError
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Segment, key_of, reads_places
from bluestar_store.testing.engine_case import EngineCase, SideDoor, all_pages, item, numbered

IMPOSSIBLE = [Key("", "A"), Key("A", ""), Key("é" * 1025, "A"), Key("A", "é" * 513), Key("\ud800", "A")]
"""Keys that no item can have: empty, too many bytes, not Unicode."""


class ReadSuite(EngineCase):
    """Items by key, and all of them."""

    def test_get_answers_in_the_order_asked_each_key_once_and_leaves_out_what_is_missing(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for pk in ("A", "B", "C"):
            door.put(table, item(pk, text=f"of {pk}"))
        asked = [Key("C", "A"), Key("X", "A"), Key("A", "A"), Key("C", "A"), Key("B", "A"), Key("A", "other")]
        found = engine.get(table, asked)
        assert list(found) == [Key("C", "A"), Key("A", "A"), Key("B", "A")]
        assert list(found.values()) == [item(pk, text=f"of {pk}") for pk in ("C", "A", "B")]

    def test_get_of_no_keys_is_empty(self, engine: Engine, table: str) -> None:
        assert engine.get(table, []) == {}
        assert engine.get_isolated(table, []) == {}

    def test_get_takes_any_number_of_keys_from_any_iterable(self, engine: Engine, table: str) -> None:
        items = numbered("MANY", 250)
        engine.put_many(table, items)
        keys = [key_of(found) for found in reversed(items)]
        found = engine.get(table, (key for key in [*keys, *keys]), consistent=True)
        assert list(found) == keys
        assert list(found.values()) == items[::-1]

    def test_a_consistent_get_sees_what_was_written_just_before(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for number in range(5):
            door.put(table, item("A", version=number))
            assert engine.get(table, [Key("A", "A")], consistent=True) == {Key("A", "A"): item("A", version=number)}

    def test_items_of_several_tables_come_in_one_call_where_the_engine_can(
        self, engine: Engine, door: SideDoor, table: str, other_table: str
    ) -> None:
        if not reads_places(engine):
            pytest.skip("this engine reads one table at a time")
        door.put(table, item("A"))
        door.put(other_table, item("B"))
        places = [(other_table, Key("B", "A")), (table, Key("A", "A")), (table, Key("X", "A")), (table, Key("A", "A"))]
        found = engine.get_places(places)
        assert found == {(table, Key("A", "A")): item("A"), (other_table, Key("B", "A")): item("B")}
        for key in IMPOSSIBLE:
            with pytest.raises(InvalidKeyError):
                engine.get_places([(table, key)])

    def test_an_isolated_get_answers_like_get(self, engine: Engine, door: SideDoor, table: str) -> None:
        for pk in ("A", "B"):
            door.put(table, item(pk))
        asked = [Key("B", "A"), Key("X", "A"), Key("A", "A"), Key("B", "A")]
        assert list(engine.get_isolated(table, asked).items()) == [
            (Key("B", "A"), item("B")),
            (Key("A", "A"), item("A")),
        ]

    def test_an_isolated_get_takes_100_keys(self, engine: Engine, table: str) -> None:
        self.needs(self.exact_limits, "exact limits")
        items = numbered("MANY", 100)
        engine.put_many(table, items)
        keys = [key_of(found) for found in items]
        assert list(engine.get_isolated(table, keys)) == keys

    def test_an_isolated_get_refuses_more_than_100_keys(self, engine: Engine, table: str) -> None:
        with pytest.raises(InvalidWriteError, match="100"):
            engine.get_isolated(table, [Key("A", f"S{number}") for number in range(101)])

    def test_a_key_that_no_item_can_have_is_refused(self, engine: Engine, table: str) -> None:
        for key in IMPOSSIBLE:
            with pytest.raises(InvalidKeyError):
                engine.get(table, [Key("A", "A"), key])
            with pytest.raises(InvalidKeyError):
                engine.get_isolated(table, [key])

    def test_keys_at_the_limit_are_taken(self, engine: Engine, door: SideDoor, table: str) -> None:
        longest = item("é" * 1024, "é" * 512)
        door.put(table, longest)
        assert engine.get(table, [key_of(longest)]) == {key_of(longest): longest}

    def test_a_scan_finds_every_item_once_over_its_pages(self, engine: Engine, table: str) -> None:
        items = [found for pk in ("A", "B", "😀") for found in numbered(pk, 15)]
        engine.put_many(table, items)
        found = all_pages(
            engine.scan(table, limit=7, consistent=True),
            lambda cursor: engine.scan(table, limit=7, cursor=cursor, consistent=True),
        )
        assert len(found) == len(items)
        assert {key_of(one): one for one in found} == {key_of(one): one for one in items}

    def test_a_scan_filters_by_sort_key_and_by_a_lacking_attribute(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for one in (item("A", "STEP#1"), item("B", "STEP#2", bs_level="x"), item("C", "HOLD#1"), item("D", "STE")):
            door.put(table, one)
        steps = engine.scan(table, sk_prefix="STEP#", consistent=True)
        assert {key_of(one) for one in steps.items} == {Key("A", "STEP#1"), Key("B", "STEP#2")}
        lacking = engine.scan(table, sk_prefix="STEP#", lacking="bs_level", consistent=True)
        assert [key_of(one) for one in lacking.items] == [Key("A", "STEP#1")]
        assert steps.cursor is lacking.cursor is None

    def test_the_limit_of_a_scan_bounds_the_items_read_not_those_returned(self, engine: Engine, table: str) -> None:
        engine.put_many(table, [*numbered("A", 30), item("A", "STEP#1")])
        pages = [engine.scan(table, sk_prefix="STEP#", limit=10)]
        while (cursor := pages[-1].cursor) is not None:
            pages.append(engine.scan(table, sk_prefix="STEP#", limit=10, cursor=cursor))
        assert len(pages) >= 4
        assert [key_of(one) for page in pages for one in page.items] == [Key("A", "STEP#1")]

    def test_the_segments_of_a_scan_have_every_item_once(self, engine: Engine, table: str) -> None:
        items = [found for pk in "ABCDEFGHIJ" for found in numbered(pk, 5)]
        engine.put_many(table, items)
        found: list[Item] = []
        for number in range(3):
            ask = partial(engine.scan, table, limit=7, consistent=True, segment=Segment(number, 3))
            found += all_pages(ask(), lambda cursor, ask=ask: ask(cursor=cursor))  # type: ignore[misc]  # mypy cannot infer lambdas with defaults
        assert len(found) == len(items)
        assert {key_of(one): one for one in found} == {key_of(one): one for one in items}

    def test_a_scan_refuses_a_cursor_of_another_segment(self, engine: Engine, table: str) -> None:
        engine.put_many(table, [found for pk in "ABCDEFGHIJ" for found in numbered(pk, 2)])
        cursors = [engine.scan(table, limit=1, segment=Segment(number, 2)).cursor for number in range(2)]
        for number, cursor in enumerate(cursors):
            with pytest.raises(InvalidKeyError):
                engine.scan(table, limit=1, cursor=cursor, segment=Segment(1 - number, 2))
            with pytest.raises(InvalidKeyError):
                engine.scan(table, limit=1, cursor=cursor)

    def test_a_scan_of_an_empty_table_is_empty(self, engine: Engine, table: str) -> None:
        assert engine.scan(table) == ([], None)

    def test_a_scan_refuses_a_cursor_of_another_question(self, engine: Engine, table: str) -> None:
        engine.put_many(table, numbered("A", 5))
        cursor = engine.scan(table, limit=2).cursor
        of_query = engine.query(table, "A", limit=2).cursor
        with pytest.raises(InvalidKeyError):
            engine.scan(table, sk_prefix="RULE#", limit=2, cursor=cursor)
        with pytest.raises(InvalidKeyError):
            engine.scan(table, lacking="x", limit=2, cursor=cursor)
        with pytest.raises(InvalidKeyError):
            engine.scan(table, limit=2, cursor=of_query)

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_page_of_no_items_is_refused(self, engine: Engine, table: str, limit: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            engine.query(table, "A", limit=limit)
        with pytest.raises(ValueError, match="limit"):
            engine.scan(table, limit=limit)
