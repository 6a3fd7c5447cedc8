"""For old seed scripts: the eight tables and the baseline's rules, through a boto3 resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as aws

from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.tables import table_schema
from bluestar_store.engines.dynamo.translation import code_of, translated
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.mapping.entity import Entity
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.validation import ValidationRule
from bluestar_store.persistence.resource import ResourceConnection
from bluestar_store.persistence.rules import PREFIX, tables_with
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.seeding import RuleSet, baseline, load
from bluestar_store.settings import PersistenceMode, Settings, TableLayout
from bluestar_store.store import Store

PAY_FREQ = "BiWeeklyFri"

TABLE_DEFINITIONS: list[dict[str, Any]] = [
    {"TableName": spec.name, "BillingMode": "PAY_PER_REQUEST", **table_schema(spec)} for spec in tables_with("").specs()
]
"""The tables as CreateTable takes them, without suffix."""


@without_locals
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


@without_locals
def seed_pipeline_data(ddb: Any, suffix: str = "") -> int:
    """Put the DEFAULT pipeline of BiWeeklyFri, GLOBAL rules and the limits of each year; how many items were put.

    What is there stays as it is, so that it is safe to run again; the pipeline is put whole, or, where one of its
    steps is there, not at all. It is a bulk load, with one entry in the trail of loads.
    """
    settings = Settings(
        persistence_mode=PersistenceMode.DYNAMO,
        table_prefix=PREFIX,
        table_suffix=suffix,
        table_layout=TableLayout.PER_TABLE,
    )
    engine = DynamoEngine(ResourceConnection(ddb), indexes=(), parallel_calls=1)
    with Store(settings, engine) as store:
        rules = baseline(store.tables.kinds)
        shared = RuleSet(tuple(entity for entity in rules.entities if _is_shared(entity)))
        return len(load(store, shared).added)


def _is_shared(entity: Entity) -> bool:
    match entity:
        case PipelineStep():
            return (entity.plan_id, entity.pay_freq) == (DEFAULT, PAY_FREQ)
        case ValidationRule() | CalculationRule():
            return entity.plan_id == GLOBAL
    return isinstance(entity, IrsLimits)


@contextmanager
def _failures(ddb: Any, table: str) -> Iterator[None]:
    """The library's error for one of boto3's."""
    try:
        yield
    except (aws.BotoCoreError, aws.ClientError) as error:
        raise translated(error, table, f"DynamoDB at {ddb.meta.client.meta.endpoint_url}") from error
