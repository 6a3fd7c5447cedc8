"""For old seed scripts: the eight tables and the baseline's rules, through a boto3 resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as aws

from bluestar_store.engines.aws import code_of, translated
from bluestar_store.engines.dynamo_tables import table_schema
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.kind import Kind
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.values import from_wire
from bluestar_store.persistence.rules import tables_with
from bluestar_store.repositories.changes import new_item
from bluestar_store.seeding import baseline

PAY_FREQ = "BiWeeklyFri"

TABLE_DEFINITIONS: list[dict[str, Any]] = [
    {"TableName": spec.name, "BillingMode": "PAY_PER_REQUEST", **table_schema(spec)} for spec in tables_with("").specs()
]
"""The tables as CreateTable takes them, without suffix."""


def create_tables(ddb: Any, suffix: str = "") -> list[str]:
    """Make the tables that do not exist, and wait until they are there; returns the names made."""
    made = []
    for definition in TABLE_DEFINITIONS:
        name = definition["TableName"] + suffix
        with _failures(ddb, name):
            try:
                ddb.create_table(**definition | {"TableName": name})
            except aws.ClientError as error:
                if code_of(error) != "ResourceInUseException":
                    raise
            else:
                made.append(name)
    for definition in TABLE_DEFINITIONS:
        name = definition["TableName"] + suffix
        with _failures(ddb, name):
            ddb.Table(name).wait_until_exists()
    return made


def seed_pipeline_data(ddb: Any, suffix: str = "") -> int:
    """Put the DEFAULT pipeline of BiWeeklyFri, GLOBAL rules and the limits of each year; how many items were put.

    What is there stays as it is, so that it is safe to run again; the pipeline is put whole, or, where one of its
    steps is there, not at all.
    """
    rules = baseline()
    steps = [step for step in rules.of(PIPELINE_STEP) if (step.plan_id, step.pay_freq) == (DEFAULT, PAY_FREQ)]
    count = _put_together(ddb, suffix, PIPELINE_STEP, steps)
    for kind in (VALIDATION_RULE, CALCULATION_RULE, IRS_LIMITS):
        shared = [rule for rule in rules.of(kind) if getattr(rule, "plan_id", GLOBAL) == GLOBAL]
        count += sum(_put_together(ddb, suffix, kind, [rule]) for rule in shared)
    return count


def _put_together(ddb: Any, suffix: str, kind: Kind[Any], entities: Iterable[Any]) -> int:
    """Put all of them in one transaction, or none where one is there."""
    table = tables_with(suffix).name(kind)
    puts = [
        {
            "Put": {
                "TableName": table,
                "Item": {name: from_wire(value) for name, value in new_item(kind, entity).items()},
                "ConditionExpression": "attribute_not_exists(PK)",
            }
        }
        for entity in entities
    ]
    with _failures(ddb, table):
        try:
            ddb.meta.client.transact_write_items(TransactItems=puts)
        except aws.ClientError as error:
            reasons: list[dict[str, Any]] = dict(error.response).get("CancellationReasons", [])
            if "ConditionalCheckFailed" not in [reason.get("Code") for reason in reasons]:
                raise
            return 0
    return len(puts)


@contextmanager
def _failures(ddb: Any, table: str) -> Iterator[None]:
    """The library's error for one of boto3's."""
    try:
        yield
    except (aws.BotoCoreError, aws.ClientError) as error:
        raise translated(error, table, f"DynamoDB at {ddb.meta.client.meta.endpoint_url}") from error
