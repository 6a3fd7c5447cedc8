"""Translates the errors of SQLAlchemy and the drivers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import exc

from bluestar_store.errors import (
    AccessDeniedError,
    BlueStarError,
    EngineError,
    SqlConstraintError,
    SqlError,
    TransactionConflictError,
    UnavailableError,
)

BY_CODE: tuple[tuple[str, type[EngineError]], ...] = (
    ("08", UnavailableError),  # connection exception
    ("23", SqlConstraintError),
    ("28", AccessDeniedError),  # invalid authorization
    ("42501", AccessDeniedError),  # insufficient privilege
    ("53", UnavailableError),  # out of connections, memory or space
    ("55P03", UnavailableError),  # a lock that was not to be had in time
    ("57", UnavailableError),  # shut down, or cancelled for its time
    ("HYT", UnavailableError),  # ODBC: no answer in time
    ("IM", UnavailableError),  # ODBC: no such driver, or data source
    ("SQLITE_BUSY", UnavailableError),
    ("SQLITE_CANTOPEN", UnavailableError),
    ("SQLITE_CONSTRAINT", SqlConstraintError),
    ("SQLITE_FULL", UnavailableError),
    ("SQLITE_IOERR", UnavailableError),
    ("SQLITE_LOCKED", UnavailableError),
    ("SQLITE_READONLY", AccessDeniedError),
)
"""By how the SQLSTATE, or SQLite's name of the error, begins. Any other is a SqlError."""

TELLING = (
    *("no such ", "near ", "UNIQUE ", "NOT NULL ", "FOREIGN KEY ", "CHECK ", "table ", "incomplete input"),
    *("Error binding ", "cannot adapt type "),
)
"""How messages of SQLite and of drivers begin that name parts of the statement, or types, and no values."""


def translated(error: Exception, location: str, sets: Sequence[Mapping[str, Any]] = ()) -> BlueStarError:
    """The library's error, with those parts of the driver's text that can contain no parameter and no password."""
    cause: Any = getattr(error, "orig", None) or error
    code = _code(cause)
    reason = _reason(cause, code, sets) or type(cause).__name__
    text = f"{location}: {reason}"
    if code.startswith("40"):  # serialization failure, deadlock
        return TransactionConflictError(f"{text} ({code}); nothing was written: do it again from its beginning")
    if not code and _is_connection(error):
        return UnavailableError(f"{location}: cannot be reached, broke off, or refuses the login ({reason})")
    kind = next((found for start, found in BY_CODE if code.startswith(start)), SqlError)
    return kind(text, code=code)


def _code(cause: Any) -> str:
    """The SQLSTATE; SQLite's name of the error; else nothing."""
    named = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    if named:
        return str(named)
    first = cause.args[0] if getattr(cause, "args", ()) else None  # of ODBC
    return first if isinstance(first, str) and re.fullmatch(r"[0-9A-Z]{5}", first) else ""


def _is_connection(error: Exception) -> bool:
    """Whether the database was not reached at all: drivers have no code for that."""
    return (
        isinstance(error, exc.TimeoutError | exc.OperationalError | exc.InterfaceError)
        or getattr(error, "connection_invalidated", False) is True
    )


def _reason(cause: Any, code: str, sets: Sequence[Mapping[str, Any]]) -> str:
    """What went wrong, without a value; empty where that cannot be told apart."""
    about = getattr(cause, "diag", None)
    if isinstance(cause, exc.InvalidRequestError):  # of a parameter that is missing, by its name
        text = str(cause.args[0])
    elif about is not None and code.startswith("23"):
        parts = {"constraint": about.constraint_name, "table": about.table_name, "column": about.column_name}
        text = f"refused: {', '.join(f'{name} {value!r}' for name, value in parts.items() if value)}"
    elif about is not None and code.startswith("42"):  # syntax, and names that there are not
        text = str(about.message_primary)
    elif str(cause).startswith(TELLING):
        text = str(cause)
    else:
        return ""
    values = (str(value).casefold() for one in sets for value in one.values())
    return "" if any(len(value) > 2 and value in text.casefold() for value in values) else text
