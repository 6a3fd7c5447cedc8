"""Test data: at first use, in named sets, checked by a JSON Schema."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.documents import FileStore, export_documents, get_store
from bluestar_store.documents.data_files import read_data
from bluestar_store.errors import ConfigurationError, SeedError

ORDERS = [{"orderId": "B2", "total": 5, "rate": 0.1, "created": "c"}, {"orderId": "A1", "softDelete": True}]
SCHEMA = {
    "properties": {
        "customer-orders": {
            "items": {
                "required": ["orderId", "total"],
                "properties": {"total": {"type": "integer", "minimum": 1}, "rate": {"multipleOf": 0.01}},
            }
        }
    }
}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def keys(store: Any) -> list[str]:
    return [found["orderId"] for found in store.list(hide_soft_deleted=False)]


@pytest.fixture
def data(file_mode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A test-data file that the environment names."""
    monkeypatch.setenv("TEST_DATA_FILE", str(tmp_path / "data.json"))
    return write(tmp_path / "data.json", {"customer-orders": ORDERS, "customers": [{"id": "c1"}]})


@pytest.fixture
def sets(file_mode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets that the environment names."""
    folder = tmp_path / "sets"
    monkeypatch.setenv("TEST_DATA_FILE", str(folder))
    for name in ("default", "empty-quarter", "rush"):
        write(folder / f"{name}.json", {"customer-orders": [{"orderId": name}]})
    return folder


def test_a_table_begins_with_the_items_of_the_file_as_they_are(data: Path) -> None:
    store = get_store("customer-orders", "orderId")
    assert store.list(hide_soft_deleted=False) == [
        {"orderId": "A1", "softDelete": True},
        {"orderId": "B2", "created": "c", "rate": Decimal("0.1"), "total": 5},
    ]
    assert get_store("customers", "id").list() == [{"id": "c1"}]
    assert get_store("not-in-the-file", "id").list() == []


def test_it_is_filled_at_first_use_only(data: Path) -> None:
    store = get_store("customer-orders", "orderId")
    store.create({"orderId": "C3"})
    write(data, {"customer-orders": [{"orderId": "D4"}]})
    assert keys(get_store("customer-orders", "orderId")) == ["A1", "B2", "C3"]


def test_a_file_may_name_the_table_as_dynamodb_does(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_DYNAMO_TABLE_NAME", "customer-orders")
    assert keys(get_store("orders", "orderId")) == ["A1", "B2"]


def test_items_without_keys_get_them_from_the_generator(data: Path) -> None:
    write(data, {"customer-orders": [{"total": 1}]})
    with pytest.raises(SeedError, match="/customer-orders/0/orderId: is the key and is missing or empty"):
        get_store("customer-orders", "orderId")
    assert keys(get_store("customer-orders", "orderId", lambda: "made")) == ["made"]


@pytest.mark.parametrize(
    ("text", "told"),
    {
        "{": r"data\.json: is not JSON: line 1, column 2",
        "[]": r"data\.json: is no object of tables",
        '{"customer-orders": {}}': "#/customer-orders: is no list of items",
        '{"customer-orders": [5]}': "#/customer-orders/0: is no object",
        '{"customer-orders": [{"orderId": "A", "x": 1e200}]}': "#/customer-orders/0/x: is outside DynamoDB's range",
        '{"customer-orders": [{"orderId": "A"}], "customer-orders": []}': 'has "customer-orders" twice',
        '{"$schema": "https://example.com/s.json"}': "#/[$]schema: is no path of a file beside this one",
    }.items(),
)
def test_what_is_wrong_with_the_file_is_told_and_nothing_is_made(
    text: str, told: str, data: Path, file_mode: Path
) -> None:
    data.write_text(text)
    with pytest.raises(SeedError, match=told) as raised:
        get_store("customer-orders", "orderId")
    assert str(raised.value).startswith("the data has 1 problem; nothing was written:")
    assert not file_mode.exists()


def test_a_file_that_is_not_there_is_told(data: Path) -> None:
    data.unlink()
    with pytest.raises(ConfigurationError, match=r"TEST_DATA_FILE .*data\.json does not exist"):
        get_store("customer-orders", "orderId")


def test_a_set_is_named_by_the_call_or_the_environment(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def begun(data_set: str | None = None) -> list[str]:
        store = get_store("customer-orders", "orderId", data_set=data_set)
        found = keys(store)
        Path(store.location).unlink()
        return found

    assert begun() == ["default"]
    assert begun("rush") == ["rush"]
    monkeypatch.setenv("TEST_DATA_SET", "empty-quarter")
    assert begun() == ["empty-quarter"]
    assert begun("rush") == ["rush"]


def test_a_store_is_reset_to_a_set(sets: Path) -> None:
    store = FileStore("customer-orders", "orderId", indexes=["status"], data_set="rush")
    store.create({"orderId": "A1", "status": "open"})
    store.reset()
    assert keys(store) == ["rush"]
    assert store.find("status", "open") == []
    store.reset("default")
    assert keys(store) == keys(FileStore("customer-orders", "orderId")) == ["default"]


@pytest.mark.parametrize("name", ["nowhere", "../data", "a/b", ""])
def test_a_set_that_is_not_there_is_told_with_those_that_are(name: str, sets: Path, tmp_path: Path) -> None:
    write(tmp_path / "data.json", {})
    (sets / "default.json").unlink()
    with pytest.raises(ConfigurationError, match="it has empty-quarter, rush"):
        get_store("customer-orders", "orderId", data_set=name)


def test_sets_need_a_folder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="has to be a folder"):
        get_store("customer-orders", "orderId", data_set="rush")
    monkeypatch.delenv("TEST_DATA_FILE")
    with pytest.raises(ConfigurationError, match="TEST_DATA_FILE has to name the folder"):
        get_store("customer-orders", "orderId", data_set="rush")


def test_an_export_is_test_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore("customer-orders", "orderId")
    store.create({"orderId": "C3", "logo": b"\xff", "tags": {"a"}})
    export_documents([store], data)
    before = store.list(hide_soft_deleted=False)
    store.reset()
    assert store.list(hide_soft_deleted=False) == before


def test_a_schema_names_file_pointer_and_reason_of_everything(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATA_SCHEMA", str(write(tmp_path / "schema.json", SCHEMA)))
    items = [
        {"orderId": "A1", "total": 0},
        {"total": 1.5, "orderId": "A2"},
        {"orderId": "A3"},
        {"orderId": "A4", "total": 2},
    ]
    write(data, {"customer-orders": items, "customers": []})
    with pytest.raises(SeedError) as raised:
        get_store("customer-orders", "orderId")
    assert [(one.file, one.pointer, one.reason) for one in raised.value.problems] == [
        (str(data), "/customer-orders/0/total", "breaks the schema's minimum: 1"),
        (str(data), "/customer-orders/1/total", "breaks the schema's type: integer"),
        (str(data), "/customer-orders/2", "breaks the schema's required: ['orderId', 'total']"),
    ]


def test_numbers_meet_a_schema_exactly(data: Path, tmp_path: Path) -> None:
    schema = write(tmp_path / "schema.json", SCHEMA)
    item = {"orderId": "A1", "total": 1, "rate": 0.07}  # 0.07 / 0.01 is no whole number among floats
    assert read_data(write(data, {"customer-orders": [item]}), schema)["customer-orders"][0]["rate"] == Decimal("0.07")


def test_a_file_may_name_its_own_schema(data: Path, tmp_path: Path) -> None:
    write(tmp_path / "schemas" / "orders.json", SCHEMA)
    write(data, {"$schema": "schemas/orders.json", "customer-orders": [{"orderId": "A1"}]})
    with pytest.raises(SeedError, match="#/customer-orders/0: breaks the schema's required"):
        get_store("customer-orders", "orderId")
    write(data, {"$schema": "schemas/orders.json", "customer-orders": [{"orderId": "A1", "total": 1}]})
    assert keys(get_store("customer-orders", "orderId")) == ["A1"]


@pytest.mark.parametrize(
    "schema", [{"type": "nonsense"}, {"$ref": "https://example.com/schema.json"}, {"$ref": "#/nowhere"}], ids=str
)
def test_a_schema_that_cannot_be_used_is_told_and_nothing_is_fetched(
    schema: dict[str, str], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=r"schema\.json is no JSON Schema that can be used"):
        read_data(data, write(tmp_path / "schema.json", schema))


def test_an_error_shows_no_value_of_the_data(data: Path, tmp_path: Path) -> None:
    schema = write(
        tmp_path / "schema.json", {"additionalProperties": {"items": {"properties": {"ssn": {"maxLength": 3}}}}}
    )
    with pytest.raises(SeedError, match="maxLength") as raised:
        read_data(write(data, {"people": [{"ssn": "123456789"}]}), schema)
    assert "123456789" not in str(raised.value)


def test_without_jsonschema_it_says_what_to_install(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jsonschema", "jsonschema.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=r"bluestar-store\[documents\]"):
        read_data(data, write(tmp_path / "schema.json", SCHEMA))
