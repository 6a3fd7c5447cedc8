"""The table of a store on DynamoDB: made when it is absent, with an index on each chosen field."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.tables import DELETING, add_index, description, is_usable, make, usable
from bluestar_store.errors import ConfigurationError, TableMissingError


def prepare(connection: AwsConnection, table: str, pk_name: str, fields: Collection[str]) -> dict[str, str]:
    """Create the table and its indexes if they are missing, and wait for them; returns each field's index.

    A table that is being deleted is made when it is gone.

    An index that is there already will do, whatever its name. ConfigurationError for a table with another key.
    """
    found = description(connection, table)
    if found is None:
        make(connection, table, _schema(pk_name, fields))

    def is_ours(index: Mapping[str, Any]) -> bool:
        return index["KeySchema"][0]["AttributeName"] in fields

    if found is None or not is_usable(table, found, is_ours):
        while (found := usable(connection, table, is_ours, time.sleep)) is None:
            make(connection, table, _schema(pk_name, fields))
    _check_key(table, found, pk_name)
    names = {}
    for field in fields:
        if _index_on(found, field) is None:
            found = _with_index(connection, found, field)
        names[field] = _checked_index(table, found, field)
    return names


def _check_key(table: str, found: Mapping[str, Any], pk_name: str) -> None:
    key = [(part["AttributeName"], part["KeyType"]) for part in found["KeySchema"]]
    if key != [(pk_name, "HASH")] or _type_of(found, pk_name) != "S":
        told = ", ".join(f"{name} ({_type_of(found, name)})" for name, _ in key)
        raise ConfigurationError(
            f"table {table} has the key {told}; documents need {pk_name} (S) and nothing else: give get_store the name "
            "of its key, or another table"
        )


def _index_on(found: Mapping[str, Any], field: str) -> str | None:
    """The index that has the field as its partition key."""
    for index in found.get("GlobalSecondaryIndexes", ()):
        if index["KeySchema"][0]["AttributeName"] == field and index.get("IndexStatus") != DELETING:
            return str(index["IndexName"])
    return None


def _checked_index(table: str, found: Mapping[str, Any], field: str) -> str:
    name = _index_on(found, field)
    if name is None or _type_of(found, field) != "S":
        raise ConfigurationError(f"table {table}: the index on {field} is not one of texts, as documents need")
    return name


def _with_index(connection: AwsConnection, found: dict[str, Any], field: str) -> dict[str, Any]:
    table = found["TableName"]
    definitions = [one for one in found["AttributeDefinitions"] if one["AttributeName"] != field]
    add_index(connection, table, _index(field), [*definitions, _text(field)], time.sleep)
    now = description(connection, table)
    if now is None:
        raise TableMissingError(f"table {table} was deleted a moment after it was there")
    return now


def _type_of(found: Mapping[str, Any], name: str) -> str:
    types = {one["AttributeName"]: one["AttributeType"] for one in found["AttributeDefinitions"]}
    return str(types.get(name, "?"))


def _schema(pk_name: str, fields: Iterable[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "KeySchema": [{"AttributeName": pk_name, "KeyType": "HASH"}],
        "AttributeDefinitions": [_text(name) for name in (pk_name, *fields)],
    }
    if indexes := [_index(field) for field in fields]:  # an empty list is refused
        schema["GlobalSecondaryIndexes"] = indexes
    return schema


def _index(field: str) -> dict[str, Any]:
    """Keys only: what is found is read from the table."""
    return {
        "IndexName": f"by_{field}",
        "KeySchema": [{"AttributeName": field, "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def _text(name: str) -> dict[str, str]:
    return {"AttributeName": name, "AttributeType": "S"}
