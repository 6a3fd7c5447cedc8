"""Calls to DynamoDB as OpenTelemetry spans, on the direct way too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, StatusCode

from bluestar_store import AsyncStore, LimitsNotFoundError, Settings, Store
from bluestar_store.documents.dynamo import PynamoStore
from bluestar_store.errors import AccessDeniedError, ConfigurationError, VersionConflictError
from bluestar_store.protocols import ABSENT, Put
from bluestar_store.telemetry import trace
from tests.engines.players import FOUND, KEY, TABLE, Player, error, found, playing

CAPACITY = {"TableName": "bluestar-irs-limits", "CapacityUnits": 1.0}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def traced_store(player: Player, provider: TracerProvider) -> Store:
    store = Store.open(Settings(persistence_mode="dynamo", dynamodb_endpoint_url=player.url, max_attempts=2))
    trace(store, provider.get_tracer("test"))
    return store


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def test_a_read_is_a_span_with_what_it_consumed(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    body = json.dumps({"Responses": {}, "UnprocessedKeys": {}, "ConsumedCapacity": [CAPACITY]}).encode()
    with playing((200, body, {})) as player, traced_store(player, provider) as store:
        with provider.get_tracer("test").start_as_current_span("agent") as agent, pytest.raises(LimitsNotFoundError):
            store.irs_limits.get(2026)
        span, _ = exporter.get_finished_spans()
        assert player.ways == ["direct"]
    assert (span.name, span.kind) == ("BatchGetItem bluestar-irs-limits", SpanKind.CLIENT)
    assert span.parent is not None
    assert span.parent.span_id == agent.get_span_context().span_id
    told: dict[str, Any] = dict(span.attributes or {})
    assert [json.loads(one) for one in told.pop("aws.dynamodb.consumed_capacity")] == [CAPACITY]
    assert told == {
        "db.system.name": "aws.dynamodb",
        "db.operation.name": "BatchGetItem",
        "db.collection.name": "bluestar-irs-limits",
        "aws.dynamodb.table_names": ("bluestar-irs-limits",),
        "server.address": "127.0.0.1",
        "server.port": int(player.url.rpartition(":")[2]),
        "cloud.region": "us-east-1",
    }


def test_a_failure_tells_its_code_and_nothing_of_an_item(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    refused = error("AccessDeniedException", message="not for 021000021")
    with (
        playing((400, refused, {"x-amzn-requestid": "R1"})) as player,
        traced_store(player, provider) as store,
        pytest.raises(AccessDeniedError),
    ):
        store.irs_limits.get(2026)
    span = only(exporter)
    told = dict(span.attributes or {})
    assert span.status.status_code is StatusCode.ERROR
    assert told["db.response.status_code"] == told["error.type"] == "AccessDeniedException"
    assert told["aws.request_id"] == "R1"
    assert "021000021" not in span.to_json()
    assert not span.events


def test_a_transaction_names_its_tables_and_its_size(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    reasons = [{"Code": "ConditionalCheckFailed", "Item": {**KEY, "version": {"N": "7"}}}, {"Code": "None"}]
    cancelled = error("TransactionCanceledException", CancellationReasons=reasons)
    with (
        playing((400, cancelled, {})) as player,
        traced_store(player, provider) as store,
        pytest.raises(VersionConflictError),
    ):
        store.engine.write(Put(TABLE, KEY, 1), Put("other", KEY, ABSENT))
    told = dict(only(exporter).attributes or {})
    assert told["aws.dynamodb.table_names"] == (TABLE, "other")
    assert told["db.operation.batch.size"] == 2
    assert told["error.type"] == "TransactionCanceledException"


def test_tries_of_one_call_are_one_span(exporter: InMemorySpanExporter, provider: TracerProvider) -> None:
    with playing((500, error("InternalServerError"), {}), (200, FOUND, {})) as player:
        trace_of = player.engine
        with Store(Settings(persistence_mode="dynamo"), trace_of) as store:
            trace(store, provider.get_tracer("test"))
            assert found(player.engine) == [KEY]
        assert player.ways == ["direct", "botocore"]
    assert only(exporter).status.status_code is not StatusCode.ERROR


def test_calls_of_an_async_store_belong_to_the_span_of_their_task(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("test")

    async def read(player: Player) -> Span:
        async with AsyncStore(traced_store(player, provider)) as store:
            trace(store, tracer)
            with tracer.start_as_current_span("agent") as agent, pytest.raises(LimitsNotFoundError):
                await store.irs_limits.get(2026)
            return agent

    with playing((200, b'{"Responses": {}, "UnprocessedKeys": {}}', {})) as player:
        agent = asyncio.run(read(player))
    span = exporter.get_finished_spans()[0]
    assert span.parent is not None
    assert span.parent.span_id == agent.get_span_context().span_id


def test_calls_of_a_store_of_documents_are_spans(
    exporter: InMemorySpanExporter, provider: TracerProvider, dynamodb_local_url: str
) -> None:
    store = PynamoStore("traced-documents", "id", settings=Settings(dynamodb_endpoint_url=dynamodb_local_url))
    trace(store, provider.get_tracer("test"))
    assert store.get("x") is None
    store.connection.tracing = None
    told = dict(only(exporter).attributes or {})
    assert told["db.operation.name"] == "GetItem"
    assert "aws.dynamodb.consumed_capacity" in told


def test_a_store_that_is_elsewhere_cannot_be_traced() -> None:
    with Store.open(Settings(persistence_mode="memory")) as store, pytest.raises(ConfigurationError, match="DynamoDB"):
        trace(store)
