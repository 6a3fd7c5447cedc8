"""SQL databases, by SQLAlchemy (extra `sql`): statements as text, parameters only ever bound."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from bluestar_store import forking
from bluestar_store.errors import ConfigurationError, SqlError
from bluestar_store.redaction.tracebacks import without_locals

if TYPE_CHECKING:
    from bluestar_store.persistence.sql_engine import Block

_blocks: ContextVar[tuple[_Running, ...]] = ContextVar("bluestar_store_sql_transactions", default=())
"""The transactions that are open here, of every client; the innermost last."""


@without_locals
class SQLClient:
    """See `ISQLClient`. Safe to share between threads; nothing is sent before the first call.

    `url` is SQLAlchemy's: `postgresql://user:password@host/database`, `sqlite:///folder/file.db`, `sqlite://` (in
    memory, and gone with the client), `mssql+pyodbc://...`. Raises ConfigurationError for one that cannot be read, and
    where SQLAlchemy or the database's driver is not installed.

    Failures are SqlError, SqlConstraintError, UnavailableError, AccessDeniedError or TransactionConflictError. They
    name the SQLSTATE, and neither a password nor a parameter.
    """

    def __init__(self, url: str) -> None:
        try:
            from bluestar_store.persistence import sql_engine
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != "sqlalchemy":
                raise
            raise ConfigurationError("SQLClient needs SQLAlchemy: pip install 'bluestar-store[sql]'") from None
        try:
            self._database = sql_engine.Database(url)
        finally:
            del url  # no traceback shows the password in it
        forking.remember(self)

    def execute(self, statement: str, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None) -> int:
        """See `ISQLClient`."""
        checked, sets = _statement(statement), _parameter_sets(parameters)
        if not sets:
            return 0
        with self._block() as block:
            return block.execute(checked, sets)

    def fetch_all(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """See `ISQLClient`."""
        checked = _statement(statement)
        if parameters is not None and not isinstance(parameters, Mapping):
            raise SqlError(f"fetch_all takes its parameters as one mapping by name, not as {_kind(parameters)}")
        with self._block() as block:
            return block.fetch_all(checked, *_parameter_sets(parameters))

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """See `ISQLClient`. Gives the client itself.

        A transaction belongs to the thread that began it, in asyncio to the task and to those begun within the block:
        what others do with the client is none of it.
        """
        outer = self._current()
        with self._database.transaction() if outer is None else outer.nested() as block:
            running = _Running(self, block)
            _blocks.set((*_blocks.get(), running))
            try:
                yield self
                if running not in _blocks.get():
                    raise SqlError(
                        "this transaction() was entered in another context (contextvars) than it is left in, so what "
                        "was done in between may lie outside of it: it is rolled back; enter and leave it in one "
                        "function"
                    )
            finally:
                running.block = None  # for tasks begun within, which have a copy of the context
                _blocks.set(tuple(other for other in _blocks.get() if other is not running))

    @contextmanager
    def _block(self) -> Iterator[Block]:
        """The transaction that is open here, else one for a single statement."""
        block = self._current()
        if block is not None:
            yield block
        else:
            with self._database.statement() as block:
                yield block

    def _current(self) -> Block | None:
        here = (running for running in reversed(_blocks.get()) if running.owner == (self, *_place()))
        return next((running.block for running in here if running.block is not None), None)

    def forked(self) -> None:
        """In a forked child: leave the parent's connections to the parent."""
        self._database.forget()

    def close(self) -> None:
        """Close the connections; the next call makes new ones."""
        with suppress(Exception):  # a connection that cannot even be closed is gone as well
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SQLClient({self._database.location})"


class _Running:
    """A transaction, and whose it is; `block` is None when it is over."""

    def __init__(self, client: SQLClient, block: Block) -> None:
        self.owner = (client, *_place())
        self.block: Block | None = block


def _place() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _statement(statement: object) -> str:
    if not isinstance(statement, str):
        raise SqlError(f"a statement is text with :name for each parameter, not {_kind(statement)}")
    if "\0" in statement:  # PostgreSQL would carry out what stands before it
        raise SqlError("a statement has no NUL in it")
    return statement


def _parameter_sets(parameters: object) -> list[Mapping[str, Any]]:
    """One mapping for each time that the statement is to run."""
    if parameters is None:
        return [{}]
    sets = [parameters] if isinstance(parameters, Mapping) else parameters
    if isinstance(sets, str | bytes) or not isinstance(sets, Sequence):
        raise SqlError(f"parameters are a mapping by name, or a sequence of mappings, not {_kind(parameters)}")
    for one in sets:
        if not isinstance(one, Mapping):
            raise SqlError(f"parameters are a mapping by name, or a sequence of mappings, not one of {_kind(one)}")
        if not all(isinstance(name, str) for name in one):
            raise SqlError("parameters are named by text: write :name in the statement, and its value under 'name'")
    return list(sets)


def _kind(thing: object) -> str:
    return type(thing).__name__
