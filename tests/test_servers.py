"""The servers that other tests lean on answer, and the fault proxy does what those tests take for granted."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import psycopg
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import postgres_servers, servers
from tests.servers import FaultProxy

FaultProxyFactory = Callable[[str], FaultProxy]


def dynamodb_client(url: str) -> Any:
    """A client that never tries again, so that a test sees each fault."""
    once = Config(retries={"total_max_attempts": 1}, connect_timeout=60, read_timeout=60)
    return botocore.session.get_session().create_client("dynamodb", endpoint_url=url, config=once)


def create_table(client: Any, name: str) -> None:
    client.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "PK", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_dynamodb_local_answers(dynamodb_local_url: str) -> None:
    assert isinstance(dynamodb_client(dynamodb_local_url).list_tables()["TableNames"], list)


def test_redis_answers(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()


def test_postgres_answers(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_without_postgres_its_tests_are_skipped_and_fail_in_cis_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_servers, "binaries", lambda: None)
    monkeypatch.delenv("BLUESTAR_TEST_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="PostgreSQL is not here"), postgres_servers.postgres("x"):
        pass
    monkeypatch.setenv("BLUESTAR_TEST_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="PostgreSQL is not here"), postgres_servers.postgres("x"):
        pass


def test_a_server_is_started_once_for_all_workers_and_ended_after_the_last(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    name, told = f"shared-{uuid.uuid4().hex}", list[str]()

    @contextmanager
    def start(folder: Path) -> Iterator[str]:
        told.append("started")
        yield "http://there"
        told.append("ended")

    one, other = (ExitStack() for _ in range(2))
    for worker in (one, other):
        assert worker.enter_context(servers.shared(name, tmp_path_factory, start)) == "http://there"
    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(one.close)
        with pytest.raises(TimeoutError):
            ending.result(0.2)
        assert told == ["started"]
        other.close()
        ending.result()
    assert told == ["started", "ended"]
    with servers.shared(name, tmp_path_factory, start):
        assert told == ["started", "ended", "started"]


def test_proxy_without_rules_passes_requests_on(dynamodb_local_url: str, fault_proxy: FaultProxyFactory) -> None:
    create_table(dynamodb_client(dynamodb_local_url), "servers-pass")
    through_proxy = dynamodb_client(fault_proxy(dynamodb_local_url).url)
    assert through_proxy.describe_table(TableName="servers-pass")["Table"]["TableName"] == "servers-pass"


def test_a_write_whose_reply_is_cut_was_carried_out_once(
    dynamodb_local_url: str, fault_proxy: FaultProxyFactory
) -> None:
    direct = dynamodb_client(dynamodb_local_url)
    create_table(direct, "servers-cut")
    proxy = fault_proxy(dynamodb_local_url)
    proxy.cut_reply("UpdateItem")
    request = {
        "TableName": "servers-cut",
        "Key": {"PK": {"S": "a"}},
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    with pytest.raises(HTTPClientError):
        dynamodb_client(proxy.url).update_item(**request)

    stored = direct.get_item(TableName="servers-cut", Key={"PK": {"S": "a"}}, ConsistentRead=True)
    assert stored["Item"]["n"] == {"N": "1"}
    assert [event["operation"] for event in proxy.fired()] == ["UpdateItem"]
    dynamodb_client(proxy.url).update_item(**request)  # one cut was asked for: the next reply comes through


def test_proxy_throttles_in_dynamodbs_own_words(dynamodb_local_url: str, fault_proxy: FaultProxyFactory) -> None:
    proxy = fault_proxy(dynamodb_local_url)
    proxy.add_rule({"operation": "ListTables", "error": {"code": "ThrottlingException"}})
    client = dynamodb_client(proxy.url)

    with pytest.raises(ClientError, match="ThrottlingException"):
        client.list_tables()

    proxy.clear()
    client.list_tables()


def test_a_redis_command_whose_reply_is_cut_was_carried_out(redis_url: str, fault_proxy: FaultProxyFactory) -> None:
    proxy = fault_proxy(redis_url)
    proxy.cut_reply("incrby")  # what redis-py sends for incr()

    with (
        redis.Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises((redis.ConnectionError, redis.TimeoutError)),
    ):
        client.incr("servers-cut")

    with redis.Redis.from_url(redis_url) as direct:
        assert direct.get("servers-cut") == b"1"


def test_a_rule_key_that_the_proxy_does_not_know_is_refused(
    dynamodb_local_url: str, fault_proxy: FaultProxyFactory
) -> None:
    with pytest.raises(ValueError, match="reponse"):
        fault_proxy(dynamodb_local_url).add_rule({"operation": "PutItem", "reponse": {"abort_bytes": 0}})


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such option')"]
    with pytest.raises(servers.ServerError, match="no such option"):
        servers.launch("broken", command, lambda _: False, tmp_path, tmp_path / "log")


def test_a_port_that_somebody_else_took_is_not_the_end() -> None:
    ports = iter([1, 2, 3])

    def start(port: int) -> str:
        if port == 1:
            raise servers.ServerError("address in use")
        return f"server on {port}"

    assert servers.on_a_free_port(start, lambda: next(ports)) == ("server on 2", 2)


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(servers.ServerError, match="still not: the moon is blue"):
        servers.wait_until(lambda: False, "the moon is blue", seconds=0.01)
