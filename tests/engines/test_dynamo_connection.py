"""One client an engine, and every failure of AWS and botocore as one clear line."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, cast

import botocore.session
import pytest
from botocore.exceptions import ClientError

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.direct import DirectCalls
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.translation import CODES, error_for, translated
from bluestar_store.errors import (
    ConfigurationError,
    EngineError,
    IndexMissingError,
    TableMissingError,
    ThrottledError,
    TransactionConflictError,
    UnavailableError,
    UnprocessedItemsError,
)
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import Put, TableSpec
from bluestar_store.settings import PersistenceMode, Settings
from bluestar_store.store import Store
from tests.engines.fakes import http_server
from tests.engines.players import FOUND, found, playing
from tests.engines.shared_tables import INDEXES
from tests.servers import free_port

TABLE = "bluestar-store"


def engine_at(url: str | None, region: str | None = "us-east-1") -> DynamoEngine:
    connection = AwsConnection(
        region=region,
        endpoint_url=url,
        connect_timeout_seconds=1,
        read_timeout_seconds=1,
        max_attempts=1,
        pool_connections=8,
    )
    return DynamoEngine(connection, indexes=INDEXES, sleep=lambda seconds: None)


def calls(engine: DynamoEngine) -> dict[str, Callable[[], object]]:
    """A read and a write of every sort."""
    return {
        "get": lambda: engine.get(TABLE, [Key("A", "A")]),
        "get_isolated": lambda: engine.get_isolated(TABLE, [Key("A", "A")]),
        "query": lambda: engine.query(TABLE, "A"),
        "scan": lambda: engine.scan(TABLE),
        "write": lambda: engine.write(Put(TABLE, {"PK": {"S": "A"}, "SK": {"S": "A"}})),
        "put_many": lambda: engine.put_many(TABLE, [{"PK": {"S": "A"}, "SK": {"S": "A"}}]),
        "describe": lambda: engine.describe(TableSpec(TABLE)),
    }


def test_eight_threads_that_call_first_at_once_make_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    create_client = botocore.session.Session.create_client

    def counting(session: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        made.append(service_name)
        time.sleep(0.05)  # long enough for the other threads to come in
        return create_client(session, service_name, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, "create_client", counting)
    barrier = Barrier(8)
    with http_server(json.dumps({"Responses": {TABLE: []}}).encode()) as (url, asked):
        engine = engine_at(url)

        def first_call(_: int) -> None:
            barrier.wait()
            engine.get(TABLE, [Key("A", "A")])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(first_call, range(8)))
    assert made == ["dynamodb"]
    assert asked == ["BatchGetItem"] * 8


def test_two_engines_in_one_process_keep_to_their_own_endpoints() -> None:
    def body(owner: str) -> bytes:
        item = {"PK": {"S": "A"}, "SK": {"S": "A"}, "owner": {"S": owner}}
        return json.dumps({"Responses": {TABLE: [item]}}).encode()

    with http_server(body("one")) as (first, _), http_server(body("two")) as (second, _):
        engines = {"one": engine_at(first), "two": engine_at(second)}
        for _ in range(3):
            for owner, engine in engines.items():
                assert engine.get(TABLE, [Key("A", "A")])[Key("A", "A")]["owner"] == {"S": owner}


def error_of(code: str, message: str = "in AWS's words") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"RequestId": "REQUEST-1"}}
    return ClientError(response, "GetItem")


@pytest.mark.parametrize("code", CODES)
def test_every_mapped_code_becomes_its_error_and_keeps_text_code_and_request_id(code: str) -> None:
    error = translated(error_of(code), TABLE, "AWS")
    assert type(error) is CODES[code]
    assert (error.code, error.request_id) == (code, "REQUEST-1")
    for part in ("in AWS's words", code, "REQUEST-1", TABLE):
        assert part in str(error)


@pytest.mark.parametrize("code", ["SomethingNewException", ""])
def test_an_unmapped_code_keeps_its_text_code_and_request_id(code: str) -> None:
    error = translated(error_of(code), TABLE, "AWS")
    assert type(error) is EngineError
    assert (error.code, error.request_id) == (code, "REQUEST-1")
    for part in ("in AWS's words", code, "REQUEST-1"):
        assert part in str(error)


@pytest.mark.parametrize(
    "message",
    [
        "The table does not have the specified index: by_level",
        "Cannot read from backfilling global secondary index: by_level",
    ],
)
def test_an_index_that_is_not_there_yet_is_a_missing_one(message: str) -> None:
    error = translated(error_of("ValidationException", message), TABLE, "AWS")
    assert type(error) is IndexMissingError
    assert "index by_level" in str(error)


def test_a_missing_table_and_a_conflict_have_errors_of_their_own() -> None:
    assert type(translated(error_of("ResourceNotFoundException"), TABLE, "AWS")) is TableMissingError
    assert type(translated(error_of("TransactionConflictException"), TABLE, "AWS")) is TransactionConflictError


def test_codes_that_the_server_sends_are_translated_on_the_way_through_botocore() -> None:
    for code in ("AccessDeniedException", "ProvisionedThroughputExceededException", "SomethingNewException"):
        body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "words"}).encode()
        with http_server(body, status=400) as (url, _):
            for name, call in calls(engine_at(url)).items():
                throttled_bulk = name == "put_many" and CODES.get(code) is ThrottledError
                with pytest.raises(UnprocessedItemsError if throttled_bulk else CODES.get(code, EngineError)) as caught:
                    call()
                told = caught.value.__cause__ if throttled_bulk else caught.value
                assert isinstance(told, EngineError)
                assert told.code == code
                assert "words" in str(told)


def test_a_wrong_port_is_one_clear_line_soon() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    for call in calls(engine_at(url)).values():
        start = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            call()
        assert time.monotonic() - start < 30  # so long only when it hangs
        assert url in str(caught.value)
        assert "BLUESTAR_DYNAMODB_ENDPOINT_URL" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["localhost:8000", "http://", "nonsense", "http://[::1"])
def test_an_endpoint_that_is_no_url_is_a_configuration_error(url: str) -> None:
    for call in calls(engine_at(url)).values():
        with pytest.raises((ConfigurationError, UnavailableError), match="BLUESTAR_DYNAMODB_ENDPOINT_URL"):
            call()


@pytest.mark.parametrize("region", ["us east 1", "-", "EU"])
def test_a_region_that_cannot_be_is_a_configuration_error(region: str) -> None:
    with pytest.raises((ConfigurationError, UnavailableError), match="region"):
        engine_at(None, region).get(TABLE, [Key("A", "A")])


def test_no_credentials_are_a_configuration_error_until_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server(b'{"Responses": {}}') as (url, _):
        engine = engine_at(url)
        with monkeypatch.context() as patch:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                patch.delenv(name)
            for call in calls(engine).values():
                with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID") as caught:
                    call()
                assert "\n" not in str(caught.value)
        assert engine.get(TABLE, [Key("A", "A")]) == {}


def test_half_a_credential_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY"):
        engine_at("http://127.0.0.1:9").get(TABLE, [Key("A", "A")])


def test_no_region_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match="BLUESTAR_AWS_REGION"):
        engine_at(None, None).get(TABLE, [Key("A", "A")])


def test_a_profile_that_does_not_exist_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match="nobody"):
        engine_at(None, None).get(TABLE, [Key("A", "A")])


BODIES = {
    "not UTF-8": b"\xff\xfe\x00garbage",
    "not JSON": b"not json",
    "HTML": b"<html><body>502 Bad Gateway</body></html>",
    "half": b'{"Responses": {"bluestar-store": [{"PK"',
    "empty": b"",
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "something else": b'{"hello": "world"}',
    "wrong types": b'{"Responses": 5, "Items": 5, "Table": 5, "UnprocessedItems": 5}',
    "wrong members": b'{"Responses": {"bluestar-store": [5]}, "Items": [5]}',
}


@pytest.mark.parametrize("body", BODIES)
def test_an_answer_that_cannot_be_read_is_no_empty_answer(body: str) -> None:
    with http_server(BODIES[body]) as (url, _):
        engine = engine_at(url)
        for name, call in calls(engine).items():
            if name == "write":
                continue  # see the next test: the answer to a transaction holds nothing that could be missed
            with pytest.raises(UnavailableError, match="cannot be read") as caught:
                call()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", ["not UTF-8", "not JSON", "HTML", "half", "empty", "a list", "a number", "null"])
@pytest.mark.parametrize("way", ["direct", "botocore"])
def test_what_is_no_answer_of_dynamodb_is_no_successful_write(
    body: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_server(BODIES[body]) as (url, _):
        engine = engine_at(url)
        if way == "botocore":
            monkeypatch.setattr(DirectCalls, "of", lambda client, connection: None)
        with pytest.raises(UnavailableError, match="is it DynamoDB"):
            calls(engine)["write"]()


def test_a_checksum_that_is_no_number_is_an_answer_that_cannot_be_read() -> None:
    with playing((200, FOUND, {"x-amz-crc32": "many"})) as player, pytest.raises(UnavailableError, match="be read"):
        found(player.engine)


@pytest.mark.parametrize(("status", "kind"), [(400, EngineError), (502, UnavailableError)])
@pytest.mark.parametrize("body", BODIES)
def test_a_refusal_that_cannot_be_read_is_an_engine_error(body: str, status: int, kind: type[EngineError]) -> None:
    with http_server(BODIES[body], status) as (url, _):
        for call in calls(engine_at(url)).values():
            with pytest.raises(kind) as caught:
                call()
            assert "\n" not in str(caught.value)


def test_the_debug_log_of_pynamodb_shows_no_item(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="pynamodb")
    secret = "021000021-4711"
    body = {"Items": [{"PK": {"S": secret}, "SK": {"S": secret}}], "Count": 1, "ScannedCount": 1}
    with http_server(json.dumps(body).encode()) as (url, asked):
        settings = Settings(persistence_mode=PersistenceMode.DYNAMO, dynamodb_endpoint_url=url, aws_region="us-east-1")
        with Store.open(settings) as store:
            store.engine.query(TABLE, secret)
            model = store.bind(CALCULATION_RULE.model)
            list(model.query(secret))
            connection = cast(DynamoEngine, store.engine).connection.connection
            connection.put_item(store.tables.name(CALCULATION_RULE), secret, secret, attributes={"x": {"S": secret}})
    assert {"Query", "PutItem"} <= set(asked)
    assert [record for record in caplog.records if record.name.startswith("pynamodb")]
    assert secret not in caplog.text


def test_close_twice_and_call_again() -> None:
    with http_server(b'{"Responses": {}}') as (url, _):
        engine = engine_at(url)
        engine.close()
        assert engine.get(TABLE, [Key("A", "A")]) == {}
        engine.close()
        engine.close()
        assert engine.get(TABLE, [Key("A", "A")]) == {}


def test_what_a_servers_message_repeats_is_masked() -> None:
    told = error_for("ValidationException", "The value 123-45-6789 is not valid for account number 900012345678", "t")
    assert "6789 is not valid" in str(told)
    assert "123-45" not in str(told)
    assert "900012345678" not in repr(told)
