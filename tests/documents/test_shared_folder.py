"""Documents and the file engine in one folder: neither misreads nor destroys what is the other's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bluestar_store import Settings, Store, seeding
from bluestar_store.documents import FileStore
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.errors import BlueStarError, ConfigurationError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.protocols import Put, TableSpec
from bluestar_store.testing.engine_case import item

KEY = Key("A", "A")


def test_a_store_and_documents_live_in_one_folder(file_mode: Path) -> None:
    settings = Settings()
    assert settings.file_persistence_dir == file_mode
    with Store.open(settings) as store:
        store.create_tables()
        seeding.load(store, seeding.baseline())
        documents = FileStore("customer-orders", "orderId")
        documents.create({"orderId": "A1"})
        limits = store.irs_limits.get(2026, fresh=True)
        documents.update_fields("A1", {"status": "paid"})
        store.irs_limits.put(limits.model_copy(update={"source": "changed"}))
        documents.create({"orderId": "B2"})
    with Store.open(settings) as store:
        assert store.irs_limits.get(2026).source == "changed"
        assert {status.exists for status in store.describe_tables()} == {True}
    assert [one["orderId"] for one in FileStore("customer-orders", "orderId").list()] == ["A1", "B2"]
    assert isinstance(json.loads((file_mode / "customer-orders.json").read_text()), list)


def test_writes_of_documents_make_no_engine_read_its_tables_again(file_mode: Path) -> None:
    engine = FileEngine(file_mode)
    engine.create_tables([TableSpec("bluestar-one")])
    documents = FileStore("customer-orders", "orderId")
    engine.get("bluestar-one", [KEY])
    tables = engine._items
    for number in range(5):
        documents.create({"orderId": f"A{number}"})
        engine.get("bluestar-one", [KEY])
    assert engine._items is tables


def test_documents_leave_a_table_of_the_engine_alone(file_mode: Path) -> None:
    engine = FileEngine(file_mode)
    engine.create_tables([TableSpec("bluestar-one")])
    engine.write(Put("bluestar-one", item("A")))
    engine.close()
    before = (file_mode / "bluestar-one.json").read_bytes()
    with pytest.raises(ConfigurationError, match=r"bluestar-one\.json is no list.*table of the file engine.*another"):
        FileStore("bluestar-one", "PK")
    assert (file_mode / "bluestar-one.json").read_bytes() == before
    assert FileEngine(file_mode).get("bluestar-one", [KEY]) == {KEY: item("A")}


def test_the_engine_leaves_documents_alone(file_mode: Path) -> None:
    documents = FileStore("bluestar-one", "orderId")
    documents.create({"orderId": "A1"})
    before = (file_mode / "bluestar-one.json").read_bytes()
    engine = FileEngine(file_mode)
    with pytest.raises(ConfigurationError, match=r"bluestar-one\.json belongs to bluestar_store\.documents.*another"):
        engine.create_tables([TableSpec("bluestar-one")])
    with pytest.raises(TableMissingError):
        engine.get("bluestar-one", [KEY])
    engine.delete_tables(["bluestar-one"])
    assert (file_mode / "bluestar-one.json").read_bytes() == before
    assert [one["orderId"] for one in documents.list()] == ["A1"]


def test_of_both_that_want_a_name_at_once_one_has_it_whole(file_mode: Path) -> None:
    for number in range(20):
        name = f"table-{number}"

        def documents(name: str = name) -> str:
            FileStore(name, "orderId").create({"orderId": "A1"})
            return "documents"

        def tables(name: str = name) -> str:
            engine = FileEngine(file_mode)
            engine.create_tables([TableSpec(name)])
            engine.write(Put(name, item("A")))
            return "engine"

        with ThreadPoolExecutor(2) as threads:
            done = [threads.submit(one) for one in (documents, tables)]
            winners = [one.result() for one in done if not isinstance(one.exception(), BlueStarError)]
        assert len(winners) == 1
        if winners == ["engine"]:
            assert FileEngine(file_mode).get(name, [KEY]) == {KEY: item("A")}
        else:
            assert len(FileStore(name, "orderId").list()) == 1
