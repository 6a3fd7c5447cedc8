"""Flights: one load of a unit at a time in this process, and the ticket that lets its value into the cache."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from bluestar_store.errors import BlueStarError

if TYPE_CHECKING:
    from bluestar_store.cache.local import Loaded

E = TypeVar("E", bound=Exception)


class Flight:
    """One load under way. Whoever boarded it first leads; the others wait for its value or its error.

    Made for every load, so without anything that only those need who wait.
    """

    landed: Loaded | None = None
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

    def land(self, loaded: Loaded) -> None:
        """Give the value to those who wait."""
        self.landed = loaded
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

    def wait(self, timeout_seconds: float) -> Loaded | None:
        """What was loaded; None when the leader was interrupted or takes too long. Raises what the load raised."""
        if self.under_way is not None and self.under_way.acquire(timeout=timeout_seconds):
            self.under_way.release()  # for the next one who waits
        if self.error is not None:
            raise own(self.error)
        if self.landed is not None and isinstance(self.landed.value, BlueStarError):
            return self.landed.instead(own(self.landed.value))
        return self.landed


def own(error: E) -> E:
    """The same error as an object of one's own, with the place where it was raised first.

    One object raised in many threads would gather the traceback of each, and what one of them notes on it all would
    read. Not made by its class's `__init__`, which may ask for other things than `args`.
    """
    one = type(error).__new__(type(error), *error.args)
    one.args = error.args
    one.__dict__.update(error.__dict__)
    if hasattr(error, "__notes__"):
        one.__notes__ = list(error.__notes__)
    one.__cause__, one.__context__ = error.__cause__, error.__context__
    one.__suppress_context__ = error.__suppress_context__
    return one.with_traceback(error.__traceback__)
