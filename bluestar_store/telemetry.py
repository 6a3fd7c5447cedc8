"""The cache's counts as OpenTelemetry metrics, and calls to DynamoDB as spans. Needs the extra `opentelemetry`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_tracer

from bluestar_store.cache.limits import GAUGES, CacheStats
from bluestar_store.errors import ConfigurationError
from bluestar_store.store import Store

if TYPE_CHECKING:
    from bluestar_store.aio.store import AsyncStore
    from bluestar_store.documents.store import DocumentStore

__all__ = ["instrument", "trace"]

PREFIX = "bluestar_store.cache."
BATCHES = ("RequestItems", "TransactItems")
"""The arguments of calls that are several operations in one."""
METERED = frozenset(
    ("batch_get_item", "batch_write_item", "get_item", "query", "scan", "transact_get_items", "transact_write_items")
)
"""The operations that tell, when asked, what they consumed."""


def instrument(store: Store, meter: Meter | None = None) -> None:
    """Report `store.cache.stats()` whenever metrics are collected; nothing is done on reads.

    Each count is a counter `bluestar_store.cache.{name}`; `entries`, `bytes` and `pending` are gauges, and so are
    `redis_usable` and `channel`, as 0 and 1. `meter` defaults to the global provider's. Call it once a Store.
    """
    meter = meter or get_meter("bluestar_store")
    for field in fields(CacheStats):
        if field.name in GAUGES:
            meter.create_observable_gauge(f"{PREFIX}{field.name}", [_observed(store, field.name)])
        elif field.type == "int":
            meter.create_observable_counter(f"{PREFIX}{field.name}", [_observed(store, field.name)])

    def usable(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(int(store.cache.stats().redis == "closed"))

    meter.create_observable_gauge(f"{PREFIX}redis_usable", [usable])


def _observed(store: Store, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(int(getattr(store.cache.stats(), name)))

    return observe


def trace(store: Store | AsyncStore | DocumentStore, tracer: Tracer | None = None) -> None:
    """Report each call to DynamoDB as a span, retries included; nobody has to replace functions of botocore for it.

    Spans follow the conventions for databases: `BatchGetItem bluestar-irs-limits`, kind CLIENT, with the operation, the
    tables, the server, the region, and on failure AWS's code in `db.response.status_code`; of the conventions for
    DynamoDB they have table names, index, limit, counts, and the capacity units that were consumed. No key and no value
    of an item is in them. `tracer` defaults to the global provider's. Call it once a Store; a store of documents shares
    its connection with others of the same settings, whose calls are reported, too. Raises ConfigurationError for a
    store that is not on DynamoDB.
    """
    from bluestar_store.engines.dynamo.connection import AwsConnection

    inner = getattr(store, "store", store)  # an AsyncStore's
    connection = getattr(getattr(inner, "engine", inner), "connection", None)
    if not isinstance(connection, AwsConnection):
        raise ConfigurationError("only calls to DynamoDB can be traced; this store is somewhere else")
    connection.tracing = _traced(tracer or get_tracer("bluestar_store"), connection.server)


def _traced(tracer: Tracer, server: Callable[[], tuple[str, str, str]]) -> Callable[..., dict[str, Any]]:
    def call(
        answered: Callable[..., dict[str, Any]], operation: str, table: str, tries: Any, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        name = "".join(map(str.capitalize, operation.split("_")))
        options: dict[str, Any] = {"kind": SpanKind.CLIENT, "record_exception": False, "set_status_on_exception": False}
        with tracer.start_as_current_span(f"{name} {table}", attributes={"db.operation.name": name}, **options) as span:
            if operation in METERED:
                arguments = {"ReturnConsumedCapacity": "TOTAL", **arguments}
            try:
                answer = answered(operation, table, tries, arguments)
            except Exception as error:
                _fail(span, error)
                raise
            finally:
                if span.is_recording():
                    span.set_attributes(dict(_request_attributes(table.split(", "), arguments)))
                    span.set_attributes(dict(_server(*server())))
            if span.is_recording():
                span.set_attributes(dict(_response_attributes(answer)))
            return answer

    return call


def _fail(span: Span, error: Exception) -> None:
    """The kind of error and AWS's code; no text, which may repeat what was sent."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", code or type(error).__qualname__)
    if code:
        span.set_attribute("db.response.status_code", code)
    if request := response.get("ResponseMetadata", {}).get("RequestId"):
        span.set_attribute("aws.request_id", request)


def _request_attributes(tables: list[str], arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "db.system.name", "aws.dynamodb"
    yield "aws.dynamodb.table_names", tables
    if len(tables) == 1:
        yield "db.collection.name", tables[0]
    for name in BATCHES:
        if name in arguments and (count := _operations(arguments[name])) > 1:
            yield "db.operation.batch.size", count
    for name, attribute in (("IndexName", "index_name"), ("Limit", "limit"), ("ConsistentRead", "consistent_read")):
        if name in arguments:
            yield f"aws.dynamodb.{attribute}", arguments[name]


def _operations(items: Any) -> int:
    """How many operations the items of a batch, by table, or of a transaction are."""
    if not isinstance(items, dict):
        return len(items)
    return sum(len(one["Keys"] if isinstance(one, dict) else one) for one in items.values())


def _server(address: str, port: str, region: str) -> Iterator[tuple[str, Any]]:
    if address:
        yield "server.address", address
    if port:
        yield "server.port", int(port)
    if region:
        yield "cloud.region", region


def _response_attributes(answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    consumed = answer.get("ConsumedCapacity", [])
    if consumed:
        each = consumed if isinstance(consumed, list) else [consumed]
        yield "aws.dynamodb.consumed_capacity", [json.dumps(one) for one in each]
    for name, attribute in (("Count", "count"), ("ScannedCount", "scanned_count")):
        if name in answer:
            yield f"aws.dynamodb.{attribute}", answer[name]
