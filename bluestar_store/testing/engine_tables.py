"""Tables: made, described, upgraded, deleted, and missed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store.errors import IndexMissingError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Check, Delete, Engine, IndexSpec, Put, TableSpec, Update, key_of
from bluestar_store.testing.engine_case import EngineCase, SideDoor, item, numbered

KEY = Key("A", "A")
CALLS: dict[str, Callable[[Engine, str], Any]] = {
    "get": lambda engine, table: engine.get(table, [KEY]),
    "get_isolated": lambda engine, table: engine.get_isolated(table, [KEY]),
    "query": lambda engine, table: engine.query(table, "A"),
    "scan": lambda engine, table: engine.scan(table),
    "put": lambda engine, table: engine.write(Put(table, item("A"))),
    "update": lambda engine, table: engine.write(Update(table, KEY, {"x": {"S": "x"}})),
    "delete": lambda engine, table: engine.write(Delete(table, KEY)),
    "check": lambda engine, table: engine.write(Check(table, KEY, ABSENT)),
    "put_many": lambda engine, table: engine.put_many(table, [item("A")]),
}


class TableSuite(EngineCase):
    """Tables as a whole."""

    @pytest.mark.parametrize("call", CALLS)
    def test_a_missing_table_is_an_error_that_names_it_and_the_command(
        self, engine: Engine, table: str, call: str
    ) -> None:
        name = f"{table}-missing"
        with pytest.raises(TableMissingError) as caught:
            CALLS[call](engine, name)
        assert name in str(caught.value)
        assert engine.location in str(caught.value)
        assert "`bluestar-store create`" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_transaction_with_a_missing_table_writes_nothing(
        self, engine: Engine, door: SideDoor, table: str
    ) -> None:
        with pytest.raises(TableMissingError, match="missing"):
            engine.write(Put(table, item("A")), Put(f"{table}-missing", item("A")))
        assert door.get(table, KEY) is None

    def test_a_missing_index_is_an_error_that_names_it_and_the_command(
        self, engine: Engine, specs: tuple[TableSpec, ...], indexed: tuple[str, IndexSpec]
    ) -> None:
        name, index = indexed
        bare = TableSpec(f"{name}-bare")
        engine.create_tables([bare])
        try:
            for table, asked in ((bare.name, index.name), (name, "by_nothing")):
                with pytest.raises(IndexMissingError) as caught:
                    engine.query(table, "A", index=asked)
                assert table in str(caught.value)
                assert asked in str(caught.value)
                assert "`bluestar-store create --upgrade`" in str(caught.value)
        finally:
            engine.delete_tables([bare.name])

    def test_tables_that_exist_are_left_as_they_are(
        self, engine: Engine, door: SideDoor, specs: tuple[TableSpec, ...], table: str
    ) -> None:
        door.put(table, item("A"))
        new = TableSpec(f"{table}-new")
        try:
            assert engine.create_tables([*specs, new]) == [new.name]
            assert engine.create_tables([*specs, new]) == []
            assert engine.create_tables(specs, upgrade=True) == []
        finally:
            engine.delete_tables([new.name])
        assert door.get(table, KEY) == item("A")

    def test_upgrade_adds_the_indexes_that_are_missing_and_fills_them(
        self, engine: Engine, specs: tuple[TableSpec, ...]
    ) -> None:
        spec = next(spec for spec in specs if spec.indexes)
        old = TableSpec(f"{spec.name}-old")
        wanted = TableSpec(old.name, spec.indexes)
        engine.create_tables([old])
        try:
            attributes = {name: {"S": "x"} for name in _index_names(spec)}
            stored = [item("A", **attributes), item("B"), item("C", **attributes)]
            engine.put_many(old.name, stored)
            assert engine.create_tables([wanted]) == []
            assert engine.describe(wanted).indexes == frozenset()
            assert engine.create_tables([wanted], upgrade=True) == []
            assert engine.describe(wanted).indexes == {index.name for index in spec.indexes}
            for index in spec.indexes:
                found = engine.query(old.name, "x", index=index.name).items
                assert {key_of(one) for one in found} == {Key("A", "A"), Key("C", "A")}
            assert len(engine.scan(old.name, consistent=True).items) == 3
        finally:
            engine.delete_tables([old.name])

    def test_describe_tells_what_is_there(self, engine: Engine, specs: tuple[TableSpec, ...]) -> None:
        spec = next(spec for spec in specs if spec.indexes)
        engine.put_many(spec.name, numbered("A", 3))
        status = engine.describe(spec)
        assert (status.name, status.exists, status.drift) == (spec.name, True, ())
        assert status.indexes == {index.name for index in spec.indexes}
        missing = engine.describe(TableSpec(f"{spec.name}-missing"))
        assert not missing.exists
        assert missing.indexes == frozenset()

    def test_a_deleted_table_is_gone_and_a_new_one_of_its_name_is_empty(
        self, engine: Engine, specs: tuple[TableSpec, ...], table: str
    ) -> None:
        engine.put_many(table, numbered("A", 3))
        engine.delete_tables([table, f"{table}-missing"])
        with pytest.raises(TableMissingError):
            engine.scan(table)
        assert engine.create_tables(specs) == [table]
        assert engine.scan(table, consistent=True) == ([], None)

    def test_close_may_be_called_twice(self, engine: Engine, table: str) -> None:
        engine.write(Put(table, item("A")))
        engine.close()
        engine.close()

    def test_an_engine_that_was_never_used_can_be_closed(self, engine: Engine) -> None:
        engine.close()

    def test_the_location_is_words_for_a_person(self, engine: Engine) -> None:
        assert engine.location
        assert engine.parallel_calls >= 1


def _index_names(spec: TableSpec) -> list[str]:
    return [name for index in spec.indexes for name in (index.partition_attribute, index.sort_attribute)]
