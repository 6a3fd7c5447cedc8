"""A transaction that is applied once, however often it has to be sent until its outcome is known.

This loads tenacity, by `attempts`: import it where something is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import botocore.exceptions as aws
from tenacity import Retrying

from bluestar_store.engines.dynamo.connection import TRANSACTION, AwsConnection
from bluestar_store.engines.dynamo.events import TooLateError, Tries
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    ConflictError,
    EngineError,
    TransactionConflictError,
    UnavailableError,
)
from bluestar_store.protocols import BeforeAttempt
from bluestar_store.retrying import attempts

ASKS = 5
"""Calls about one transaction, each of several tries of botocore's, until its outcome counts as unknown."""


def write_once(
    connection: AwsConnection,
    table: str,
    items: list[dict[str, Any]],
    *,
    retrying: Retrying,
    refusal: Callable[[aws.ClientError], BlueStarError],
    look: Callable[[], bool | None],
    before_attempt: BeforeAttempt | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    """One TransactWriteItems. `retrying` says how often a cancelled one is tried again, after which of the `refusal`s.

    `before_attempt` is called before each call.

    While a try is in doubt, each further one has the same token, so that what was applied is not applied again. What
    was cancelled then proves nothing (the expectation may have been ended by this very write, and by others since), nor
    does a token that is too old: `look` says whether the transaction was written, as far as the items tell (None:
    they do not). Raises what the refusal is; UnavailableError with `outcome_unknown` where nobody knows.
    """
    asking = _Asking(connection, table, items, Tries(clock), sleep, before_attempt)
    try:
        for attempt in retrying:
            with attempt:
                try:
                    asking.ask()
                except aws.ClientError as error:
                    failure = refusal(error)
                    raise failure from (None if isinstance(failure, ConflictError) else error)
    except BlueStarError as error:
        if not asking.in_doubt:
            raise
        written = _outcome_or_none(look)
        if written:
            return
        # Where others were merely in the way, a try that is still on its way may find the way free.
        is_final = isinstance(error, ConflictError) and not isinstance(error, TransactionConflictError)
        if written is False and is_final:
            raise
        raise _unknown(error) from error


class _Asking:
    """Asks for one transaction, until there is an answer that says something."""

    def __init__(
        self,
        connection: AwsConnection,
        table: str,
        items: list[dict[str, Any]],
        tries: Tries,
        sleep: Callable[[float], None],
        before_attempt: BeforeAttempt | None,
    ) -> None:
        self._connection, self._table, self._items, self._tries = connection, table, items, tries
        self._before_attempt = before_attempt
        self._token = ""
        self._attempts = attempts(EngineError, when=_asks_again, most=ASKS, sleep=sleep)

    @property
    def in_doubt(self) -> bool:
        return self._tries.in_doubt

    def ask(self) -> None:
        """Raises botocore's ClientError when the transaction was cancelled."""
        if not self.in_doubt:
            self._token = str(uuid.uuid4())  # DynamoDB may know the one before for one that was cancelled
        self._attempts(self._ask)

    def _ask(self) -> None:
        arguments = {"TransactItems": self._items, "ClientRequestToken": self._token}
        if self._before_attempt is not None:
            self._before_attempt()
        self._tries.check()
        begun = self._tries.now()
        try:
            self._connection.call(TRANSACTION, self._table, tries=self._tries, **arguments)
        except EngineError as error:
            if error.outcome_unknown:
                self._tries.doubt(begun)
            error.outcome_unknown = self.in_doubt
            raise
        except ConfigurationError as error:  # credentials that are gone say nothing of the tries before
            if not self.in_doubt:
                raise
            raise _unknown(error) from error


def _asks_again(error: BaseException) -> bool:
    return isinstance(error, EngineError) and error.outcome_unknown and not isinstance(error, TooLateError)


def _outcome_or_none(look: Callable[[], bool | None]) -> bool | None:
    try:
        return look()
    except BlueStarError:
        return None


def _unknown(error: BlueStarError) -> UnavailableError:
    failure = UnavailableError(
        f"{error.args[0] if isinstance(error, EngineError) else error}; nobody says whether the transaction was "
        "written, and the items do not tell: read before you write it again",
        code=getattr(error, "code", ""),
        request_id=getattr(error, "request_id", ""),
    )
    failure.outcome_unknown = True
    return failure
