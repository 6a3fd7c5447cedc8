"""Combines writes of many threads to one contended item: one thread writes for all that wait.

What would be one contended transaction for each is one transaction for all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from bluestar_store.errors import InvalidEntityError, InvalidWriteError, ItemTooLargeError, UnavailableError
from bluestar_store.forking import remember

V = TypeVar("V")

REFUSALS = (InvalidEntityError, InvalidWriteError, ItemTooLargeError)
"""Nothing of what was to be written was, and a part of it alone may be."""


class _TakeOver(Exception):
    """Whoever wrote was interrupted before it came to this value."""


class Combiner(Generic[V]):
    """Safe for threads and for fork."""

    def __init__(self, write: Callable[[Sequence[V]], None], most: int) -> None:
        """`write` is given at most so many values of one place, in the order in which they came."""
        self._write, self._most = write, most
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: those who wait are the parent's."""
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[tuple[V, Future[None]]]] = {}

    def submit(self, place: Hashable, value: V) -> None:
        """Returns when the value is written. Raises what writing it raised, alone or with others."""
        while True:
            mine: Future[None] = Future()
            with self._lock:
                leads = place not in self._waiting
                self._waiting.setdefault(place, []).append((value, mine))
            if leads:
                self._lead(place)
            try:
                mine.result()
                return
            except _TakeOver:
                continue

    def _lead(self, place: Hashable) -> None:
        """Write until nothing is left that came meanwhile."""
        taken: list[tuple[V, Future[None]]] = []
        try:
            while taken := self._take(place):
                self._settle(taken)
        except BaseException:  # interrupted: what was being written may be written, the rest is not
            with self._lock:
                left = self._waiting.pop(place, [])
            told = UnavailableError("the thread that wrote was interrupted; the outcome is unknown")
            told.outcome_unknown = True
            for _, future in taken:
                if not future.done():
                    future.set_exception(told)
            for _, future in left:
                future.set_exception(_TakeOver())
            raise

    def _settle(self, taken: list[tuple[V, Future[None]]]) -> None:
        try:
            self._write([value for value, _ in taken])
        except Exception as error:
            if len(taken) > 1 and isinstance(error, REFUSALS):  # one of them is wrong, or they are too much together
                for one in taken:
                    self._settle([one])
                return
            for _, future in taken:
                future.set_exception(error)
        else:
            for _, future in taken:
                future.set_result(None)

    def _take(self, place: Hashable) -> list[tuple[V, Future[None]]]:
        """The next values; when there are none, the place is free for another leader."""
        with self._lock:
            waiting = self._waiting[place]
            taken, self._waiting[place] = waiting[: self._most], waiting[self._most :]
            if not taken:
                del self._waiting[place]
            return taken
