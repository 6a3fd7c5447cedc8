"""Flights: one load of a unit at a time in this process, and the ticket that lets its value into the cache."""

from __future__ import annotations

import threading
from typing import Any

from bluestar_store.protocols import MISSING


class Flight:
    """One load under way. Whoever boarded it first leads; the others wait for its value or its error.

    Made for every load, so without anything that only those need who wait.
    """

    value: Any = MISSING
    error: Exception | None = None
    successor: Flight | None = None
    """The flight that took its place, because its leader was interrupted or not heard of."""
    under_way: threading.Lock | None = None
    """Held until it lands; None as long as nobody waits."""

    def awaited(self) -> Flight:
        """This flight, for somebody who will wait for it: called before it is taken away, so before it can land."""
        if self.under_way is None:
            self.under_way = threading.Lock()  # an Event takes twenty times as long to make
            self.under_way.acquire()
        return self

    def land(self, value: Any) -> None:
        """Give the value to those who wait."""
        self.value = value
        self.turn_back()

    def fail(self, error: BaseException) -> None:
        """Give the error to those who wait; a leader that was interrupted leaves the load to one of them."""
        if isinstance(error, Exception):
            self.error = error
        self.turn_back()

    def turn_back(self) -> None:
        """The leader needs no value any more; whoever waits leads."""
        if self.under_way is not None:
            self.under_way.release()

    def wait(self, timeout_seconds: float) -> Any:
        """The value; MISSING when the leader was interrupted or takes too long. Raises what the load raised."""
        if self.under_way is not None and self.under_way.acquire(timeout=timeout_seconds):
            self.under_way.release()  # for the next one who waits
        if self.error is not None:
            raise self.error
        return self.value
