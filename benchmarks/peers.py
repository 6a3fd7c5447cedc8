"""The peers that read DynamoDB: each one's models as its users would write them, and the same reads with all of them.

Attributes have their names on disk; an item of the plan's that is not there is None. Reads are consistent, as ours are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from pynamodb.exceptions import DoesNotExist

from benchmarks import pynamodb_models
from bluestar_store import Settings

STEPS = "STEP#"


@dataclass(frozen=True)
class Tables:
    """Where the peers find what the Store has written."""

    rules: str
    steps: str


@dataclass(frozen=True)
class Peer:
    """`rule(PK, SK)` gives a rule or None, `steps(PK)` a pipeline, `plain` the attributes of one answer."""

    name: str
    rule: Callable[[str, str], Any]
    steps: Callable[[str], Sequence[Any]]
    plain: Callable[[Any], Mapping[str, Any]]


@cache
def installed(name: str) -> bool:
    """Whether a peer can be imported. Says, once, that it is left out."""
    found = find_spec(name) is not None
    if not found:
        print(f"{name} is not installed and left out: pip install -e '.[bench]' brings it", file=sys.stderr)  # noqa: T201  # progress, as in __main__
    return found


def boto3_client(settings: Settings) -> Any:
    """Items in wire form; with room in its pool for as many threads as the Store may use."""
    config = Config(max_pool_connections=settings.parallel_calls * 2)
    where = {"region_name": settings.aws_region, "endpoint_url": settings.dynamodb_endpoint_url}
    return boto3.session.Session().client("dynamodb", config=config, **where)


def boto3_table(settings: Settings, name: str) -> Any:
    """Items as Python values."""
    where = {"region_name": settings.aws_region, "endpoint_url": settings.dynamodb_endpoint_url}
    return boto3.session.Session().resource("dynamodb", **where).Table(name)


def boto3_clients(settings: Settings, tables: Tables) -> Peer:
    """The client's methods."""
    client, deserialize = boto3_client(settings), TypeDeserializer().deserialize

    def rule(pk: str, sk: str) -> Any:
        key = {"PK": {"S": pk}, "SK": {"S": sk}}
        return client.get_item(TableName=tables.rules, Key=key, ConsistentRead=True).get("Item")

    def steps(pk: str) -> Any:
        return client.query(
            TableName=tables.steps,
            KeyConditionExpression="PK = :p AND begins_with(SK, :s)",
            ExpressionAttributeValues={":p": {"S": pk}, ":s": {"S": STEPS}},
            ConsistentRead=True,
        )["Items"]

    return Peer("boto3 client", rule, steps, lambda item: {name: deserialize(item[name]) for name in item})


def boto3_tables(settings: Settings, tables: Tables) -> Peer:
    """The resource's methods, which turn wire items into Python values."""
    rules, pipeline = boto3_table(settings, tables.rules), boto3_table(settings, tables.steps)

    def rule(pk: str, sk: str) -> Any:
        return rules.get_item(Key={"PK": pk, "SK": sk}, ConsistentRead=True).get("Item")

    def steps(pk: str) -> Any:
        condition = Key("PK").eq(pk) & Key("SK").begins_with(STEPS)
        return pipeline.query(KeyConditionExpression=condition, ConsistentRead=True)["Items"]

    return Peer("boto3 Table", rule, steps, dict)


def pynamodb(settings: Settings, tables: Tables) -> Peer:
    """Model.get and Model.query."""
    rules = pynamodb_models.bound(pynamodb_models.Rule, settings, tables.rules)
    pipeline = pynamodb_models.bound(pynamodb_models.Step, settings, tables.steps)

    def rule(pk: str, sk: str) -> Any:
        try:
            return rules.get(pk, sk, consistent_read=True)
        except DoesNotExist:
            return None

    def steps(pk: str) -> Any:
        return list(pipeline.query(pk, pipeline.SK.startswith(STEPS), consistent_read=True))

    return Peer("PynamoDB", rule, steps, lambda model: model.attribute_values)


def dyntastic(settings: Settings, tables: Tables) -> Peer:
    """Its pydantic models, over boto3's resource."""
    from benchmarks import dyntastic_models

    rules, pipeline = dyntastic_models.of(settings, tables.rules, tables.steps)

    def rule(pk: str, sk: str) -> Any:
        return rules.safe_get(pk, sk, consistent_read=True)

    def steps(pk: str) -> Any:
        return list(pipeline.query(pk, range_key_condition=Key("SK").begins_with(STEPS), consistent_read=True))

    return Peer("dyntastic", rule, steps, lambda model: model.model_dump())


def pydynox(settings: Settings, tables: Tables) -> Peer:
    """Its models, over a client written in Rust."""
    from benchmarks import pydynox_models

    rules, pipeline = pydynox_models.of(settings, tables.rules, tables.steps)

    def rule(pk: str, sk: str) -> Any:
        return rules.sync_get(PK=pk, SK=sk)

    def steps(pk: str) -> Any:
        return list(pipeline.sync_query(partition_key=pk, sort_key_condition=pipeline.SK.begins_with(STEPS)))

    return Peer("pydynox", rule, steps, lambda model: model.to_dict())


def every(settings: Settings, tables: Tables) -> Iterable[Peer]:
    """PynamoDB and both ways of boto3, then the others that are installed."""
    makers = [pynamodb, boto3_clients, boto3_tables]
    makers += [make for make in (dyntastic, pydynox) if installed(make.__name__)]
    return [make(settings, tables) for make in makers]
