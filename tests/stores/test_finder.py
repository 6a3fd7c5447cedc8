"""Finding by index: nothing that lacks the index attributes is left out in silence, however large the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from bluestar_store import (
    BatchState,
    CalculationRule,
    ConfigurationError,
    IndexMissingError,
    PersistenceMode,
    Settings,
    Store,
    VendorSchema,
)
from bluestar_store.engines.memory import tables
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, TableSpec
from bluestar_store.repositories import index_reader as index_reader


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Where a call counts as a round trip, a page is ten items, and two pages are cheap."""
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as opened:
        opened.create_tables()
        monkeypatch.setattr(opened.engine, "parallel_calls", 2, raising=False)
        monkeypatch.setattr(tables, "PAGE_ITEMS", 10)
        monkeypatch.setattr(index_reader, "SWEEP_PAGES", 2)
        yield opened


def foreign(store: Store, count: int) -> None:
    items: list[Item] = [{"PK": {"S": f"CLIENT#P{n:03d}"}, "SK": {"S": "CALC#match"}} for n in range(count)]
    store.engine.put_many(store.tables.name(store.calculation_rules.mapper), items)


def test_what_lacks_index_attributes_is_found_while_that_is_cheap(store: Store) -> None:
    foreign(store, 20)
    assert len(store.plans()) == 20


def test_where_it_is_dear_the_error_says_what_to_do(store: Store) -> None:
    foreign(store, 31)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"create --upgrade.*BLUESTAR_INDEXES_COMPLETE"):
            store.plans()


def test_an_operator_who_says_that_the_indexes_are_complete_is_trusted(store: Store) -> None:
    foreign(store, 31)
    store.create_tables(upgrade=True)
    trusting = Store(store.settings.model_copy(update={"indexes_complete": True}), store.engine)
    assert len(trusting.plans()) == 31


def test_a_large_table_without_the_index_names_the_upgrade(store: Store) -> None:
    name = store.tables.name(store.calculation_rules.mapper)
    store.engine.delete_tables([name])
    store.engine.create_tables([TableSpec(name)])
    foreign(store, 31)
    with pytest.raises(IndexMissingError, match="create --upgrade"):
        store.plans()
    store.engine.delete_tables([name])
    store.engine.create_tables([TableSpec(name)])
    foreign(store, 15)
    assert len(store.plans()) == 15


def test_where_no_call_is_a_round_trip_no_table_is_dear(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.engine, "parallel_calls", 1)
    foreign(store, 100)
    assert len(store.plans()) == 100


def test_an_upgrade_mends_index_attributes_that_came_with_a_copy(store: Store) -> None:
    rule = store.calculation_rules.put(CalculationRule(plan_id="SRC", calc_type="match"))
    assert rule.origin is not None
    copy = {**rule.origin.item, "PK": {"S": "CLIENT#COPY"}}
    store.engine.put_many(store.tables.name(store.calculation_rules.mapper), [copy])
    store.create_tables(upgrade=True)
    (found,) = store.overrides("COPY")
    assert (found.version, store.plans()) == (1, ("COPY", "SRC"))


def test_the_broken_batch_of_one_plan_does_not_hide_anothers(store: Store) -> None:
    store.batches.put(BatchState(batch_id="good", plan_id="P"))
    broken: Item = {
        "PK": {"S": "BATCH#bad"},
        "SK": {"S": "STATE"},
        "plan_id": {"S": "OTHER"},
        "status": {"S": "DONE"},
    }
    store.engine.put_many(store.tables.name(store.batches.mapper), [broken])
    assert [batch.batch_id for batch in store.batches.for_plan("P")] == ["good"]


def test_a_page_of_batches_reads_what_it_shows_and_one_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        store.batches.put(BatchState(batch_id=f"b{number:02d}", plan_id="P"))
    trusting = Store(store.settings.model_copy(update={"indexes_complete": True}), store.engine)
    read: list[int] = []
    get, query = store.engine.get, store.engine.query

    def counted_get(table: str, keys: Iterable[Key], **options: Any) -> Any:
        asked = list(keys)
        read.append(len(asked))
        return get(table, asked, **options)

    def counted_query(*args: Any, **options: Any) -> Any:
        page = query(*args, **options)
        read.append(len(page.items))
        return page

    monkeypatch.setattr(store.engine, "get", counted_get)
    monkeypatch.setattr(store.engine, "query", counted_query)
    page = trusting.batches.for_plan("P", limit=5)
    page = trusting.batches.for_plan("P", limit=5, cursor=page.cursor)
    assert [batch.batch_id for batch in page] == ["b34", "b33", "b32", "b31", "b30"]
    assert read == [6, 6] * 2


def test_the_broken_schema_of_one_vendor_does_not_hide_the_plans(store: Store) -> None:
    store.vendor_schemas.put(VendorSchema(vendor_id="V", fingerprint="f", plan_id="P"))
    broken: Item = {"PK": {"S": "VENDOR#W"}, "SK": {"S": "SCHEMA#f"}, "columns": {"SS": ["a"]}, "plan_id": {"S": "Q"}}
    store.engine.put_many(store.tables.name(store.vendor_schemas.mapper), [broken])
    assert store.plans() == ("P", "Q")
    assert len(store.overrides("P")) == 1
