"""query, of tables and of indexes, and what no cursor may do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bluestar_store.errors import InvalidKeyError, InvalidWriteError
from bluestar_store.protocols import Engine, IndexSpec, Item, Page, key_of
from bluestar_store.testing.engine_case import EngineCase, SideDoor, all_pages, item, numbered, sort_keys

BY_BYTES = ["A", "B", "Z", "a", "a#1", "a#10", "a#2", "z", "é", "ﬀ", "￿", "😀"]
"""In the order of their UTF-8 bytes; in that of UTF-16 units the last one would stand before the two before it."""


class QuerySuite(EngineCase):
    """Partitions in order, page by page."""

    def test_a_partition_is_sorted_by_the_utf8_bytes_of_its_sort_keys(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for sk in reversed(BY_BYTES):
            door.put(table, item("A", sk))
        assert sort_keys(engine.query(table, "A", consistent=True).items) == BY_BYTES
        assert sort_keys(engine.query(table, "A", newest_first=True, consistent=True).items) == BY_BYTES[::-1]

    def test_a_query_sees_its_partition_only_and_only_what_begins_with_the_prefix(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for pk, sk in (
            ("A", "RULE#1"),
            ("A", "RULE#2"),
            ("A", "RUL"),
            ("A", "RULE$"),
            ("AB", "RULE#3"),
            ("a", "RULE#4"),
        ):
            door.put(table, item(pk, sk))
        assert sort_keys(engine.query(table, "A", "RULE#", consistent=True).items) == ["RULE#1", "RULE#2"]
        assert sort_keys(engine.query(table, "A", "RULE#2", consistent=True).items) == ["RULE#2"]
        assert engine.query(table, "A", "X") == engine.query(table, "NOBODY") == ([], None)

    def test_the_prefix_is_compared_by_bytes_up_to_the_last_character(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for sk in ("x", "x\uffff", "x\uffffy", "x\U0010ffff", "y"):
            door.put(table, item("A", sk))
        assert sort_keys(engine.query(table, "A", "x\uffff").items) == ["x\uffff", "x\uffffy"]
        assert sort_keys(engine.query(table, "A", "x").items) == ["x", "x\uffff", "x\uffffy", "x\U0010ffff"]

    def test_the_limit_gives_the_first_items_or_the_last(self, engine: Engine, table: str) -> None:
        engine.put_many(table, numbered("A", 10))
        assert sort_keys(engine.query(table, "A", limit=2).items) == ["RULE#00000", "RULE#00001"]
        assert sort_keys(engine.query(table, "A", newest_first=True, limit=2).items) == ["RULE#00009", "RULE#00008"]

    @pytest.mark.parametrize("newest_first", [False, True])
    def test_a_cursor_goes_on_behind_the_page_in_either_direction(
        self, engine: Engine, table: str, newest_first: bool
    ) -> None:
        items = numbered("A", 10)
        engine.put_many(table, [*items, *numbered("B", 3)])

        def page(cursor: str | None) -> Page:
            return engine.query(table, "A", "RULE#", newest_first=newest_first, limit=3, cursor=cursor)

        found = all_pages(page(None), page)
        assert found == (items[::-1] if newest_first else items)

    def test_a_cursor_goes_on_where_it_stood_whatever_was_written_since(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        for sk in ("B", "D", "F"):
            door.put(table, item("A", sk))
        page = engine.query(table, "A", limit=2, consistent=True)
        for sk in ("A", "C", "E"):
            door.put(table, item("A", sk))
        rest = engine.query(table, "A", limit=9, cursor=page.cursor, consistent=True)
        assert sort_keys(page.items + rest.items) == ["B", "D", "E", "F"]

    def test_more_items_than_a_page_holds_are_all_found(self, engine: Engine, table: str) -> None:
        items = numbered("CATEGORY#SSN", 1100)
        for one in items:
            one["message"] = {"S": "m" * 1000}  # DynamoDB's pages end at 1 MB
        engine.put_many(table, items)
        first = engine.query(table, "CATEGORY#SSN", "RULE#", consistent=True)
        assert first.cursor is not None
        found = all_pages(
            first, lambda cursor: engine.query(table, "CATEGORY#SSN", "RULE#", cursor=cursor, consistent=True)
        )
        assert found == items

    def test_a_cursor_of_another_question_is_refused(
        self, engine: Engine, table: str, indexed: tuple[str, IndexSpec]
    ) -> None:
        engine.put_many(table, [*numbered("A", 5), *numbered("B", 5)])
        cursor = engine.query(table, "A", "RULE#", limit=2).cursor
        assert cursor is not None
        for pk, prefix, newest_first in (("B", "RULE#", False), ("A", "", False), ("A", "RULE#", True)):
            with pytest.raises(InvalidKeyError):
                engine.query(table, pk, prefix, newest_first=newest_first, limit=2, cursor=cursor)
        name, index = indexed
        with pytest.raises(InvalidKeyError):
            engine.query(name, "A", "RULE#", index=index.name, limit=2, cursor=cursor)
        with pytest.raises(InvalidKeyError):
            engine.query(table, "A", "RULE#", limit=2, cursor=engine.scan(table, limit=2).cursor)

    def test_a_forged_cursor_is_refused_or_stays_within_its_partition(self, engine: Engine, table: str) -> None:
        engine.put_many(table, [*numbered("A", 5), *numbered("B", 5), item("A", "AUDIT#1"), item("A", "STEP#1")])
        cursor = engine.query(table, "A", "RULE#", limit=2).cursor
        assert cursor is not None
        for forged in forgeries(cursor):
            try:
                found = engine.query(table, "A", "RULE#", cursor=forged)
            except InvalidKeyError:
                continue
            assert all(one["PK"]["S"] == "A" and one["SK"]["S"].startswith("RULE#") for one in found.items), forged

    def test_a_forged_cursor_of_a_scan_or_an_index_query_is_never_another_error(
        self, engine: Engine, door: SideDoor, indexed: tuple[str, IndexSpec]
    ) -> None:
        name, index = indexed
        for number in range(4):
            door.put(name, item("A", f"S{number}", **index_attributes(index, "LEVEL", str(number))))
        cursors = engine.scan(name, limit=2).cursor, engine.query(name, "LEVEL", index=index.name, limit=2).cursor
        for forged in [forged for cursor in cursors for forged in forgeries(cursor or "")]:
            with suppress(InvalidKeyError):
                engine.scan(name, cursor=forged)
            with suppress(InvalidKeyError):
                engine.query(name, "LEVEL", index=index.name, cursor=forged)

    def test_a_partition_that_cannot_be_is_refused(self, engine: Engine, table: str) -> None:
        for pk, prefix in (("", ""), ("é" * 1025, ""), ("A", "é" * 513), ("\ud800", ""), ("A", "\ud800")):
            with pytest.raises(InvalidKeyError):
                engine.query(table, pk, prefix)

    def test_an_index_holds_the_keys_of_the_items_that_have_both_its_attributes(
        self, engine: Engine, door: SideDoor, indexed: tuple[str, IndexSpec]
    ) -> None:
        name, index = indexed
        both = item("A", "1", **index_attributes(index, "LEVEL", "b"))
        door.put(name, both | {"text": {"S": "not projected"}})
        door.put(name, item("A", "2", **{index.partition_attribute: {"S": "LEVEL"}}))
        door.put(name, item("A", "3", **{index.sort_attribute: {"S": "b"}}))
        door.put(name, item("A", "4"))
        door.put(name, item("A", "5", **index_attributes(index, "OTHER", "b")))
        assert engine.query(name, "LEVEL", index=index.name) == ([both], None)

    def test_an_index_is_sorted_filtered_and_paged_like_a_table(
        self, engine: Engine, indexed: tuple[str, IndexSpec]
    ) -> None:
        name, index = indexed
        items = [
            item(f"P{9 - number}", "S", **index_attributes(index, "LEVEL", f"ACME#{number}")) for number in range(8)
        ]
        engine.put_many(name, [*items, item("P", "S", **index_attributes(index, "LEVEL", "BETA#1"))])
        assert engine.query(name, "LEVEL", "ACME#", index=index.name).items == items
        newest = engine.query(name, "LEVEL", "ACME#", index=index.name, newest_first=True, limit=2)
        assert newest.items == items[:5:-1]
        found = all_pages(
            engine.query(name, "LEVEL", "ACME#", index=index.name, limit=3),
            lambda cursor: engine.query(name, "LEVEL", "ACME#", index=index.name, limit=3, cursor=cursor),
        )
        assert found == items

    def test_items_alike_in_an_index_are_each_found_once_over_its_pages(
        self, engine: Engine, indexed: tuple[str, IndexSpec]
    ) -> None:
        name, index = indexed
        same = index_attributes(index, "LEVEL", "same")
        items = [item(f"P{number}", f"S{number % 3}", **same) for number in range(9)]
        engine.put_many(name, items)
        found = all_pages(
            engine.query(name, "LEVEL", index=index.name, limit=2),
            lambda cursor: engine.query(name, "LEVEL", index=index.name, limit=2, cursor=cursor),
        )
        assert sorted(one["PK"]["S"] for one in found) == sorted(one["PK"]["S"] for one in items)

    @pytest.mark.parametrize("value", [{"S": ""}, {"N": "1"}, {"S": "x" * 2049}], ids=["empty", "number", "long"])
    def test_an_index_attribute_that_is_no_key_is_refused(
        self, engine: Engine, door: SideDoor, indexed: tuple[str, IndexSpec], value: dict[str, str]
    ) -> None:
        self.needs(self.exact_limits, "exact limits")
        name, index = indexed
        one = item("A", **{index.partition_attribute: value})
        with pytest.raises(InvalidWriteError):
            engine.put_many(name, [one])
        assert door.get(name, key_of(one)) is None


def index_attributes(index: IndexSpec, partition: str, sort: str) -> Item:
    """The two attributes of an index."""
    return {index.partition_attribute: {"S": partition}, index.sort_attribute: {"S": sort}}


def forgeries(cursor: str) -> Iterator[str]:
    """What somebody might make of a cursor: nonsense, parts, and for cursors of base64 JSON other contents."""
    yield from ("x", "é", "{}", "null", "W10=", cursor[:-4], cursor[4:], cursor * 2, cursor.swapcase())
    for wrong in (None, 5, [], ["B"], {"PK": {"S": "B"}}, "[" * 5000):
        yield encoded(wrong)
    try:
        content = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        return
    for other in ("B", "", "\ud800", "\x00", "x" * 3000, 7, None, ["B"], "STEP#0", "ZZZ"):
        for place in range(1, len(content)):
            yield encoded([*content[:place], other, *content[place + 1 :]])
    yield encoded([*content, "B"])
    yield encoded(content[:-1])


def encoded(content: object) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.urlsafe_b64encode(text.encode()).decode()
