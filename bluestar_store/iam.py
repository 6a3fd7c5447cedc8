"""Least-privilege IAM policies for DynamoDB, generated from the tables that a Store uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from bluestar_store.models.tables import Tables
from bluestar_store.settings import TableLayout

__all__ = ["ACCOUNT", "ACTIONS", "REGION", "Role", "policy"]

ACCOUNT = "ACCOUNT"
"""Stands in a policy for an account that was not given, to be filled in by hand: AWS refuses a policy that has it."""
REGION = "REGION"
"""The same for a region."""

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "batch_get_item": ("BatchGetItem",),
    "transact_get_items": ("GetItem",),
    "query": ("Query",),
    "scan": ("Scan",),
    "transact_write_items": ("ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"),
    "batch_write_item": ("BatchWriteItem",),
    "describe_table": ("DescribeTable",),
    "create_table": ("CreateTable",),
    "update_table": ("UpdateTable",),
    "delete_table": ("DeleteTable",),
}
"""The IAM actions that a call to DynamoDB needs, by botocore's name of the call: a transaction has none of its own."""


OLDER_TABLES = ("bluestar-processing-results", "bluestar-audit-log")
"""What `take-over` reads, by their whole names."""
OLDER_READS = (*ACTIONS["scan"], *ACTIONS["describe_table"])


class Role(StrEnum):
    """READER: agents that only ask. WRITER: agents that also write. OPERATOR: people who set tables up and move data.

    Each may do what the one before may; the operator in the tables of both layouts, to migrate from one to the other.
    None may delete a table: no command does.
    """

    READER = "reader"
    WRITER = "writer"
    OPERATOR = "operator"


def policy(
    tables: Tables, role: Role, *, region: str = REGION, account: str = ACCOUNT, partition: str = "aws"
) -> dict[str, Any]:
    """The policy document of a role, for these tables and their indexes.

    The operator's is for the other layout's tables, too, and to read the older ones that `take-over` copies from.
    `partition` is `aws`, `aws-us-gov` or `aws-cn`.
    """
    prefix = f"arn:{partition}:dynamodb:{region}:{account}:table/"
    layouts = [tables.layout, *(layout for layout in TableLayout if role is Role.OPERATOR and layout != tables.layout)]
    specs = [spec for layout in layouts for spec in replace(tables, layout=layout).specs()]
    arns = [prefix + spec.name for spec in specs]
    indexes = [f"{prefix}{spec.name}/index/{index.name}" for spec in specs for index in spec.indexes]
    reads = (*ACTIONS["batch_get_item"], *ACTIONS["transact_get_items"], *ACTIONS["query"], *ACTIONS["scan"])
    statements = [
        _allow("ReadItems", reads, arns),
        _allow("AskIndexes", ACTIONS["query"], indexes),
        _allow("LookAtTables", ACTIONS["describe_table"], arns),
    ]
    if role is not Role.READER:
        # The library writes in transactions only: conditions and versions cannot be left out by mistake.
        condition = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
        statements.append(_allow("WriteItems", ACTIONS["transact_write_items"], arns) | {"Condition": condition})
    if role is Role.OPERATOR:
        statements.append(_allow("ReadOlderTables", OLDER_READS, [prefix + name for name in OLDER_TABLES]))
        # One statement: a managed policy has 6144 characters at most (AWS limit), and the tables take most of them.
        operating = (*ACTIONS["batch_write_item"], *ACTIONS["create_table"], *ACTIONS["update_table"])
        statements.append(_allow("MakeTablesAndWriteInBulk", operating, arns))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(name: str, actions: Iterable[str], resources: list[str]) -> dict[str, Any]:
    return {
        "Sid": name,
        "Effect": "Allow",
        "Action": sorted(f"dynamodb:{action}" for action in actions),
        "Resource": resources,
    }
