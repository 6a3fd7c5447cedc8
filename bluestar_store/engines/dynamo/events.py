"""What botocore's events tell of the call that a thread is in, and what they are answered with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as aws
from urllib3.response import BaseHTTPResponse

from bluestar_store.engines.dynamo.direct import RawBody
from bluestar_store.engines.dynamo.tries import Tries
from bluestar_store.forking import remember

NEVER_SENT = (
    aws.ConnectTimeoutError,
    aws.EndpointConnectionError,
    aws.ProxyConnectionError,
    aws.SSLError,
)
"""What botocore raises before DynamoDB has anything of a call."""
UNDECIDED = ("TransactionInProgressException",)
"""Errors that say nothing of whether the transaction was or will be applied."""


class _InProcess:
    """One call at a time of those that are answered in this process.

    moto breaks when a call changes its tables while another one copies them for a transaction.
    """

    def __init__(self) -> None:
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: the lock may be held by a thread of its parent's."""
        self.lock = threading.RLock()


_IN_PROCESS = _InProcess()


class _Call(threading.local):
    """This thread's."""

    tries: Tries | None = None
    outcome: Any = None


class CallEvents:
    """Of one client. Safe for threads."""

    def __init__(self) -> None:
        self._call = _Call()
        self._is_answered_here = False

    @contextmanager
    def calling(self, tries: Tries | None, outcome: Any) -> Iterator[None]:
        """One call of botocore's, whose tries are told to `tries`.

        An `outcome`, a response or an error, is what a first try past botocore brought: botocore's own first try is
        answered with it.
        """
        self._call.tries, self._call.outcome = tries, outcome
        try:
            if self._is_answered_here:
                with _IN_PROCESS.lock:
                    yield
            else:
                yield
        finally:
            self._call.tries = self._call.outcome = None

    def _signing(self, **_: Any) -> None:
        """Before a try is signed."""
        if self._call.tries is not None:
            self._call.tries.check()

    def _sending(self, **_: Any) -> Any:
        """Before a try is sent, as it is."""
        outcome, self._call.outcome = self._call.outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None and self._call.tries is not None:
            self._call.tries.sent()
        return outcome

    def _heard(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        """After every try of which botocore could make out anything."""
        if response is None:
            refused = isinstance(caught_exception, NEVER_SENT)
        else:
            http, parsed = response
            code = str(parsed.get("Error", {}).get("Code", ""))
            refused = 400 <= http.status_code < 500 and code not in UNDECIDED
            self._is_answered_here = not isinstance(http.raw, BaseHTTPResponse | RawBody)
        if refused and self._call.tries is not None:
            self._call.tries.refused()

    def follow(self, client: Any) -> None:
        """Be told of the client's calls."""
        for event, hear in self._heard_of():
            client.meta.events.register(event, hear)

    def leave(self, client: Any) -> None:
        """Not any more."""
        for event, hear in self._heard_of():
            client.meta.events.unregister(event, hear)

    def _heard_of(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        for event, hear in (
            ("before-sign", self._signing),
            ("before-send", self._sending),
            ("needs-retry", self._heard),
        ):
            yield f"{event}.dynamodb", hear
