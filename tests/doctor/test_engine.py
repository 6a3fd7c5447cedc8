"""Engine, credentials, tables, indexes, permissions and Redis: what keeps the doctor from the items, or others."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from botocore.exceptions import ClientError
from moto import mock_aws

from bluestar_store import Settings, Store
from bluestar_store.doctor import Finding, examine
from bluestar_store.doctor.redis_server import address, check
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.translation import translated
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import TableSpec
from tests.engines.conftest import connection_to
from tests.servers import free_port
from tests.store_suite.side_door import wire, without_indexes
from tests.stores.conftest import SharedEngine

TABLES = sorted({mapper.table for mapper in KINDS})


@pytest.fixture(scope="module")
def connection() -> Iterator[AwsConnection]:
    """To moto; made inside the mock."""
    with mock_aws():
        connection = connection_to(None)
        yield connection
        connection.close()


@pytest.fixture
def store(connection: AwsConnection) -> Iterator[Store]:
    """Empty tables on moto."""
    with Store(Settings(table_suffix=f"-{uuid.uuid4().hex[:8]}"), SharedEngine(connection)) as store:
        store.create_tables()
        yield store


def checks(store: Store) -> list[tuple[str, str]]:
    return [(str(finding.severity), finding.check) for finding in examine(store)]


def test_empty_tables_are_healthy_and_stay_empty(store: Store) -> None:
    assert examine(store) == ()
    assert all(store.engine.scan(spec.name).items == [] for spec in store.tables.specs())


def test_items_are_examined_there_too(store: Store) -> None:
    store.engine.put_many(
        store.tables.name(CALCULATION_RULE),
        [wire("CLIENT#ACME", "CALC#match", max_pct="six"), wire("CLIENT#DEFAULT", "CALC#match")],
    )
    assert checks(store) == [("error", "undecodable"), ("warning", "key-ambiguous")]


def test_missing_tables(store: Store) -> None:
    (first, *others) = (spec.name for spec in store.tables.specs())
    store.engine.delete_tables([first])
    (finding,) = examine(store)
    assert (finding.check, finding.table) == ("table-missing", first)
    assert "bluestar-store create" in finding.mend
    store.engine.delete_tables(others)
    assert checks(store) == [("error", "table-missing")] * len(TABLES)


def test_missing_indexes(store: Store) -> None:
    without_indexes(store)
    found = examine(store)
    assert {(finding.severity, finding.check) for finding in found} == {("warning", "index-missing")}
    assert len(found) == len(TABLES)
    assert all("create --upgrade" in finding.mend for finding in found)


def test_drift(store: Store, connection: AwsConnection) -> None:
    client = connection.connection.client
    odd, provisioned = store.tables.specs()[:2]
    store.engine.delete_tables([odd.name, provisioned.name])
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    for spec, key in ((odd, "ID"), (provisioned, "PK")):
        client.create_table(
            TableName=spec.name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in (key, "SK")],
            ProvisionedThroughput=units,
        )
    found = [finding for finding in examine(store) if finding.check == "drift"]
    assert [(finding.severity, finding.table) for finding in found] == [
        ("error", odd.name),
        ("warning", odd.name),
        ("warning", provisioned.name),
    ]
    assert f"--table-name {provisioned.name}" in found[-1].mend


def denying(
    connection: AwsConnection, monkeypatch: pytest.MonkeyPatch, is_denied: Callable[[str, dict[str, Any]], bool]
) -> None:
    """Let AWS refuse some calls."""
    call = connection.call

    def denied(operation: str, table: str, **arguments: Any) -> dict[str, Any]:
        if is_denied(operation, arguments):
            answer: Any = {"Error": {"Code": "AccessDeniedException", "Message": f"not authorized: {operation}"}}
            raise translated(ClientError(answer, operation), table, connection.location)
        return call(operation, table, **arguments)

    monkeypatch.setattr(connection, "call", denied)


READS = [
    ("describe_table", "DescribeTable"),
    ("batch_get_item", "BatchGetItem"),
    ("transact_get_items", "TransactGetItems"),
    ("scan", "Scan"),
]


@pytest.mark.parametrize(("operation", "call"), READS)
def test_a_read_that_is_denied(
    operation: str, call: str, store: Store, connection: AwsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    denying(connection, monkeypatch, lambda asked, _: asked == operation)
    denied = [finding for finding in examine(store) if finding.check == "denied"]
    assert [finding.what.startswith(f"{call} is denied on every table: ") for finding in denied] == [True]
    assert "iam-policy reader" in denied[0].mend
    others = {finding.check for finding in examine(store)} - {"denied"}
    assert others == ({"table-unread"} if operation == "scan" else set())


def test_a_query_of_an_index_that_is_denied_on_some_tables(
    store: Store, connection: AwsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    denying(connection, monkeypatch, lambda _, arguments: arguments.get("IndexName") == "open_holds")
    (finding,) = examine(store)
    assert finding.what.startswith("Query of index open_holds is denied on bluestar-batch-state-")
    assert "index/open_holds" in finding.mend


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("ConditionCheck", "ConditionCheckItem"),
        ("Put", "PutItem"),
        ("Update", "UpdateItem"),
        ("Delete", "DeleteItem"),
    ],
)
def test_a_write_that_is_denied(
    operation: str, action: str, store: Store, connection: AwsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    denying(
        connection,
        monkeypatch,
        lambda _, arguments: any(operation in item for item in arguments.get("TransactItems", ())),
    )
    (finding,) = examine(store)
    assert finding.what.startswith(f"TransactWriteItems ({action}) is denied on every table: ")
    assert f"dynamodb:{action}:" in finding.mend
    assert examine(store, writes=False) == ()


def test_a_table_that_is_missing_is_seen_without_describe_too(
    store: Store, connection: AwsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = store.tables.specs()[2].name
    store.engine.delete_tables([gone])
    denying(connection, monkeypatch, lambda asked, _: asked == "describe_table")
    assert [(one.check, one.table) for one in examine(store)] == [("table-missing", gone), ("denied", None)]


def only(settings: Settings) -> Finding:
    with Store.open(settings) as store:
        (finding,) = examine(store)
    return finding


def test_credentials_that_aws_does_not_know(
    store: Store, connection: AwsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Any = {"Error": {"Code": "UnrecognizedClientException", "Message": "The security token is invalid."}}

    def refused(operation: str, table: str, **arguments: Any) -> dict[str, Any]:
        raise translated(ClientError(answer, operation), table, connection.location)

    monkeypatch.setattr(connection, "call", refused)
    (finding,) = examine(store)
    assert finding.check == "credentials"
    assert "AWS_PROFILE" in finding.mend


def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    finding = only(Settings(aws_region="us-east-1"))
    assert "AWS_ACCESS_KEY_ID" in finding.what


def test_a_server_that_is_not_there() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    finding = only(Settings(dynamodb_endpoint_url=url, max_attempts=1, connect_timeout_seconds=0.5))
    assert finding.check == "engine"
    assert url in finding.what
    assert "BLUESTAR_DYNAMODB_ENDPOINT_URL" in finding.mend


def test_a_folder_with_a_broken_file(tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path)
    with Store.open(settings) as store:
        store.create_tables()
        (tmp_path / f"{store.tables.specs()[0].name}.json").write_text("{")
        (finding,) = examine(store)
    assert finding.check == "engine"
    assert "bluestar-processing-pipeline.json line 1" in finding.what


def test_looking_at_a_folder_does_not_make_it(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=folder)) as store:
        assert checks(store) == [("error", "table-missing")] * len(TABLES)
    assert not folder.exists()


def test_tables_only(store: Store) -> None:
    store.engine.put_many(store.tables.name(CALCULATION_RULE), [wire("CLIENT#A", "CALC#m", max_pct="six")])
    assert examine(store, read_items=False) == ()


def test_a_scan_that_fails_half_way_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from bluestar_store import ThrottledError

    name = store.tables.specs()[0].name
    scan = store.engine.scan

    def throttled(table: str, **arguments: Any) -> Any:
        if table == name and "limit" not in arguments:
            raise ThrottledError("slow down")
        return scan(table, **arguments)

    monkeypatch.setattr(store.engine, "scan", throttled)
    (finding,) = examine(store)
    assert (finding.check, finding.table) == ("table-unread", name)


def test_every_table_that_is_looked_at_belongs_to_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    describe = store.engine.describe

    def listening(spec: TableSpec) -> Any:
        asked.append(spec.name)
        return describe(spec)

    monkeypatch.setattr(store.engine, "describe", listening)
    examine(store)
    assert {name.removeprefix("bluestar-").rpartition("-")[0] for name in asked} == set(TABLES)


SECRET = "hunter2"


def with_redis(url: str | None, **settings: Any) -> list[Finding]:
    return list(check(Settings(persistence_mode="memory", redis_url=url, **settings)))


def test_no_redis_is_asked_for_without_a_setting() -> None:
    assert with_redis(None) == []


def test_a_redis_that_answers(redis_url: str) -> None:
    assert with_redis(redis_url) == []


def test_a_redis_that_is_not_there() -> None:
    port = free_port()
    (finding,) = with_redis(f"redis://user:{SECRET}@127.0.0.1:{port}/3?socket_keepalive=1")
    assert finding.what == f"Redis at redis://127.0.0.1:{port}/3 does not answer (ConnectionError)"
    assert SECRET not in str(finding)
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (redis.AuthenticationError(f"invalid {SECRET}"), "refuses the user or password"),
        (redis.exceptions.NoPermissionError(SECRET), "does not let this user do what the cache does"),
        (redis.exceptions.OutOfMemoryError(SECRET), "is full"),
        (redis.exceptions.ReadOnlyError(SECRET), "is a replica"),
        (redis.TimeoutError(SECRET), "does not answer (TimeoutError)"),
        (redis.BusyLoadingError(SECRET), "does not answer (BusyLoadingError)"),
    ],
)
def test_what_redis_says_is_translated(error: Exception, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise error

    monkeypatch.setattr(redis.Connection, "connect", refuse)
    (finding,) = with_redis(f"redis://user:{SECRET}@cache.example:6379")
    assert finding.what == f"Redis at redis://cache.example:6379 {word}"
    assert SECRET not in str(finding)


def test_a_redis_that_is_no_cluster(redis_url: str) -> None:
    (finding,) = with_redis(redis_url, redis_mode="cluster")
    assert finding.what.endswith("is no cluster that can be used")


def test_a_sentinel_that_is_none(redis_url: str) -> None:
    (finding,) = with_redis(redis_url.removesuffix("/0"), redis_mode="sentinel", redis_sentinel_service="main")
    assert finding.what.endswith("names no master")


def test_an_address_shows_no_secret() -> None:
    assert address(f"unix://u:{SECRET}@/run/redis.sock?password={SECRET}") == "unix:///run/redis.sock"
    assert address(f"redis://u:p@{SECRET}@host:1/0") == "redis://host:1/0"
