"""Making, describing and deleting DynamoDB tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.missing import missing_table
from bluestar_store.errors import EngineError, TableMissingError
from bluestar_store.protocols import IndexSpec, TableSpec, TableStatus

WAIT_SECONDS = 600
"""How long a table or index may take to become active; DynamoDB fills a new index item by item."""


def create(
    connection: AwsConnection, specs: Sequence[TableSpec], *, upgrade: bool, sleep: Callable[[float], None]
) -> list[str]:
    """See `protocols.Engine.create_tables`."""
    made = [
        spec.name
        for spec in specs
        if description(connection, spec.name) is None and make(connection, spec.name, table_schema(spec))
    ]
    for spec in specs:
        wait(connection, spec.name, sleep)
    if upgrade:
        for spec in specs:
            _add_indexes(connection, spec, sleep)
    return made


def make(connection: AwsConnection, name: str, schema: dict[str, Any]) -> bool:
    """Ask for an on-demand table with these keys and indexes; False when another process was faster."""
    try:
        connection.call("create_table", name, TableName=name, BillingMode="PAY_PER_REQUEST", **schema)
    except EngineError as error:
        if error.code == "ResourceInUseException":
            return False
        raise
    return True


def table_schema(spec: TableSpec) -> dict[str, Any]:
    """Keys and indexes of a table as CreateTable takes them."""
    schema: dict[str, Any] = {
        "KeySchema": _key_schema("PK", "SK"),
        "AttributeDefinitions": _definitions(spec.indexes),
    }
    if spec.indexes:  # an empty list is refused
        schema["GlobalSecondaryIndexes"] = [_index(index) for index in spec.indexes]
    return schema


def _add_indexes(connection: AwsConnection, spec: TableSpec, sleep: Callable[[float], None]) -> None:
    for index in spec.indexes:
        found = description(connection, spec.name) or {}
        if index.name not in (one["IndexName"] for one in found.get("GlobalSecondaryIndexes", ())):
            add_index(connection, found, _index(index), _definitions((index,)), sleep)


def add_index(
    connection: AwsConnection,
    found: dict[str, Any],
    index: dict[str, Any],
    definitions: list[dict[str, str]],
    sleep: Callable[[float], None],
) -> None:
    """Add an index to the table that was `found`, and wait until it is filled. DynamoDB takes one at a time."""
    name = found["TableName"]
    update = {"Create": dict(index)}
    if found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED":
        throughput = found["ProvisionedThroughput"]
        units = {unit: throughput[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
        if all(units.values()):
            update["Create"]["ProvisionedThroughput"] = units
    connection.call(
        "update_table",
        name,
        TableName=name,
        AttributeDefinitions=definitions,
        GlobalSecondaryIndexUpdates=[update],
    )
    wait(connection, name, sleep)


def describe(connection: AwsConnection, spec: TableSpec) -> TableStatus:
    """See `protocols.Engine.describe`."""
    found = description(connection, spec.name)
    if found is None:
        return TableStatus(spec.name, exists=False)
    wanted = {index.name: _key_schema(index.partition_attribute, index.sort_attribute) for index in spec.indexes}
    types = {definition["AttributeName"]: definition["AttributeType"] for definition in found["AttributeDefinitions"]}
    drift = []
    if found["KeySchema"] != _key_schema("PK", "SK") or types.get("PK") != "S" or types.get("SK") != "S":
        drift.append("its primary key is not PK (S), SK (S)")
    billing = found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    if billing != "PAY_PER_REQUEST":
        drift.append(f"its billing mode is {billing}, not on-demand")
    indexes = found.get("GlobalSecondaryIndexes", ())
    for index in indexes:
        schema = wanted.get(index["IndexName"])
        if schema is not None and index["KeySchema"] != schema:
            drift.append(f"its index {index['IndexName']} has other keys than the library's")
    active = frozenset(index["IndexName"] for index in indexes if index.get("IndexStatus", "ACTIVE") == "ACTIVE")
    return TableStatus(spec.name, exists=True, item_count=found["ItemCount"], indexes=active, drift=tuple(drift))


def identity(connection: AwsConnection, name: str) -> str:
    """What no other table has, nor one that is made under this name later. One DescribeTable.

    ARN and id; where there is no id (DynamoDB Local), when it was made; and the endpoint, where it is not AWS's own,
    for then ARNs may be constant. TableMissingError when there is no such table.
    """
    found = description(connection, name)
    if found is None:
        raise missing_table(name, connection.location)
    made = found["CreationDateTime"]
    made = made.timestamp() if isinstance(made, datetime) else float(made)
    return "|".join((found["TableArn"], found.get("TableId") or f"{made:.3f}", connection.foreign_endpoint))


def delete(connection: AwsConnection, names: Sequence[str], *, sleep: Callable[[float], None]) -> None:
    """See `protocols.Engine.delete_tables`."""
    existing = [name for name in names if description(connection, name) is not None]
    for name in existing:
        connection.call("delete_table", name, TableName=name)
    for name in existing:
        _poll(partial(_is_gone, connection, name), name, sleep)


def _is_gone(connection: AwsConnection, name: str) -> bool:
    return description(connection, name) is None


def wait(connection: AwsConnection, name: str, sleep: Callable[[float], None]) -> None:
    """Come back when the table and its indexes are active."""

    def active() -> bool:
        found = description(connection, name) or {}
        states = [found.get("TableStatus")]
        states += [index.get("IndexStatus", "ACTIVE") for index in found.get("GlobalSecondaryIndexes", ())]
        return all(state == "ACTIVE" for state in states)

    _poll(active, name, sleep)


def _poll(done: Callable[[], bool], name: str, sleep: Callable[[float], None]) -> None:
    """Ask until it is done; botocore's own waiters ask every 20 seconds."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

    retrying = Retrying(
        retry=retry_if_result(lambda ready: not ready),
        wait=wait_exponential(multiplier=0.05, max=5),
        stop=stop_after_delay(WAIT_SECONDS),
        sleep=sleep,
        retry_error_callback=lambda state: False,
    )
    if not retrying(done):
        raise EngineError(f"table {name} was not ready after {WAIT_SECONDS} seconds; look at it in the AWS console")


def description(connection: AwsConnection, name: str) -> dict[str, Any] | None:
    """What DescribeTable says of the table; None when there is none."""
    try:
        return dict(connection.call("describe_table", name, TableName=name)["Table"])
    except TableMissingError:
        return None


def _key_schema(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _definitions(indexes: Sequence[IndexSpec]) -> list[dict[str, str]]:
    names = ["PK", "SK", *(name for index in indexes for name in (index.partition_attribute, index.sort_attribute))]
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def _index(index: IndexSpec) -> dict[str, Any]:
    return {
        "IndexName": index.name,
        "KeySchema": _key_schema(index.partition_attribute, index.sort_attribute),
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
