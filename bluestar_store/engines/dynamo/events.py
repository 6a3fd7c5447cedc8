"""The tries of a call, as botocore's events tell of them, and until when a transaction may be sent again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.exceptions as aws
from urllib3.response import BaseHTTPResponse

from bluestar_store.engines.dynamo.direct import RawBody
from bluestar_store.engines.dynamo.translation import frozen_credentials
from bluestar_store.errors import UnavailableError
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


RESEND_SECONDS = 300.0
"""How long after the first try that may have been applied another one is signed.

DynamoDB knows a request token for ten minutes, and takes a request for five after it was signed (AWS limits): one that
is held up after this look at the clock, by the network or in a process that is stopped, comes too late to be taken.
"""


class TooLateError(UnavailableError):
    """Nothing was sent: DynamoDB may have forgotten the token of a try that may have been applied."""

    outcome_unknown = True


class Tries:
    """One transaction's, in one thread. `clock` gives seconds, those included that the process did not run.

    botocore makes several tries of a call and tells of the last one only: a reply that was lost, and then a refusal,
    would look like a refusal.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._since: float | None = None
        self._is_only = False

    @property
    def in_doubt(self) -> bool:
        """Whether a try was sent of which nobody knows that it was not applied."""
        return self._since is not None

    def check(self) -> None:
        """Before a try is signed. Raises TooLateError."""
        if self._since is not None and self.now() - self._since > RESEND_SECONDS:
            raise TooLateError("the process was stopped, or DynamoDB could not be reached, for too long")

    def sent(self) -> None:
        """A try is on its way."""
        self._is_only = self._since is None
        self.doubt(self.now())

    def doubt(self, since: float) -> None:
        """A try of that time may have been applied."""
        if self._since is None:
            self._since = since

    def refused(self) -> None:
        """The last try surely was not applied; that says nothing of those before it."""
        if self._is_only:
            self._since = None


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
    """This thread's: botocore makes all tries of a call in the thread that calls, and tells `before-send` neither the
    call's arguments nor its context.
    """

    is_ours: bool = False
    """Whether a call of `AwsConnection` is under way: the client may be the caller's own."""
    tries: Tries | None = None
    outcome: Any = None
    is_object: bool = True
    """Whether the last response, where it was no error, was a JSON object; botocore takes others for an empty one."""


class CallEvents:
    """Of one client. Safe for threads."""

    def __init__(self) -> None:
        self._call = _Call()
        self._is_answered_here = False

    @contextmanager
    def calling(self, tries: Tries | None, outcome: Any) -> Iterator[_Call]:
        """One call of botocore's; its tries are recorded in `tries`.

        An `outcome`, a response or an error, is what a first try past botocore brought: botocore's own first try is
        answered with it.
        """
        self._call.is_ours, self._call.tries, self._call.outcome, self._call.is_object = True, tries, outcome, True
        try:
            if self._is_answered_here:
                with _IN_PROCESS.lock:
                    yield self._call
            else:
                yield self._call
        finally:
            self._call.is_ours, self._call.tries, self._call.outcome = False, None, None

    def _before_sign(self, request_signer: Any, **_: Any) -> None:
        """Before a try is signed. Raises ConfigurationError for credentials that cannot be had."""
        if self._call.is_ours:
            frozen_credentials(request_signer)
        if self._call.tries is not None:
            self._call.tries.check()

    def _before_send(self, **_: Any) -> Any:
        """Before a try is sent, as it is."""
        outcome, self._call.outcome = self._call.outcome, None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is None and self._call.tries is not None:
            self._call.tries.sent()
        return outcome

    def _after_try(self, response: Any = None, caught_exception: Exception | None = None, **_: Any) -> None:
        """After every try of which botocore could make out anything."""
        if response is None:
            refused = isinstance(caught_exception, NEVER_SENT)
        else:
            http, parsed = response
            code = str(parsed.get("Error", {}).get("Code", ""))
            self._call.is_object = http.status_code >= 300 or _is_object(http.content)
            refused = 400 <= http.status_code < 500 and code not in UNDECIDED
            self._is_answered_here = not isinstance(http.raw, BaseHTTPResponse | RawBody)
        if refused and self._call.tries is not None:
            self._call.tries.refused()

    def register(self, client: Any) -> None:
        """Register for the client's events."""
        for event, handler in self._handlers():
            client.meta.events.register(event, handler)

    def unregister(self, client: Any) -> None:
        """Unregister."""
        for event, handler in self._handlers():
            client.meta.events.unregister(event, handler)

    def _handlers(self) -> Iterator[tuple[str, Callable[..., Any]]]:
        for event, handler in (
            ("before-sign", self._before_sign),
            ("before-send", self._before_send),
            ("needs-retry", self._after_try),
        ):
            yield f"{event}.dynamodb", handler


def _is_object(content: bytes) -> bool:
    """Whether it can be a JSON object: whole, and no page of a proxy's."""
    text = content.strip()
    return text.startswith(b"{") and text.endswith(b"}")
