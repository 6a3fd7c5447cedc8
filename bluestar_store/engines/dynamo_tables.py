"""Making, describing and deleting DynamoDB tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential

from bluestar_store.engines.aws import AwsConnection
from bluestar_store.errors import EngineError, TableMissingError
from bluestar_store.protocols import IndexSpec, TableSpec, TableStatus

WAIT_SECONDS = 600
"""How long a table or index may take to become active; DynamoDB fills a new index item by item."""


def create(
    connection: AwsConnection, specs: Sequence[TableSpec], *, upgrade: bool, sleep: Callable[[float], None]
) -> list[str]:
    """See `protocols.Engine.create_tables`."""
    made = [spec.name for spec in specs if _description(connection, spec.name) is None and _make(connection, spec)]
    for spec in specs:
        _wait(connection, spec.name, sleep)
    if upgrade:
        for spec in specs:
            _add_indexes(connection, spec, sleep)
    return made


def _make(connection: AwsConnection, spec: TableSpec) -> bool:
    try:
        connection.call(
            "create_table", spec.name, TableName=spec.name, BillingMode="PAY_PER_REQUEST", **table_schema(spec)
        )
    except EngineError as error:
        if error.code == "ResourceInUseException":  # another process was faster
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
    """DynamoDB takes one new index at a time."""
    for index in spec.indexes:
        description = _description(connection, spec.name) or {}
        if index.name in (found["IndexName"] for found in description.get("GlobalSecondaryIndexes", ())):
            continue
        update = {"Create": _index(index)}
        if description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED":
            throughput = description["ProvisionedThroughput"]
            units = {name: throughput[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
            if all(units.values()):
                update["Create"]["ProvisionedThroughput"] = units
        connection.call(
            "update_table",
            spec.name,
            TableName=spec.name,
            AttributeDefinitions=_definitions((index,)),
            GlobalSecondaryIndexUpdates=[update],
        )
        _wait(connection, spec.name, sleep)


def describe(connection: AwsConnection, spec: TableSpec) -> TableStatus:
    """See `protocols.Engine.describe`."""
    found = _description(connection, spec.name)
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


def delete(connection: AwsConnection, names: Sequence[str], *, sleep: Callable[[float], None]) -> None:
    """See `protocols.Engine.delete_tables`."""
    existing = [name for name in names if _description(connection, name) is not None]
    for name in existing:
        connection.call("delete_table", name, TableName=name)
    for name in existing:
        _poll(partial(_is_gone, connection, name), name, sleep)


def _is_gone(connection: AwsConnection, name: str) -> bool:
    return _description(connection, name) is None


def _wait(connection: AwsConnection, name: str, sleep: Callable[[float], None]) -> None:
    def active() -> bool:
        found = _description(connection, name) or {}
        states = [found.get("TableStatus")]
        states += [index.get("IndexStatus", "ACTIVE") for index in found.get("GlobalSecondaryIndexes", ())]
        return all(state == "ACTIVE" for state in states)

    _poll(active, name, sleep)


def _poll(done: Callable[[], bool], name: str, sleep: Callable[[float], None]) -> None:
    """Ask until it is done; botocore's own waiters ask every 20 seconds."""
    retrying = Retrying(
        retry=retry_if_result(lambda ready: not ready),
        wait=wait_exponential(multiplier=0.05, max=5),
        stop=stop_after_delay(WAIT_SECONDS),
        sleep=sleep,
        retry_error_callback=lambda state: False,
    )
    if not retrying(done):
        raise EngineError(f"table {name} was not ready after {WAIT_SECONDS} seconds; look at it in the AWS console")


def _description(connection: AwsConnection, name: str) -> dict[str, Any] | None:
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
