"""A unit of work: what is written within it, seen by its own reads, and sent as one transaction or not at all."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from typing import TypeAlias, TypeVar

from bluestar_store.engines.memory.staged import StagedEngine
from bluestar_store.errors import BlueStarError, ConflictError, EngineError, InvalidWriteError
from bluestar_store.protocols import AsRead, Check, Engine, Fits, Place, TableSpec, Write

T = TypeVar("T")

ATTEMPTS = 100
"""Tries of a unit whose bookkeeping others keep getting in the way of; every time at least one of them got through."""
LONGEST_PAUSE_SECONDS = 0.5
EXACT_ATTEMPTS = 3
"""Tries that also expect other programs' attributes as they were read. One who keeps changing them stops nobody."""


class Bookkeeping(StagedEngine):
    """What is written within a unit, laid over what is there.

    Who writes through it as through any engine writes what the user asked for.
    """

    def __init__(self, engine: Engine, specs: Iterable[TableSpec], bookkeep: Callable[[Step], None]) -> None:
        super().__init__(engine, specs)
        self._bookkeep = bookkeep
        self.insisted: frozenset[Place] = frozenset()
        """Where a conflict is the user's to hear of."""
        self.again = False
        """Whether the steps are done anew, because of what somebody else wrote: now they look by isolated reads."""
        self.refused: frozenset[Place] = frozenset()
        """What was not as expected when the unit was sent before."""
        self.unsure = False
        """Whether a step looked by a query, which may be behind what is committed."""
        self.looks = False
        """Whether a step looked for what no condition of a write can say: it looks again before the unit is sent."""

    def write(self, *writes: Write) -> None:
        """See `protocols.Engine`: as a step of the unit."""
        self._bookkeep(lambda unit: unit.insist(*writes))

    def keep(self, *writes: Write) -> None:
        """In a step: what follows from what it read, and is made anew when somebody else's write got in between."""
        super().write(*writes)

    def insist(self, *writes: Write) -> None:
        """In a step: what is as it is, whatever somebody else wrote."""
        super().write(*writes)
        self.insisted |= {(write.table, write.key) for write in writes}

    def attempt(self, step: Step) -> None:
        """Do a step, all of it or nothing."""
        before, insisted, self.unsure = self._writes, self.insisted, False
        try:
            step(self)
        except BaseException:
            self._writes, self.insisted = before, insisted
            raise

    def attempt_surely(self, step: Step) -> None:
        """The same; what a step refuses because of what a query showed, it refuses after an isolated read only."""
        try:
            self.attempt(step)
        except BlueStarError as error:
            if not self.unsure or self.again or isinstance(error, EngineError):
                raise
            self.again = True
            try:
                self.attempt(step)
            finally:
                self.again = False


Step: TypeAlias = Callable[[Bookkeeping], None]


class State(Enum):
    """Of a unit: calls may be made in it, it is being sent, it is committed or dropped."""

    OPEN, SENDING, OVER = range(3)


class Transaction:
    """Not sent before `commit`, which is called once. Safe for threads.

    Whoever still is in it when it is sent or over (a task that outlives the block it was started in) is refused: what
    it writes would be lost without a word. So is whoever is in it in a forked child: its copy is never sent.
    """

    def __init__(self, engine: Engine, specs: Iterable[TableSpec]) -> None:
        self._engine, self._specs = engine, tuple(specs)
        self._steps: list[Step] = []
        self._lock = threading.RLock()
        self._bookkeeping = self._anew()
        self._state, self._calls, self._changed = State.OPEN, 0, threading.Condition()
        self._failed: BaseException | None = None
        self._refused: frozenset[Place] = frozenset()
        self._process = os.getpid()

    def _anew(self) -> Bookkeeping:
        return Bookkeeping(self._engine, self._specs, self.bookkeep)

    @property
    def engine(self) -> Bookkeeping:
        """What is read and written through within it. InvalidWriteError when it is over."""
        self.check_process()
        if self._state is State.OVER:
            raise _over()
        return self._bookkeeping

    @property
    def is_parents(self) -> bool:
        """Whether this is a forked child's copy of a unit that its parent began."""
        return self._process != os.getpid()

    def check_process(self) -> None:
        """InvalidWriteError in a forked child. Called before any lock: a thread of the parent may have held it."""
        if self.is_parents:
            raise InvalidWriteError(
                "this unit of work was begun by the process that this one was forked from, which commits it or not: "
                "nothing of it is written here; a forked child begins units of its own"
            )

    def call(self, call: Callable[[], T]) -> T:
        """A call that another thread makes within it: the commit waits for its end, and has all of it or none."""
        self.check_process()
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

    def bookkeep(self, step: Step) -> None:
        """Do what there is to write; done again, with what is there by then, when that changed.

        A step reads, and it `keep`s or `insist`s; it raises what is to be told to the user, and then leaves nothing.
        The steps are done again in their order, so that each sees what those before it left.
        """
        self.check_process()
        with self._lock:
            self._check_open()
            self._check_whole()
            try:
                self._bookkeeping.attempt_surely(step)
            except ConflictError as error:
                place = error.place
                if place is None or not self._is_unread(place):
                    raise
                self._look_again(place)
                self._bookkeeping.attempt_surely(step)
            self._steps.append(step)

    def _is_unread(self, place: Place) -> bool:
        """Whether the unit expects something of an item there without having looked at it."""
        write = self._bookkeeping.writes.get(place)
        return isinstance(write, Check) and isinstance(write.expect, Fits)

    def _look_again(self, place: Place) -> None:
        """Do the steps anew, now that one of them was seen not to find what it expects there."""
        self._refused |= {place}
        try:
            self._again()
        except BaseException as error:
            self.doom(error)
            raise

    def commit(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        """Send it all, at most 100 writes and 4 MB (AWS limits).

        Raises what `Engine.write` raises: a conflict of the user's own writes only.
        """
        self.check_process()
        with self._changed:
            self._changed.wait_for(lambda: not self._calls)
            self._check_open()
            self._check_whole()
            self._state = State.SENDING
        try:
            self._send_until_settled(send)
        finally:
            self._state = State.OVER

    def doom(self, error: BaseException) -> None:
        """A block within it raised this half-way: nothing more is taken, and the commit is refused."""
        self._failed = self._failed or error

    def _check_whole(self) -> None:
        if self._failed is not None:
            raise InvalidWriteError(
                f"a block within this unit of work raised {type(self._failed).__name__} and may have done half of its "
                "work: nothing of the unit is written"
            ) from self._failed

    def drop(self) -> None:
        """Do not send it, unless that has begun."""
        if self.is_parents:
            return
        with self._changed:
            if self._state is State.OPEN:
                self._state = State.OVER

    def _send_until_settled(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        if self._bookkeeping.looks:
            self._again()
        for attempt in range(1, ATTEMPTS + 1):
            with self._lock:  # a step that was begun in time is in it
                unit = self._bookkeeping
            writes = unit.writes
            if not writes:
                return
            if attempt > EXACT_ATTEMPTS:
                writes = {place: _without_others(write) for place, write in writes.items()}
            try:
                send(writes)
                return
            except ConflictError as error:
                if error.place not in writes or error.place in unit.insisted or attempt == ATTEMPTS:
                    raise
                self._refused = self._refused.union(place for place in writes if place == error.place)
            # Full jitter: many who append to one chain at once would otherwise meet again.
            time.sleep(random.uniform(0, min(0.002 * 1.5**attempt, LONGEST_PAUSE_SECONDS)))  # noqa: S311  # no secret
            self._again()

    def _again(self) -> None:
        with self._lock:
            self._bookkeeping = self._anew()
            self._bookkeeping.again, self._bookkeeping.refused = True, self._refused
            for step in self._steps:
                step(self._bookkeeping)


def _without_others(write: Write) -> Write:
    expect = write.expect
    return replace(write, expect=replace(expect, others={})) if isinstance(expect, AsRead) else write


def _over() -> InvalidWriteError:
    return InvalidWriteError(
        "this unit of work is over: what was started within it belongs to it (asyncio.create_task copies the context); "
        "await it before the block ends, or start it outside"
    )
