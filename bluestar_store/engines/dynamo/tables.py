"""Making, describing and deleting DynamoDB tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.missing import missing_table
from bluestar_store.engines.table_states import describe_state
from bluestar_store.errors import ConfigurationError, EngineError, TableMissingError
from bluestar_store.protocols import IndexSpec, TableSpec, TableStatus

ACTIVE, CREATING, UPDATING, DELETING = "ACTIVE", "CREATING", "UPDATING", "DELETING"
"""States of tables and indexes (AWS)."""
BUSY = ("ResourceInUseException", "LimitExceededException")
"""AWS codes for a table that is being made, changed or deleted, and takes no further change meanwhile."""
WAIT_SECONDS = 600
"""How long a table or index may take to become active; DynamoDB fills a new index item by item."""


def create(
    connection: AwsConnection, specs: Sequence[TableSpec], *, upgrade: bool, sleep: Callable[[float], None]
) -> list[str]:
    """See `protocols.Engine.create_tables`. One that is being deleted is made when it is gone."""
    made = {
        spec.name
        for spec in specs
        if description(connection, spec.name) is None and make(connection, spec.name, table_schema(spec))
    }
    for spec in specs:
        while usable(connection, spec.name, partial(_is_of, spec), sleep) is None:
            if make(connection, spec.name, table_schema(spec)):
                made.add(spec.name)
    if upgrade:
        for spec in specs:
            for index in spec.indexes:
                add_index(connection, spec.name, _index(index), _definitions((index,)), sleep)
    return [spec.name for spec in specs if spec.name in made]


def _is_of(spec: TableSpec, index: dict[str, Any]) -> bool:
    return index["IndexName"] in (one.name for one in spec.indexes)


def make(connection: AwsConnection, name: str, schema: dict[str, Any]) -> bool:
    """Ask for an on-demand table with these keys and indexes; False when there is one of that name."""
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


def add_index(
    connection: AwsConnection,
    table: str,
    index: dict[str, Any],
    definitions: list[dict[str, str]],
    sleep: Callable[[float], None],
) -> None:
    """Add the index to the table if it is missing, and wait until it is filled.

    DynamoDB takes one change of a table at a time: somebody else's is waited for, and somebody else's index of that
    name is as good.
    """

    def added() -> bool:
        found = description(connection, table)
        if found is None:
            raise missing_table(table, connection.location)
        check_state(table, found)
        there = [one for one in found.get("GlobalSecondaryIndexes", ()) if one["IndexName"] == index["IndexName"]]
        if there:
            return str(there[0].get("IndexStatus", ACTIVE)) == ACTIVE
        if found["TableStatus"] == ACTIVE:
            _ask_for_index(connection, found, index, definitions)
        return False

    _poll(added, table, sleep)


def _ask_for_index(
    connection: AwsConnection, found: dict[str, Any], index: dict[str, Any], definitions: list[dict[str, str]]
) -> None:
    name = found["TableName"]
    update = {"Create": dict(index)}
    if found.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED":
        throughput = found["ProvisionedThroughput"]
        units = {unit: throughput[unit] for unit in ("ReadCapacityUnits", "WriteCapacityUnits")}
        if all(units.values()):
            update["Create"]["ProvisionedThroughput"] = units
    try:
        connection.call(
            "update_table",
            name,
            TableName=name,
            AttributeDefinitions=definitions,
            GlobalSecondaryIndexUpdates=[update],
        )
    except EngineError as error:
        now = (description(connection, name) or {}).get("GlobalSecondaryIndexes", ())
        if error.code not in BUSY and all(one["IndexName"] != index["IndexName"] for one in now):
            raise  # else another process was faster


def describe(connection: AwsConnection, spec: TableSpec) -> TableStatus:
    """See `protocols.Engine.describe`."""
    found = description(connection, spec.name)
    if found is None:
        return TableStatus(spec.name, exists=False)
    state = str(found.get("TableStatus", ACTIVE))
    if "KeySchema" not in found:  # as of one that is being deleted
        return TableStatus(spec.name, exists=True, item_count=found.get("ItemCount", 0), state=state)
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
    count = found.get("ItemCount", 0)
    return TableStatus(spec.name, exists=True, item_count=count, indexes=active, drift=tuple(drift), state=state)


def identity(connection: AwsConnection, name: str) -> str:
    """What no other table has, nor one that is made under this name later. One DescribeTable.

    ARN and id; where there is no id (DynamoDB Local), when it was made; and the endpoint, where it is not AWS's own,
    for then ARNs may be constant. TableMissingError when there is no such table.
    """
    found = description(connection, name)
    if found is None:
        raise missing_table(name, connection.location)
    if "TableArn" not in found:
        raise ConfigurationError(f"table {name} is being deleted: bluestar-store create makes it when it is gone")
    made = found["CreationDateTime"]
    made = made.timestamp() if isinstance(made, datetime) else float(made)
    return "|".join((found["TableArn"], found.get("TableId") or f"{made:.3f}", connection.foreign_endpoint))


def delete(connection: AwsConnection, names: Sequence[str], *, sleep: Callable[[float], None]) -> None:
    """See `protocols.Engine.delete_tables`."""
    for name in names:
        _is_deleted(connection, name)
    for name in names:
        _poll(partial(_is_deleted, connection, name), name, sleep)


def _is_deleted(connection: AwsConnection, name: str) -> bool:
    """Whether the table is gone; else it is asked for, unless that has been done."""
    found = description(connection, name)
    if found is not None and found.get("TableStatus") != DELETING:
        try:
            connection.call("delete_table", name, TableName=name)
        except TableMissingError:
            return True
        except EngineError as error:
            if error.code not in BUSY:
                raise
    return found is None


def usable(
    connection: AwsConnection, name: str, waits_for: Callable[[dict[str, Any]], bool], sleep: Callable[[float], None]
) -> dict[str, Any] | None:
    """What DescribeTable says of the table as soon as it can be used; None when it was deleted, and is gone now.

    It can be used while somebody else changes it; waited for are only those indexes that `waits_for` picks. Raises
    ConfigurationError at once for a table that no waiting helps.
    """
    is_going = False
    found: dict[str, Any] | None = None

    def done() -> bool:
        nonlocal is_going, found
        found = description(connection, name)
        if found is None:
            return is_going  # a new one may not be found yet
        is_going |= found.get("TableStatus") == DELETING
        return is_usable(name, found, waits_for)

    _poll(done, name, sleep)
    return found


def is_usable(name: str, found: dict[str, Any], waits_for: Callable[[dict[str, Any]], bool]) -> bool:
    """See `usable`."""
    check_state(name, found)
    indexes = filter(waits_for, found.get("GlobalSecondaryIndexes", ()))
    return found.get("TableStatus", ACTIVE) in (ACTIVE, UPDATING) and all(
        index.get("IndexStatus", ACTIVE) not in (CREATING, UPDATING) for index in indexes
    )


def check_state(name: str, found: dict[str, Any]) -> None:
    """ConfigurationError for a table that cannot be used and does not become usable by itself."""
    state = str(found.get("TableStatus", ACTIVE))
    if state not in (ACTIVE, CREATING, UPDATING, DELETING):
        what, mend = describe_state(state)
        raise ConfigurationError(f"table {name} {what}: {mend}")


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
