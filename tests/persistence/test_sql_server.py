"""SQL Server: no engine of it is to be had, so what is sent to its driver is looked at, as its dialect writes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from bluestar_store.errors import (
    AccessDeniedError,
    SqlConstraintError,
    SqlError,
    TransactionConflictError,
    UnavailableError,
)
from bluestar_store.persistence import SQLClient
from tests.persistence.test_sql import failing


class Error(Exception):
    """As pyodbc's: its first argument is the SQLSTATE."""


class Driver(SimpleNamespace):
    """What stands in for pyodbc: it keeps what it was sent, and gives the rows that it was told."""

    paramstyle, version, pooling = "qmark", "5.2.0", True
    Error = DatabaseError = OperationalError = IntegrityError = InterfaceError = ProgrammingError = Error

    SQL_VARCHAR, SQL_WVARCHAR = 12, -9

    def __init__(self) -> None:
        super().__init__(sent=[], columns=None, rows=[], failure=None)
        self.Cursor = Cursor

    def connect(self, *given: Any, **options: Any) -> Connection:
        return Connection(self)


class Connection:
    autocommit = False

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def cursor(self) -> Cursor:
        return Cursor(self._driver)

    def commit(self) -> None:
        self._driver.sent.append("COMMIT")

    def rollback(self) -> None:
        self._driver.sent.append("ROLLBACK")

    def close(self) -> None:
        """As a connection has it."""

    def add_output_converter(self, kind: int, converter: Any) -> None:
        """As a connection has it."""


class Cursor:
    rowcount, arraysize = 2, 1

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    @property
    def description(self) -> Any:
        names = self._driver.columns
        return names and [(name, None, None, None, None, None, None) for name in names]

    def execute(self, statement: str, parameters: Any = ()) -> None:
        if statement == "SELECT 1":  # by which the pool looks whether a connection still lives
            return
        self._driver.sent.append((statement, *parameters) if parameters else statement)
        if self._driver.failure and not statement.startswith(("SAVE", "ROLLBACK")):
            raise self._driver.failure

    def executemany(self, statement: str, sets: Any) -> None:
        self._driver.sent.append((statement, [tuple(one) for one in sets]))

    def fetchall(self) -> Any:
        return self._driver.rows

    def setinputsizes(self, sizes: Any) -> None:
        """As a cursor has it."""

    def close(self) -> None:
        """As a cursor has it."""


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pyodbc", driver)
    # What the dialect asks a server first, of its version and its schema.
    dialect = "sqlalchemy.dialects.mssql.pyodbc.MSDialect_pyodbc"
    monkeypatch.setattr(f"{dialect}.initialize", lambda dialect, connection: None)
    return driver


@pytest.fixture
def client(driver: Driver) -> Iterator[SQLClient]:
    url = "mssql+pyodbc://user:hunter2@host/payroll?driver=ODBC+Driver+18+for+SQL+Server"
    with SQLClient(url) as client:
        client.execute("SELECT 1")
        driver.sent.clear()
        yield client


def test_parameters_are_bound_by_place(client: SQLClient, driver: Driver) -> None:
    pay = Decimal("10.15")
    statement = "UPDATE people SET pay = :pay, name = :name WHERE ssn = :ssn AND note <> '100%' AND prior <> :pay"
    assert client.execute(statement, {"ssn": "1'; --", "name": None, "pay": pay}) == 2
    sent = "UPDATE people SET pay = ?, name = ? WHERE ssn = ? AND note <> '100%' AND prior <> ?"
    assert driver.sent[:2] == [(sent, pay, None, "1'; --", pay), "COMMIT"]


def test_a_sequence_of_parameters_is_one_call(client: SQLClient, driver: Driver) -> None:
    client.execute("INSERT INTO people (ssn) VALUES (:ssn)", [{"ssn": "1"}, {"ssn": "2"}])
    assert driver.sent[:2] == [("INSERT INTO people (ssn) VALUES (?)", [("1",), ("2",)]), "COMMIT"]


def test_rows_are_dicts(client: SQLClient, driver: Driver) -> None:
    driver.columns, driver.rows = ["ssn", "pay"], [("1", Decimal("10.15")), ("2", None)]
    rows = client.fetch_all("SELECT TOP 2 ssn, pay FROM people WHERE plan_id = :plan_id", {"plan_id": "ACME"})
    assert rows == [{"ssn": "1", "pay": Decimal("10.15")}, {"ssn": "2", "pay": None}]
    assert driver.sent[0] == ("SELECT TOP 2 ssn, pay FROM people WHERE plan_id = ?", "ACME")


def test_a_nested_transaction_is_a_save_point_in_its_words(client: SQLClient, driver: Driver) -> None:
    with client.transaction():
        client.execute("DELETE FROM a")
        with failing(client):
            client.execute("DELETE FROM b")
        with client.transaction():
            client.execute("DELETE FROM c")
    words = [text.rpartition(" sa_savepoint")[0] or text for text in driver.sent if "@@TRANCOUNT" not in text]
    assert words[:7] == [
        *("DELETE FROM a", "SAVE TRANSACTION", "DELETE FROM b", "ROLLBACK TRANSACTION"),
        *("SAVE TRANSACTION", "DELETE FROM c", "COMMIT"),
    ]


def test_a_transaction_that_fails_is_rolled_back(client: SQLClient, driver: Driver) -> None:
    with failing(client):
        client.execute("DELETE FROM a")
    assert driver.sent[:2] == ["DELETE FROM a", "ROLLBACK"]
    assert "COMMIT" not in driver.sent


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("23000", SqlConstraintError),
        ("40001", TransactionConflictError),
        ("08S01", UnavailableError),
        ("HYT00", UnavailableError),
        ("28000", AccessDeniedError),
        ("42S02", SqlError),
    ],
)
def test_its_failures_go_by_their_sqlstate(
    client: SQLClient, driver: Driver, state: str, kind: type[Exception]
) -> None:
    driver.failure = Error(state, f"[{state}] [Microsoft] duplicate key value is (123-45-6789). (2627)")
    with pytest.raises(kind, match=state) as raised:
        client.execute("INSERT INTO people (ssn) VALUES (:ssn)", {"ssn": "123-45-6789"})
    assert type(raised.value) is kind
    assert "6789" not in str(raised.value)
    assert "hunter2" not in str(raised.value) + repr(client)
