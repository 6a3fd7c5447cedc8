"""Checks names of tables and keys, and finds a table's name on DynamoDB, which the environment may set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from bluestar_store.engines.checks import MAX_INDEXED_NAME_BYTES
from bluestar_store.errors import ConfigurationError, InvalidKeyError
from bluestar_store.keys import shown

MAX_INDEXES = 20
"""Indexes of one table (AWS limit)."""


def check_table_name(name: object) -> str:
    """The name itself; InvalidKeyError where it cannot be a table's, on DynamoDB or as a file."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{2,254}", name):
        raise InvalidKeyError(
            f"table name {shown(name)}: 3 to 255 of the characters a-z, A-Z, 0-9, '_', '-' and '.' (an AWS limit), "
            "the first one no '.'"
        )
    return name


def check_attribute_name(name: object) -> str:
    """The name itself; InvalidKeyError where it cannot be that of a key."""
    if not isinstance(name, str) or not 0 < len(name.encode(errors="replace")) <= MAX_INDEXED_NAME_BYTES:
        raise InvalidKeyError(f"attribute name {shown(name)}: 1 to {MAX_INDEXED_NAME_BYTES} bytes (an AWS limit)")
    return name


def check_indexes(pk_name: str, fields: Iterable[str]) -> tuple[str, ...]:
    """The fields, each once, in order. Raises ConfigurationError for what no table can have an index on."""
    names = tuple(sorted({check_attribute_name(field) for field in ([fields] if isinstance(fields, str) else fields)}))
    if pk_name in names or len(names) > MAX_INDEXES:
        raise ConfigurationError(f"indexes are on {MAX_INDEXES} fields at most (an AWS limit), and not on the key")
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,250}", name):
            raise ConfigurationError(f"no index on {shown(name)}: its name has only a-z, A-Z, 0-9, '_', '-' and '.'")
    return names


def name_variable(table_name: str) -> str:
    """The variable that gives a table another name: CUSTOMER_ORDERS_DYNAMO_TABLE_NAME for customer-orders."""
    return re.sub(r"[^A-Z0-9]", "_", table_name.upper()) + "_DYNAMO_TABLE_NAME"


def dynamo_table_name(table_name: str) -> str:
    """The table's name on DynamoDB. Raises ConfigurationError."""
    variable = name_variable(table_name)
    name = os.environ.get(variable) or table_name
    try:
        return check_table_name(name)
    except InvalidKeyError as error:
        raise ConfigurationError(f"{variable}: {error}") from None
