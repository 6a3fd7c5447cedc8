"""A unit of work: what is written within it, seen by its own reads, and sent as one transaction or not at all."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeVar

from bluestar_store.engines.folding import folded
from bluestar_store.engines.staged import Place, StagedEngine
from bluestar_store.errors import ConflictError, InvalidWriteError
from bluestar_store.protocols import Engine, TableSpec, Write

T = TypeVar("T")

ATTEMPTS = 100
"""Tries of a unit whose bookkeeping others keep getting in the way of; every time at least one of them got through."""
LONGEST_PAUSE_SECONDS = 0.5


class Bookkeeping(StagedEngine):
    """The library's own writes, over those that its user asked for: heads of chains, counts of holds, claims checked.

    Who writes through it as through any engine writes what the user asked for.
    """

    def write(self, *writes: Write) -> None:
        """See `protocols.Engine`: into the unit."""
        self._engine.write(*writes)

    def keep(self, *writes: Write) -> None:
        """Of the library's own: made anew when somebody else's write got in between."""
        super().write(*writes)


class State(Enum):
    """Of a unit: calls may be made in it, it is being sent, it is committed or dropped."""

    OPEN, SENDING, OVER = range(3)


class Transaction:
    """Not sent before `commit`, which is called once. Safe for threads.

    Whoever still is in it when it is sent or over (a task that outlives the block it was started in) is refused: what
    it writes would be lost without a word.
    """

    def __init__(self, engine: Engine, specs: Iterable[TableSpec]) -> None:
        self._specs = tuple(specs)
        self._staged = StagedEngine(engine, self._specs)
        self._steps: list[Callable[[Bookkeeping], None]] = []
        self._lock = threading.RLock()
        self._bookkeeping = Bookkeeping(self._staged, self._specs)
        self._state, self._calls, self._changed = State.OPEN, 0, threading.Condition()

    @property
    def engine(self) -> Bookkeeping:
        """What is read and written through within it. InvalidWriteError when it is over."""
        if self._state is State.OVER:
            raise _over()
        return self._bookkeeping

    def call(self, call: Callable[[], T]) -> T:
        """A call that another thread makes within it: the commit waits for its end, and has all of it or none."""
        with self._changed:
            self._check_open()
            self._calls += 1
        try:
            return call()
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._state is not State.OPEN:
            raise _over()

    def bookkeep(self, step: Callable[[Bookkeeping], None]) -> None:
        """Do what the library has to write besides; done again, with what is there by then, when that changed.

        A step reads and `keep`s; it raises what is to be told to the user.
        """
        with self._lock:
            self._check_open()
            step(self.engine)
            self._steps.append(step)

    def commit(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        """Send it all, at most 100 writes and 4 MB (AWS limits).

        Raises what `Engine.write` raises: a conflict of the user's own writes only.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._calls)
            self._check_open()
            self._state = State.SENDING
            self._staged.seal()
        try:
            self._send_until_settled(send)
        finally:
            self._state = State.OVER

    def drop(self) -> None:
        """Do not send it, unless that has begun."""
        with self._changed:
            if self._state is State.OPEN:
                self._state = State.OVER

    def _send_until_settled(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            own = self._staged.writes
            with self._lock:  # a step that was begun in time is in it
                kept = self._bookkeeping.writes
            writes = dict(own)
            for place, write in kept.items():
                writes[place] = folded(own[place], write) if place in own else write
            if not writes:
                return
            try:
                send(writes)
                return
            except ConflictError as error:
                if error.place not in kept or error.place in own or attempt == ATTEMPTS:
                    raise
            # Full jitter: many who append to one chain at once would otherwise meet again.
            time.sleep(random.uniform(0, min(0.002 * 1.5**attempt, LONGEST_PAUSE_SECONDS)))  # noqa: S311  # no secret
            self._again()

    def _again(self) -> None:
        with self._lock:
            self._bookkeeping = Bookkeeping(self._staged, self._specs)
            for step in self._steps:
                step(self._bookkeeping)


def _over() -> InvalidWriteError:
    return InvalidWriteError(
        "this unit of work is over: what was started within it belongs to it (asyncio.create_task copies the context); "
        "await it before the block ends, or start it outside"
    )
