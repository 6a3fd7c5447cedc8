"""What is known of the tries of one transaction, and until when it may be sent again."""

from __future__ import annotations

from collections.abc import Callable

from bluestar_store.errors import UnavailableError

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
