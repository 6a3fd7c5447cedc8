"""The SQLAlchemy engine behind a SQLClient; imported only when there is one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, CursorResult, Engine, make_url
from sqlalchemy.pool import QueuePool

from bluestar_store.disk import new_mode, open_new
from bluestar_store.errors import ConfigurationError, SqlError
from bluestar_store.persistence.sql_errors import translated
from bluestar_store.persistence.sqlite_values import from_sqlite, to_sqlite
from bluestar_store.redaction.logs import SQL_NAME, hide_data

CONNECT_SECONDS = 5
"""How long to wait for PostgreSQL to take a connection, where the URL says nothing else."""
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
"""What a URL means that names no driver."""
BEGIN = "bluestar_sqlite_begin"
"""The option of a connection that says how SQLite begins."""

T = TypeVar("T")

_parents: list[Connection] = []
"""In a forked child, connections of its parent's: kept, because to close or collect one would end it there, too."""


class Database:
    """One database and its pool of connections. Raises ConfigurationError for a URL that it cannot be opened by."""

    def __init__(self, url: str) -> None:
        try:
            self._url = _parsed(url)
        finally:
            del url  # no traceback shows the password in it
        self.location = self._url.set(query={}).render_as_string(hide_password=True)  # a query may hold passwords too
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = self._made()

    def _made(self) -> Engine:
        hide_data()
        options: dict[str, Any] = {"hide_parameters": True, "pool_pre_ping": True, "logging_name": SQL_NAME}
        if self._url.drivername == "postgresql+psycopg" and "connect_timeout" not in self._url.query:
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
        if self._is_sqlite and _in_memory(self._url):
            # One connection, which holds the database: threads take turns.
            options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_pre_ping": False}
            options["connect_args"] = {"check_same_thread": False}
        try:
            engine = sqlalchemy.create_engine(self._url, **options)
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"{self._url.drivername} needs a driver, whose module {error.name} is not installed; PostgreSQL's: "
                "pip install 'psycopg[binary]'"
            ) from None
        except Exception as error:  # its text may repeat the URL
            raise ConfigurationError(f"{self.location} cannot be opened ({type(error).__name__})") from None
        if self._is_sqlite:
            sqlalchemy.event.listen(engine, "do_connect", _make_private)
            _begin_explicitly(engine)
        return engine

    @contextmanager
    def statement(self) -> Iterator[Block]:
        """A block for one statement, committed at its end."""
        with self._connected({}) as block, block.committed(block.connection.begin):
            yield block

    @contextmanager
    def transaction(self) -> Iterator[Block]:
        """A block that is committed when it ends well, else rolled back.

        SQLite's takes its lock at the beginning: one that reads first and writes then could not have it any more, once
        another has written in between.
        """
        with self._connected({BEGIN: "BEGIN IMMEDIATE"}) as block, block.committed(block.connection.begin):
            yield block

    @contextmanager
    def _connected(self, options: Mapping[str, Any]) -> Iterator[Block]:
        process = os.getpid()
        try:
            connection = self._engine.connect().execution_options(**options)
        except Exception as error:
            raise translated(error, self.location) from None
        try:
            yield Block(connection, self.location, self._is_sqlite)
        finally:
            if process != os.getpid():
                _parents.append(connection)
            else:
                with suppress(Exception):  # what was to be committed has been
                    connection.close()

    def forget(self) -> None:
        """Make connections anew, and leave those that there are as they are."""
        self._engine.dispose(close=False)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


class Block:
    """Statements in one transaction, or in a part of it that can be rolled back by itself."""

    def __init__(self, connection: Connection, location: str, is_sqlite: bool, outer: Block | None = None) -> None:
        self.connection, self._location, self._is_sqlite, self._outer = connection, location, is_sqlite, outer
        self.failed = self.is_over = False
        self._open_inner = 0
        self._process = os.getpid()

    @contextmanager
    def nested(self) -> Iterator[Block]:
        """A block within this one; where it fails, what it did is rolled back, and this one can go on."""
        self._check()
        inner = Block(self.connection, self._location, self._is_sqlite, self)
        self._open_inner += 1
        try:
            with inner.committed(self.connection.begin_nested):
                yield inner
        finally:
            self._open_inner -= 1

    @contextmanager
    def committed(self, begin: Callable[[], Any]) -> Iterator[None]:
        """Begin, and commit at the end of the block; after any failure roll back.

        In a forked child neither: the transaction is its parent's. SqlError there, where the block ended well.
        """
        try:
            transaction = begin()
        except Exception as error:
            raise translated(error, self._location) from None
        try:
            yield
            self._check()
            self._check_inner()
        except BaseException:
            if self._is_parents or (self._outer is not None and self._outer.is_over):
                raise
            try:
                transaction.rollback()
            except Exception:  # the failure that led here is the one to tell
                self._fail_outer()
            raise
        finally:
            self.is_over = True
        try:
            transaction.commit()
        except Exception as error:
            self._fail_outer()
            with suppress(Exception):
                transaction.rollback()
            raise translated(error, self._location) from None

    def _fail_outer(self) -> None:
        if self._outer is not None:
            self._outer.failed = True

    def execute(self, statement: str, sets: Sequence[Mapping[str, Any]]) -> int:
        """How many rows were affected, or given."""

        def count(result: CursorResult[Any]) -> int:
            return len(result.all()) if result.returns_rows else max(result.rowcount, 0)

        return self._run(statement, sets, count)

    def fetch_all(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows, by the names of their columns."""

        def rows(result: CursorResult[Any]) -> list[dict[str, Any]]:
            if not result.returns_rows:
                raise SqlError("the statement gives no rows, and was not carried out: use execute() for it")
            names = list(result.keys())
            if doubled := sorted({name for name in names if names.count(name) > 1}):
                raise SqlError(f"several columns have the name {doubled[0]!r}: give each a name of its own with AS")
            plain = from_sqlite if self._is_sqlite else _as_it_is
            return [{name: plain(value) for name, value in zip(names, row, strict=True)} for row in result.all()]

        return self._run(statement, [parameters], rows)

    def _run(self, statement: str, sets: Sequence[Mapping[str, Any]], take: Callable[[CursorResult[Any]], T]) -> T:
        self._check()
        if self._is_sqlite:
            sets = [{name: to_sqlite(value) for name, value in one.items()} for one in sets]
        given: Any = sets[0] if len(sets) == 1 else sets
        try:
            return take(self.connection.execute(sqlalchemy.text(statement), given))
        except SqlError:
            self.failed = True
            raise
        except Exception as error:
            self.failed = True
            raise translated(error, self._location, sets) from None

    @property
    def _is_parents(self) -> bool:
        return self._process != os.getpid()

    def _check(self) -> None:
        """Some databases refuse what follows a failure, and take a commit for a rollback then; others do not."""
        if self._is_parents:
            raise SqlError(
                "this transaction was begun by the process that this one was forked from, which commits it or not; a "
                "forked child begins transactions of its own"
            )
        if self._outer is not None and self._outer.is_over:
            raise SqlError(
                "the transaction() around this one is over, so this one is rolled back, or was with that one"
            )
        if self.failed:
            raise SqlError(
                "a statement of this transaction failed, so all of it is rolled back; what may fail goes into a "
                "transaction() of its own within it"
            )

    def _check_inner(self) -> None:
        """What a task or a generator has half done is not committed."""
        if self._open_inner:
            raise SqlError(
                "a transaction() within this one is still open, so both are rolled back; end it, or await the task "
                "that it is in, before the block around it ends"
            )


def _parsed(url: object) -> URL:
    if not isinstance(url, str):
        raise ConfigurationError(f"SQLClient takes a URL as text, not {type(url).__name__}")
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # their texts may repeat a password
        parsed = None
    if parsed is None or _is_ambiguous(url, parsed):
        del url
        raise ConfigurationError(
            "the URL of a SQLClient cannot be read; it looks like postgresql://user:password@host/database, with "
            "special characters of user, password and database as %XX: @ is %40"
        )
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def _is_ambiguous(url: str, parsed: URL) -> bool:
    """Whether a second @ leaves open where the password ends: what is behind the first one would be shown as the host.

    A URL that names a file has no user; its path may have any.
    """
    if parsed.host is None and parsed.username is None:
        return False
    rest = url.partition("://")[2]
    before_query = rest[: rest.rfind("?")] if parsed.query else rest
    return before_query.count("@") > 1


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:") or url.query.get("mode") == "memory"


def _make_private(dialect: object, record: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Make the file before SQLite does, which lets everybody read it; its journals have the file's permissions."""
    path = str(arguments[0]) if arguments else ""
    if options.get("uri") and path.startswith("file:"):
        parts = urlsplit(path)
        if parse_qs(parts.query).get("mode", ["rwc"]) != ["rwc"]:
            return
        path = unquote(parts.path)
    if path not in ("", ":memory:"):
        with suppress(OSError):  # it is there, or cannot be made: SQLite itself says so
            real = Path(path).resolve()
            open_new(real, new_mode(real.parent.stat())).close()


def _begin_explicitly(engine: Engine) -> None:
    """Python's sqlite3 begins transactions by itself, but not before all statements: CREATE TABLE, SAVEPOINT."""

    def connected(connection: Any, record: object) -> None:
        connection.isolation_level = None

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))

    sqlalchemy.event.listen(engine, "connect", connected)
    sqlalchemy.event.listen(engine, "begin", begun)


def _as_it_is(value: Any) -> Any:
    return value
