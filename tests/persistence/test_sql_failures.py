"""What SQLClient raises: the library's errors, which show neither a password nor a parameter."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.errors import (
    AccessDeniedError,
    BlueStarError,
    ConfigurationError,
    EngineError,
    SqlConstraintError,
    SqlError,
    TransactionConflictError,
    UnavailableError,
)
from bluestar_store.persistence import SQLClient
from tests.cache.test_fork import in_child
from tests.servers import free_port

SSN = "123-45-6789"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def sqlite() -> Iterator[SQLClient]:
    with SQLClient("sqlite://") as client:
        client.execute("CREATE TABLE people (ssn TEXT PRIMARY KEY, age INTEGER NOT NULL CHECK (age > 0))")
        client.execute("INSERT INTO people VALUES (:ssn, 1)", {"ssn": SSN})
        yield client


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[SQLClient]:
    with SQLClient(postgres_url) as client:
        client.execute("CREATE TABLE people (ssn TEXT PRIMARY KEY, age INTEGER NOT NULL CHECK (age > 0))")
        client.execute("INSERT INTO people VALUES (:ssn, 1)", {"ssn": SSN})
        yield client
        client.execute("DROP TABLE people")


@pytest.fixture(params=["sqlite", "postgres"])
def client(request: pytest.FixtureRequest) -> SQLClient:
    found: SQLClient = request.getfixturevalue(request.param)
    return found


def told(error: BaseException) -> str:
    """All that a log would have of it."""
    return "".join(traceback.format_exception(error)) + repr(error)


FAILING: dict[str, tuple[str, dict[str, Any], type[EngineError]]] = {
    "unique": ("INSERT INTO people VALUES (:a, 5)", {"a": SSN}, SqlConstraintError),
    "not null": ("INSERT INTO people VALUES (:a, NULL)", {"a": "secret-value"}, SqlConstraintError),
    "check": ("INSERT INTO people VALUES (:a, :b)", {"a": "secret-value", "b": -77123}, SqlConstraintError),
    "syntax": ("SELECT * FORM people WHERE ssn = :a", {"a": SSN}, SqlError),
    "no table": ("SELECT * FROM poeple WHERE ssn = :a", {"a": SSN}, SqlError),
    "no column": ("SELECT shoe FROM people WHERE ssn = :a", {"a": SSN}, SqlError),
    "type": ("SELECT :a AS a", {"a": object()}, SqlError),
    "half a character": ("SELECT :a AS a", {"a": "secret-value\ud800"}, SqlError),
    "missing": ("SELECT :b AS b, :a AS a", {"a": SSN}, SqlError),
}


@pytest.mark.parametrize(("statement", "parameters", "kind"), FAILING.values(), ids=FAILING)
def test_a_refused_statement_is_a_sql_error_without_its_parameters(
    client: SQLClient, statement: str, parameters: dict[str, Any], kind: type[EngineError]
) -> None:
    for call in (client.execute, client.fetch_all):
        with pytest.raises(SqlError) as raised:
            call(statement, parameters)
        assert type(raised.value) is kind
        assert isinstance(raised.value, BlueStarError)
        for value in parameters.values():
            assert str(value).rstrip("\ud800") not in told(raised.value)


@pytest.mark.parametrize(("what", "named"), [("syntax", "FORM"), ("no table", "poeple"), ("no column", "shoe")])
def test_what_is_wrong_about_a_statement_is_named(client: SQLClient, what: str, named: str) -> None:
    statement, parameters, _ = FAILING[what]
    with pytest.raises(SqlError, match=named):
        client.fetch_all(statement, parameters)


def test_the_constraint_and_the_code_are_named(sqlite: SQLClient, postgres: SQLClient) -> None:
    insert = "INSERT INTO people VALUES (:ssn, 1)"
    with pytest.raises(SqlConstraintError, match=r"people\.ssn") as raised:
        sqlite.execute(insert, {"ssn": SSN})
    assert raised.value.code == "SQLITE_CONSTRAINT_PRIMARYKEY"
    with pytest.raises(SqlConstraintError, match="constraint 'people_pkey', table 'people'") as raised:
        postgres.execute(insert, {"ssn": SSN})
    assert raised.value.code == "23505"


@pytest.mark.parametrize("value", ["Secret_Table", SSN])
@pytest.mark.parametrize("cast", ["regclass", "integer", "date", "json"])
def test_a_parameter_that_postgres_repeats_is_not_told(postgres: SQLClient, value: str, cast: str) -> None:
    with pytest.raises(SqlError) as raised:
        postgres.fetch_all(f"SELECT CAST(:value AS {cast}) AS a", {"value": value})
    assert value.casefold() not in told(raised.value).casefold()


def test_a_password_is_in_no_repr_log_or_error(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    password = postgres_url.split(":")[2].partition("@")[0]
    caplog.set_level(logging.DEBUG)
    with SQLClient(postgres_url) as client:
        client.execute("SELECT :ssn AS ssn", {"ssn": SSN})
        assert password not in repr(client)
        assert ":***@" in repr(client)
    with SQLClient(postgres_url.replace(password, "hunter2")) as wrong:
        with pytest.raises(UnavailableError, match="refuses the login") as raised:
            wrong.execute("SELECT 1")
        assert "hunter2" not in told(raised.value) + repr(wrong)
    assert SSN not in caplog.text
    assert password not in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "hunter2",
        "postgresql://user:hunter2@host:port/x",
        "postgresql://user:begin@hunter2@host/x",
        "postgresql://us@er:hunter2@host/x",
        "postgresql://user:be/gin@hunter2@host/x",
        "postgresql://user:be?gin@hunter2@host/x",
        "nosuch://user:hunter2@host/x",
        "oracle+nosuch://user:hunter2@host/x",
        "postgresql+psycopg2://user:hunter2@host/x",
        b"postgresql://user:hunter2@host/x",
        None,
    ],
)
def test_a_url_that_nothing_can_be_opened_by_is_a_configuration_error(url: Any) -> None:
    with pytest.raises(ConfigurationError) as raised:
        SQLClient(url)
    assert "hunter2" not in told(raised.value)


def test_what_a_urls_query_holds_is_not_shown() -> None:
    url = f"postgresql://user@127.0.0.1:{free_port()}/x?password=hunter2&connect_timeout=1"
    with SQLClient(url) as client, pytest.raises(UnavailableError) as raised:
        client.execute("SELECT 1")
    assert "hunter2" not in told(raised.value) + repr(client)


def test_a_server_that_is_not_there_and_a_file_that_cannot_be_opened_are_unavailable(tmp_path: Path) -> None:
    for url in (f"postgresql://u:p@127.0.0.1:{free_port()}/x", f"sqlite:///{tmp_path}/no/such/folder/x.db"):
        with SQLClient(url) as client:
            calls: list[Callable[[], object]] = [
                lambda: client.execute("SELECT 1"),
                lambda: client.fetch_all("SELECT 1"),
            ]
            for call in calls:
                with pytest.raises(UnavailableError):
                    call()
            with pytest.raises(UnavailableError), client.transaction():
                pytest.fail("the block was entered")


def test_a_lock_that_is_not_to_be_had_in_time_is_unavailable(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db?timeout=0.1"
    with SQLClient(url) as client, SQLClient(url) as other, other.transaction():
        other.execute("CREATE TABLE a (b INTEGER)")
        with pytest.raises(UnavailableError, match="SQLITE_BUSY"), client.transaction():
            pytest.fail("the block was entered")


def test_an_outdated_transaction_is_a_conflict(postgres_url: str, postgres: SQLClient) -> None:
    def run(client: SQLClient) -> None:
        with client.transaction():
            client.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            client.fetch_all("SELECT * FROM people")
            postgres.execute("UPDATE people SET age = 2")
            client.execute("UPDATE people SET age = 3")

    with SQLClient(postgres_url) as other, pytest.raises(TransactionConflictError, match="40001"):
        run(other)
    assert postgres.fetch_all("SELECT age FROM people") == [{"age": 2}]


def test_what_a_commit_refuses_is_not_committed(postgres: SQLClient) -> None:
    postgres.execute("CREATE TABLE pay (ssn TEXT REFERENCES people DEFERRABLE INITIALLY DEFERRED)")
    try:
        with pytest.raises(SqlConstraintError), postgres.transaction():
            postgres.execute("INSERT INTO pay VALUES ('nobody')")
        assert postgres.fetch_all("SELECT * FROM pay") == []
    finally:
        postgres.execute("DROP TABLE pay")


def test_a_right_that_is_not_there_is_access_denied(postgres_url: str, postgres: SQLClient) -> None:
    postgres.execute("CREATE ROLE reader")
    try:
        with postgres.transaction():
            postgres.execute("SET LOCAL ROLE reader")
            with pytest.raises(AccessDeniedError, match="42501"), postgres.transaction():
                postgres.fetch_all("SELECT * FROM people")
    finally:
        postgres.execute("DROP ROLE reader")


EAST = timezone(timedelta(hours=2))
KEPT: dict[str, tuple[Any, Any]] = {
    "naive": (datetime(2026, 1, 5, 12), "2026-01-05 12:00:00.000000"),
    "aware": (datetime(2026, 1, 5, 12, 0, 0, 5, EAST), "2026-01-05 10:00:00.000005+00:00"),
    "date": (date(2026, 1, 5), "2026-01-05"),
    "time": (time(12, 30), "12:30:00"),
    "yes": (True, 1),
    "bytes": (b"\x00\xff", b"\x00\xff"),
}


@pytest.mark.parametrize(("value", "kept"), KEPT.values(), ids=KEPT)
def test_what_sqlite_has_no_type_for_is_text_that_can_be_read_back(sqlite: SQLClient, value: Any, kept: Any) -> None:
    sqlite.execute("CREATE TABLE kept (a TIMESTAMP)")
    sqlite.execute("INSERT INTO kept VALUES (:a)", {"a": value})
    assert sqlite.fetch_all("SELECT a FROM kept WHERE a = :a", {"a": value}) == [{"a": kept}]
    if isinstance(value, datetime):
        assert datetime.fromisoformat(kept) == value


def test_times_sort_as_they_should_on_sqlite(sqlite: SQLClient) -> None:
    sqlite.execute("CREATE TABLE kept (a TEXT)")
    first = datetime(2026, 1, 5, 12, tzinfo=UTC)
    moments = [first + timedelta(microseconds=number * 333_333) for number in range(7)]
    sqlite.execute("INSERT INTO kept VALUES (:a)", [{"a": moment.astimezone(EAST)} for moment in reversed(moments)])
    rows = sqlite.fetch_all("SELECT a FROM kept ORDER BY a")
    assert [datetime.fromisoformat(row["a"]) for row in rows] == moments


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_sqlalchemy_is_imported_by_the_first_client_only() -> None:
    code = """
import sys
from bluestar_store.persistence import ISQLClient, SQLClient
print("sqlalchemy" in sys.modules)
SQLClient("sqlite://")
print("sqlalchemy" in sys.modules)
"""
    assert run(code).split() == ["False", "True"]


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["sqlalchemy"] = None
from bluestar_store.persistence import SQLClient
try:
    SQLClient("sqlite://")
except Exception as error:
    print(type(error).__name__, error)
"""
    assert run(code) == "ConfigurationError SQLClient needs SQLAlchemy: pip install 'bluestar-store[sql]'"


def test_without_a_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'psycopg\[binary\]'"):
        SQLClient("postgresql://user:hunter2@host/x")


def test_a_forked_child_uses_connections_of_its_own(postgres: SQLClient) -> None:
    with postgres.transaction():
        [parent] = postgres.fetch_all("SELECT pg_backend_pid() AS pid")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # in the child no test may go on
            try:
                [mine] = postgres.fetch_all("SELECT pg_backend_pid() AS pid")
                os.write(write, str(mine["pid"]).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            other = pipe.read()
        assert other.isdigit()
        assert int(other) != parent["pid"]
        assert postgres.fetch_all("SELECT pg_backend_pid() AS pid") == [parent]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("error", [None, RuntimeError("the child's own")])
def test_a_forked_child_that_leaves_the_block_neither_commits_nor_rolls_back_its_parents_transaction(
    error: RuntimeError | None, nested: bool, postgres: SQLClient
) -> None:
    def leave(block: AbstractContextManager[Any]) -> None:
        if error is None:
            with pytest.raises(SqlError, match="forked"):
                block.__exit__(None, None, None)
        else:
            assert not block.__exit__(RuntimeError, error, None)

    def child() -> list[dict[str, Any]]:
        for block in reversed(blocks):
            leave(block)
        gc.collect()
        return postgres.fetch_all("SELECT age FROM people")

    blocks = [postgres.transaction(), postgres.transaction()][: 2 if nested else 1]
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        postgres.execute("UPDATE people SET age = 2")
        assert in_child(child) == [{"age": 1}]
        assert postgres.fetch_all("SELECT age FROM people") == [{"age": 2}]
        with SQLClient(str(postgres._database._url.render_as_string(hide_password=False))) as other:
            assert other.fetch_all("SELECT age FROM people") == [{"age": 1}]
    assert postgres.fetch_all("SELECT age FROM people") == [{"age": 2}]
