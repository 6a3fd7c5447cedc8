"""Mode dynamo: the table and its name, lost replies, and everything that is not an item's fault."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from bluestar_store.documents import PynamoStore, get_store
from bluestar_store.errors import ConfigurationError, UnavailableError
from tests import servers
from tests.documents.conftest import TABLE
from tests.engines.conftest import connection_to


def text(name: str, kind: str = "S") -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": kind}


def key(name: str, kind: str = "HASH") -> dict[str, str]:
    return {"AttributeName": name, "KeyType": kind}


@pytest.fixture
def client(moto_mode: None) -> Any:
    return connection_to(None).connection.client


def test_a_table_that_is_absent_is_made_on_demand(client: Any) -> None:
    get_store(TABLE, "orderId", indexes=("status",))
    found = client.describe_table(TableName=TABLE)["Table"]
    assert found["KeySchema"] == [key("orderId")]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    (index,) = found["GlobalSecondaryIndexes"]
    assert (index["KeySchema"], index["Projection"]) == ([key("status")], {"ProjectionType": "KEYS_ONLY"})


def test_a_variable_gives_the_table_another_name(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMER_ORDERS_DYNAMO_TABLE_NAME", "prod-orders")
    store = get_store(TABLE, "orderId")
    store.create({"orderId": "A1"})
    assert client.list_tables()["TableNames"] == ["prod-orders"]
    assert client.scan(TableName="prod-orders")["Count"] == 1
    assert store.table_name == TABLE
    monkeypatch.setenv("CUSTOMER_ORDERS_DYNAMO_TABLE_NAME", "")
    assert get_store(TABLE, "orderId").list() == []
    monkeypatch.setenv("CUSTOMER_ORDERS_DYNAMO_TABLE_NAME", "a/b")
    with pytest.raises(ConfigurationError, match="CUSTOMER_ORDERS_DYNAMO_TABLE_NAME: table name 'a/b'"):
        get_store(TABLE, "orderId")


@pytest.mark.parametrize(
    ("schema", "kinds", "told"),
    [
        ([key("id")], [text("id")], r"has the key id \(S\); documents need orderId"),
        ([key("orderId")], [text("orderId", "N")], r"has the key orderId \(N\)"),
        ([key("orderId"), key("SK", "RANGE")], [text("orderId"), text("SK")], r"has the key orderId \(S\), SK \(S\)"),
    ],
)
def test_a_table_with_another_key_is_refused(schema: Any, kinds: Any, told: str, client: Any) -> None:
    client.create_table(TableName=TABLE, KeySchema=schema, AttributeDefinitions=kinds, BillingMode="PAY_PER_REQUEST")
    with pytest.raises(ConfigurationError, match=told):
        get_store(TABLE, "orderId")


def test_an_index_that_is_there_is_used_whatever_its_name(client: Any) -> None:
    client.create_table(
        TableName=TABLE,
        KeySchema=[key("orderId")],
        AttributeDefinitions=[text("orderId"), text("userId"), text("age", "N")],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {"IndexName": f"GSI_{name}", "KeySchema": [key(name)], "Projection": {"ProjectionType": "ALL"}}
            for name in ("userId", "age")
        ],
    )
    store = get_store(TABLE, "orderId", indexes=["userId"])
    store.create({"orderId": "A1", "userId": "u1"})
    assert [found["orderId"] for found in store.find("userId", "u1")] == ["A1"]
    assert len(client.describe_table(TableName=TABLE)["Table"]["GlobalSecondaryIndexes"]) == 2
    with pytest.raises(ConfigurationError, match="the index on age is not one of texts"):
        get_store(TABLE, "orderId", indexes=["age"])


def test_reads_are_consistent_and_writes_conditional(moto_mode: None, monkeypatch: pytest.MonkeyPatch) -> None:
    store = PynamoStore(TABLE, "orderId", indexes=["status"])
    asked: dict[str, dict[str, Any]] = {}
    written: list[dict[str, Any]] = []
    call = store._connection.call

    def noting(operation: str, table: str, *tries: Any, **arguments: Any) -> Any:
        asked[operation] = arguments
        written.extend(arguments.get("TransactItems", ()))
        return call(operation, table, *tries, **arguments)

    monkeypatch.setattr(store._connection, "call", noting)
    store.create({"orderId": "A1", "status": "open"})
    store.update_fields("A1", {"total": 1})
    assert store.get("A1") == store.list()[0] == store.find("status", "open")[0]
    assert asked["get_item"]["ConsistentRead"] is asked["scan"]["ConsistentRead"] is True
    assert asked["batch_get_item"]["RequestItems"][TABLE]["ConsistentRead"] is True
    assert written[0]["Put"]["ConditionExpression"] == "attribute_not_exists(#key)"
    assert written[1]["Update"]["ConditionExpression"].startswith("attribute_exists(#key)")


def test_stores_with_the_same_settings_share_a_connection(moto_mode: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = PynamoStore(TABLE, "orderId"), PynamoStore("customers", "id")
    assert first._connection is second._connection
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert PynamoStore(TABLE, "orderId")._connection is not first._connection


def test_stores_that_open_one_new_table_at_once_all_have_it(local_mode: None) -> None:
    made: list[Any] = []
    failed: list[BaseException] = []
    start = threading.Barrier(4)

    def open_it() -> None:
        start.wait()
        try:
            made.append(get_store(TABLE, "orderId", indexes=["status"]))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    for number, store in enumerate(made):
        store.create({"orderId": f"A{number}"})
    assert len(made[0].list()) == 4


def test_a_server_that_cannot_be_reached_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_DYNAMODB_ENDPOINT_URL", f"http://{servers.HOST}:{servers.free_port()}")
    monkeypatch.setenv("BLUESTAR_MAX_ATTEMPTS", "1")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        get_store(TABLE, "orderId")
