"""The direct way to DynamoDB says and reads what botocore does, and leaves to botocore what is not a plain answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from zlib import crc32

import botocore.endpoint
import botocore.exceptions as aws
import pytest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluestar_store.engines.dynamo import direct
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConfigurationError,
    EngineError,
    UnavailableError,
)
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Put, TableSpec, key_of
from tests.engines.conftest import connection_to
from tests.engines.players import FOUND, KEY, TABLE, Told, error, found, playing
from tests.redis_tls import make_certificates
from tests.test_servers import dynamodb_client

ROOT = Path(__file__).parents[2]
CHUNKED = {"Transfer-Encoding": "chunked"}
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


@pytest.fixture(autouse=True)
def _no_pauses_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


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
    assert engine.connection._made().direct is not None
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
        patch.object(direct, "_parsed", lambda content: json.loads(content) | {"more": 1}),
        pytest.warns(RuntimeWarning, match="ordinary, slower way") as told,
    ):
        engine.put_many(table, [KEY])
    assert engine.get(table, [Key("A", "A")], consistent=True) == {Key("A", "A"): KEY}
    assert len(told) == 1
    assert engine.connection._made().direct is None
    engine.close()


def test_a_plain_answer_takes_one_request() -> None:
    with playing((200, FOUND, {"x-amz-crc32": str(crc32(FOUND))})) as player:
        assert found(player.engine) == [KEY]
        assert player.asked == ["BatchGetItem"]


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
        (200, b"%x\r\n%b\r\n0\r\n\r\n" % (len(FOUND[:-1]), FOUND[:-1]), {"Content-Length": "", **CHUNKED}),
        (200, FOUND, {"Content-Length": str(len(FOUND) - 1)}),
        (200, FOUND, {"Content-Length": str(len(FOUND) + 1), "Connection": "close"}),
    ],
    ids=[
        "failed",
        "throttled",
        "damaged",
        "cut",
        "no object",
        "nothing",
        "a page",
        "chunks that are damaged",
        "more than it says",
        "less than it says",
    ],
)
def test_what_is_no_plain_answer_is_asked_again(answer: Told) -> None:
    with playing(answer, (200, FOUND, {})) as player:
        assert found(player.engine) == [KEY]
        assert player.asked == ["BatchGetItem"] * 2


def test_the_first_try_counts_among_the_tries_of_the_setting() -> None:
    with playing((500, error("InternalServerError"), {})) as player:
        with pytest.raises(UnavailableError):
            found(player.engine)
        assert player.asked == ["BatchGetItem"] * 3


def test_what_a_condition_refuses_is_told_at_once() -> None:
    reasons = [{"Code": "ConditionalCheckFailed", "Message": "no", "Item": {**KEY, "B": {"B": "/w=="}}}]
    body = error("TransactionCanceledException", CancellationReasons=reasons)
    with playing((400, body, {"x-amzn-requestid": "R1"})) as player:
        with pytest.raises(AlreadyExistsError):
            player.engine.write(Put(TABLE, KEY, ABSENT))
        assert player.asked == ["TransactWriteItems"]


def test_a_refused_try_says_nothing_of_one_whose_answer_cannot_be_read() -> None:
    throttled: Told = (400, error("ProvisionedThroughputExceededException"), {})
    with playing(throttled, (200, b"\xff", {})) as player:
        with pytest.raises(UnavailableError) as raised:
            player.engine.write(Put(TABLE, KEY, ABSENT))
        assert raised.value.outcome_unknown


@pytest.mark.parametrize(
    "failing",
    [aws.CredentialRetrievalError(provider="test", error_msg="no answer"), RuntimeError("they are still expired")],
    ids=["of botocore", "of their source"],
)
def test_credentials_that_are_gone_say_nothing_of_a_try_whose_answer_was_lost(failing: Exception) -> None:
    frozen = Credentials("testing", "testing").get_frozen_credentials()
    with playing((200, b"\xff", {})) as player:
        outage = patch.object(Credentials, "get_frozen_credentials", side_effect=[frozen, *[failing] * 50])
        with outage, pytest.raises(UnavailableError, match="credentials") as raised:
            player.engine.write(Put(TABLE, KEY, ABSENT))
        assert raised.value.outcome_unknown
        assert player.asked == ["TransactWriteItems"]


def test_other_errors_are_botocores() -> None:
    with playing((400, error("SomethingNewException"), {"x-amzn-requestid": "R2"})) as player:
        with pytest.raises(EngineError, match="told") as raised:
            found(player.engine)
        assert raised.value.code == "SomethingNewException"
        assert raised.value.request_id == "R2"


def test_one_connection_is_used_again_and_a_dead_one_is_replaced() -> None:
    with playing((200, FOUND, {})) as player:
        for _ in range(3):
            assert found(player.engine) == [KEY]
        assert len(player.connections) == 1
        (connection,) = player.connections
        connection.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]  # a socket
        assert found(player.engine) == [KEY]
        assert found(player.engine) == [KEY]
        assert player.asked == ["BatchGetItem"] * 5


def test_a_write_after_the_server_closed_the_idle_connection_is_not_in_doubt() -> None:
    with playing((200, FOUND, {}), (400, error("AccessDeniedException"), {})) as player:
        assert found(player.engine) == [KEY]
        (connection,) = player.connections
        connection.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]  # a socket
        with pytest.raises(AccessDeniedError) as raised:
            player.engine.write(Put(TABLE, KEY, ABSENT))
        assert not raised.value.outcome_unknown


def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    with playing((200, FOUND, {"Connection": "close"})) as player:
        for _ in range(2):
            assert found(player.engine) == [KEY]
        assert (len(player.connections), len(player.asked)) == (2, 2)


def test_threads_have_a_connection_each_and_their_own_answers(table: str, local_connection: AwsConnection) -> None:
    engine = DynamoEngine(local_connection, indexes=())
    items = [{"PK": {"S": f"T{number}"}, "SK": {"S": "A"}, "n": {"N": str(number)}} for number in range(40)]
    engine.put_many(table, items)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            answers = list(threads.map(lambda item: engine.get(table, [key_of(item)], consistent=True), items))
            assert answers == [{key_of(item): item} for item in items]


def test_the_servers_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca, *certificate = make_certificates(tmp_path)
    with playing((200, FOUND, {}), certificate=(certificate[0], certificate[1])) as player:
        with pytest.raises(UnavailableError, match="certificate that is not trusted"):
            found(player.engine)
        assert player.asked == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(ca))
        trusting = DynamoEngine(connection_to(player.url), indexes=())
        for _ in range(3):
            assert found(trusting) == [KEY]
        assert (len(player.asked), len(player.connections)) == (3, 1)
        trusting.close()


def test_an_outage_of_credentials_is_told_and_does_not_outlast_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing((200, FOUND, {})) as player:
        engine = DynamoEngine(connection_to(player.url), indexes=())
        failing = aws.CredentialRetrievalError(provider="test", error_msg="no answer")
        outage = patch.object(Credentials, "get_frozen_credentials", side_effect=failing)
        with outage, pytest.raises(ConfigurationError, match="credentials"):
            found(engine)
        assert found(engine) == [KEY]
        assert engine.connection._made().direct is not None
        engine.close()


def test_requests_through_a_proxy_go_botocores_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing((200, FOUND, {})) as player:
        monkeypatch.setenv("HTTP_PROXY", player.url)
        engine = DynamoEngine(connection_to("http://dynamodb.invalid"), indexes=())
        with warnings.catch_warnings(action="error"):
            assert found(engine) == [KEY]
        assert engine.connection._made().direct is None
        engine.close()


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
        "from tests.engines.botocore_files import check_reads_alike\n"
        "check_reads_alike()\n"
        "from bluestar_store import CalculationRule, Settings, Store\n"
        "with Store.open(Settings(dynamodb_endpoint_url=sys.argv[1], table_suffix=sys.argv[3])) as store:\n"
        "    store.create_tables()\n"
        "    assert store.engine.connection._made().direct is not None\n"
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
