"""Flights: one load of a unit at a time in this process, and the ticket that lets its value into the cache."""

from __future__ import annotations

import threading
from typing import Any

from bluestar_store.protocols import MISSING


class Flight:
    """One load under way. Whoever boarded it first leads; the others wait for its value or its error."""

    __slots__ = ("_landed", "error", "value")

    def __init__(self) -> None:
        self._landed = threading.Event()
        self.value: Any = MISSING
        self.error: Exception | None = None

    def land(self, value: Any) -> None:
        """Give the value to those who wait."""
        self.value = value
        self._landed.set()

    def fail(self, error: BaseException) -> None:
        """Give the error to those who wait; a leader that was interrupted leaves the load to one of them."""
        if isinstance(error, Exception):
            self.error = error
        self._landed.set()

    def wait(self, timeout_seconds: float) -> Any:
        """The value; MISSING when the leader was interrupted or takes too long. Raises what the load raised."""
        self._landed.wait(timeout_seconds)
        if self.error is not None:
            raise self.error
        return self.value
