"""The direct way to DynamoDB says and reads what botocore does, and leaves to botocore what is not a plain answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch
from zlib import crc32

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluestar_store.engines import direct
from bluestar_store.engines.aws import AwsConnection
from bluestar_store.engines.dynamo import DynamoEngine
from bluestar_store.errors import AlreadyExistsError, EngineError, UnavailableError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Put, TableSpec, key_of
from tests.engines.conftest import connection_to
from tests.test_servers import dynamodb_client

ROOT = Path(__file__).parents[2]
TABLE = "bluestar-store"
KEY = {"PK": {"S": "A"}, "SK": {"S": "A"}}
FOUND = json.dumps({"Responses": {TABLE: [KEY]}, "UnprocessedKeys": {}}).encode()
NUMBERS = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(str),
    st.decimals(min_value=-1000, max_value=1000, places=6, allow_nan=False).map(
        lambda one: format(one.normalize(), "f")
    ),
)
SCALARS = st.one_of(
    st.text(max_size=8).map(lambda one: {"S": one}),
    NUMBERS.map(lambda one: {"N": one}),
    st.binary(min_size=1, max_size=8).map(lambda one: {"B": one}),
    st.booleans().map(lambda one: {"BOOL": one}),
    st.just({"NULL": True}),
    st.sets(st.text(min_size=1, max_size=3), min_size=1, max_size=3).map(lambda one: {"SS": sorted(one)}),
    st.sets(st.integers(-99, 99).map(str), min_size=1, max_size=3).map(lambda one: {"NS": sorted(one)}),
    st.sets(st.binary(min_size=1, max_size=3), min_size=1, max_size=3).map(lambda one: {"BS": sorted(one)}),
)
NAMES = st.sampled_from(["B", "BS", "S", "N", "M", "L", "a", "é", "#", '"B":', " "])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda one: {"L": one}),
        st.dictionaries(NAMES, inner, max_size=3).map(lambda one: {"M": one}),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def table(local_connection: AwsConnection) -> Iterator[str]:
    """A table of DynamoDB Local."""
    name = f"direct-{uuid.uuid4().hex[:12]}"
    engine = DynamoEngine(local_connection, indexes=())
    engine.create_tables([TableSpec(name)])
    yield name
    engine.delete_tables([name])


@given(values=st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_items_of_every_type_are_written_and_read_as_botocore_does(
    values: list[dict[str, Any]], table: str, local_connection: AwsConnection, dynamodb_local_url: str
) -> None:
    pk = uuid.uuid4().hex
    items = [{"PK": {"S": pk}, "SK": {"S": str(number)}, **value} for number, value in enumerate(values)]
    engine = DynamoEngine(local_connection, indexes=())
    engine.put_many(table, items)
    assert engine.connection._made()[2] is not None
    question = {"KeyConditionExpression": "PK = :p", "ExpressionAttributeValues": {":p": {"S": pk}}}
    theirs = dynamodb_client(dynamodb_local_url).query(TableName=table, ConsistentRead=True, **question)["Items"]
    assert engine.query(table, pk, consistent=True).items == theirs
    assert list(engine.get(table, map(key_of, items), consistent=True).values()) == theirs
    assert list(engine.get_isolated(table, map(key_of, items)).values()) == theirs


def test_a_botocore_that_reads_otherwise_is_left_to_its_own_way_after_one_warning(
    table: str, dynamodb_local_url: str
) -> None:
    engine = DynamoEngine(connection_to(dynamodb_local_url), indexes=())
    with (
        patch.object(direct, "from_json", lambda content: json.loads(content) | {"more": 1}),
        pytest.warns(RuntimeWarning, match="ordinary, slower way") as told,
    ):
        engine.put_many(table, [KEY])
    assert engine.get(table, [Key("A", "A")], consistent=True) == {Key("A", "A"): KEY}
    assert len(told) == 1
    assert engine.connection._made()[2] is None
    engine.close()


def test_whoever_replaces_botocores_calls_sees_every_one(table: str, dynamodb_local_url: str) -> None:
    engine = DynamoEngine(connection_to(dynamodb_local_url), indexes=())
    engine.put_many(table, [KEY])
    seen: list[str] = []
    ordinary = BaseClient._make_api_call

    def watched(self: BaseClient, operation: str, arguments: Any) -> Any:
        seen.append(operation)
        return ordinary(self, operation, arguments)

    with patch.object(BaseClient, "_make_api_call", watched), warnings.catch_warnings(action="error"):
        assert engine.get(table, [Key("A", "A")]) == {Key("A", "A"): KEY}
        another = DynamoEngine(connection_to(dynamodb_local_url), indexes=())
        another.query(table, "A")
    assert seen == ["BatchGetItem", "Query"]
    engine.close()
    another.close()


@contextmanager
def playing(*answers: tuple[int, bytes, dict[str, str]]) -> Iterator[tuple[DynamoEngine, list[str]]]:
    """An engine on a server that gives these answers in turn, the last one for ever, and what it was asked."""
    left, asked = list(answers), list[str]()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers["X-Amz-Target"].rpartition(".")[2])
            status, body, headers = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {"Content-Type": "application/x-amz-json-1.0", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    engine = DynamoEngine(connection_to(f"http://127.0.0.1:{server.server_port}"), indexes=())
    try:
        yield engine, asked
    finally:
        engine.close()
        server.shutdown()
        thread.join()
        server.server_close()


def error(code: str, **more: Any) -> bytes:
    """An error as DynamoDB tells it."""
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told", **more}).encode()


def found(engine: DynamoEngine) -> list[Any]:
    """What is read of the one key."""
    return list(engine.get(TABLE, [Key("A", "A")], consistent=True).values())


def test_a_plain_answer_takes_one_request() -> None:
    with playing((200, FOUND, {"x-amz-crc32": str(crc32(FOUND))})) as (engine, asked):
        assert found(engine) == [KEY]
        assert asked == ["BatchGetItem"]


@pytest.mark.parametrize(
    "answer",
    [
        (500, error("InternalServerError"), {}),
        (400, error("ProvisionedThroughputExceededException"), {}),
        (200, FOUND, {"x-amz-crc32": "1"}),
        (200, FOUND[:-9], {}),
        (200, b"[]", {}),
        (200, b"{}", {}),
        (200, b"<html>", {"Content-Type": "text/html"}),
    ],
    ids=["failed", "throttled", "damaged", "cut", "no object", "nothing", "a page"],
)
def test_what_is_no_plain_answer_is_asked_again(answer: tuple[int, bytes, dict[str, str]]) -> None:
    with playing(answer, (200, FOUND, {})) as (engine, asked):
        assert found(engine) == [KEY]
        assert asked == ["BatchGetItem"] * 2


def test_the_first_try_counts_among_the_tries_of_the_setting() -> None:
    with playing((500, error("InternalServerError"), {})) as (engine, asked):
        with pytest.raises(UnavailableError):
            found(engine)
        assert asked == ["BatchGetItem"] * 3


def test_what_a_condition_refuses_is_told_at_once() -> None:
    reasons = [{"Code": "ConditionalCheckFailed", "Message": "no", "Item": {**KEY, "B": {"B": "/w=="}}}]
    body = error("TransactionCanceledException", CancellationReasons=reasons)
    with playing((400, body, {"x-amzn-requestid": "R1"})) as (engine, asked):
        with pytest.raises(AlreadyExistsError):
            engine.write(Put(TABLE, KEY, ABSENT))
        assert asked == ["TransactWriteItems"]


def test_other_errors_are_botocores() -> None:
    with playing((400, error("SomethingNewException"), {"x-amzn-requestid": "R2"})) as (engine, _):
        with pytest.raises(EngineError, match="told") as raised:
            found(engine)
        assert raised.value.code == "SomethingNewException"
        assert raised.value.request_id == "R2"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["botocore==1.34.0", "botocore"], ids=["oldest", "newest"])
def test_it_works_with_the_oldest_and_the_newest_botocore(
    version: str, tmp_path: Path, dynamodb_local_url: str
) -> None:
    """In a process of its own, with warnings as errors: the check at the start would warn."""
    install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(tmp_path)]
    subprocess.run([*install, version], check=True, timeout=300)
    script = (
        "import botocore, sys\n"
        "assert botocore.__file__.startswith(sys.argv[2]), botocore.__file__\n"
        "from bluestar_store import CalculationRule, Settings, Store\n"
        "with Store.open(Settings(dynamodb_endpoint_url=sys.argv[1], table_suffix=sys.argv[3])) as store:\n"
        "    store.create_tables()\n"
        "    assert store.engine.connection._made()[2] is not None\n"
        "    store.calculation_rules.put(CalculationRule(plan_id='ACME', calc_type='match', formula='a'))\n"
        "    assert store.calculation_rules.get('ACME', 'match', fresh=True).formula == 'a'\n"
        "    store.engine.delete_tables([spec.name for spec in store.tables.specs()])\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    arguments = [dynamodb_local_url, str(tmp_path), f"-{uuid.uuid4().hex[:12]}"]
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
