"""A unit of work: its writes are staged, its own reads see them, and they are sent as one transaction or not at all."""

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
from bluestar_store.protocols import AsRead, BeforeAttempt, Check, Engine, Fits, Place, TableSpec, Write

T = TypeVar("T")

ATTEMPTS = 100
"""Maximum tries of a commit whose retryable writes meet others'; for each failed try another writer succeeded."""
LONGEST_PAUSE_SECONDS = 0.5
EXACT_ATTEMPTS = 3
"""Number of first tries that also expect other programs' attributes as they were read; later tries ignore those."""


class StagedWrites(StagedEngine):
    """An engine that stages a unit's writes: its reads see them over the stored items, and nothing is sent.

    A write is retryable (it follows from what its step read, and is made again by that step when somebody else's write
    came in between) or strict (its conflict is raised to the caller). `write`, the engine's own method, is strict.
    """

    def __init__(self, engine: Engine, specs: Iterable[TableSpec], run_step: Callable[[Step], None]) -> None:
        super().__init__(engine, specs)
        self._run_step = run_step
        self.strict: frozenset[Place] = frozenset()
        """Places whose conflicts are raised to the caller."""
        self.is_rerun = False
        """Whether the steps run again after somebody else's write: queries are then checked by isolated reads."""
        self.refused: frozenset[Place] = frozenset()
        """Places whose conditions failed when the unit was sent before."""
        self.may_be_stale = False
        """Whether the step that runs read by a query, which may be behind what is committed."""
        self.rerun_before_commit = False
        """Whether the steps run again before the commit: one of them relies on a read that no condition can repeat."""

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """Stage the writes as strict ones, as a step of the unit. Raises what `protocols.Engine.write` raises."""
        self._run_step(lambda staged: staged.stage_strict(*writes))

    def stage_retryable(self, *writes: Write) -> None:
        """In a step: stage writes that follow from what it read; on a conflict the step runs again."""
        super().write(*writes)

    def stage_strict(self, *writes: Write) -> None:
        """In a step: stage writes whose conflicts go to the caller."""
        super().write(*writes)
        self.strict |= {(write.table, write.key) for write in writes}

    def run(self, step: Step) -> None:
        """Run a step; if it raises, nothing that it staged is left."""
        before, strict, self.may_be_stale = self._writes, self.strict, False
        try:
            step(self)
        except BaseException:
            self._writes, self.strict = before, strict
            raise

    def run_confirmed(self, step: Step) -> None:
        """Run a step; raise an error that rests on a query only if an isolated read confirms it."""
        try:
            self.run(step)
        except BlueStarError as error:
            if not self.may_be_stale or self.is_rerun or isinstance(error, EngineError):
                raise
            self.is_rerun = True
            try:
                self.run(step)
            finally:
                self.is_rerun = False


Step: TypeAlias = Callable[[StagedWrites], None]


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
        self._staged = self._nothing_staged()
        self._state, self._calls, self._changed = State.OPEN, 0, threading.Condition()
        self._failed: BaseException | None = None
        self._open_parts = 0
        self._refused: frozenset[Place] = frozenset()
        self._process = os.getpid()

    def _nothing_staged(self) -> StagedWrites:
        return StagedWrites(self._engine, self._specs, self.run_step)

    @property
    def engine(self) -> StagedWrites:
        """What is read and written through within it. InvalidWriteError when it is over."""
        self.check_process()
        if self._state is State.OVER:
            raise _closed_error()
        return self._staged

    @property
    def is_of_parent_process(self) -> bool:
        """Whether this is a forked child's copy of a unit that its parent began."""
        return self._process != os.getpid()

    def check_process(self) -> None:
        """InvalidWriteError in a forked child. Called before any lock: a thread of the parent may have held it."""
        if self.is_of_parent_process:
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
            raise _closed_error()

    def run_step(self, step: Step) -> None:
        """Run a step: it reads, and stages writes. Raises what the step raises, which then has staged nothing.

        When a retryable write of the unit meets another writer's, all its steps run again, in their order, so that
        each sees what those before it staged.
        """
        self.check_process()
        with self._lock:
            self._check_open()
            self._check_whole()
            try:
                self._staged.run_confirmed(step)
            except ConflictError as error:
                place = error.place
                if place is None or not self._is_unread(place):
                    raise
                self._rerun_refused(place)
                self._staged.run_confirmed(step)
            self._steps.append(step)

    def _is_unread(self, place: Place) -> bool:
        """Whether the unit expects something of an item there without having read it."""
        write = self._staged.writes.get(place)
        return isinstance(write, Check) and isinstance(write.expect, Fits)

    def _rerun_refused(self, place: Place) -> None:
        """Run the steps again, after one of them did not find what it expects there."""
        self._refused |= {place}
        try:
            self._rerun()
        except BaseException as error:
            self.mark_failed(error)
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
            if self._open_parts:
                raise InvalidWriteError(
                    "a block within this unit of work is still open and may have done half of its work: nothing of the "
                    "unit is written; await the task that it is in, or end it, before the block around it ends"
                )
            self._state = State.SENDING
        try:
            self._send_until_applied(send)
        finally:
            self._state = State.OVER

    def begin_part(self) -> None:
        """A block within it begins: until `end_part` it is not committed. InvalidWriteError when it is over."""
        self.check_process()
        with self._changed:
            self._check_open()
            self._open_parts += 1

    def end_part(self, error: BaseException | None) -> None:
        """A block within it has ended, or raised this half-way: then further steps and the commit are refused.

        Raises InvalidWriteError when the block ended well, but the unit was over before it.
        """
        with self._changed:
            self._open_parts -= 1
        if error is not None:
            self.mark_failed(error)
        else:
            self._check_open()

    def mark_failed(self, error: BaseException) -> None:
        """A nested block raised this half-way: further steps and the commit raise InvalidWriteError."""
        self._failed = self._failed or error

    def _check_whole(self) -> None:
        if self._failed is not None:
            raise InvalidWriteError(
                f"a block within this unit of work raised {type(self._failed).__name__} and may have done half of its "
                "work: nothing of the unit is written"
            ) from self._failed

    def drop(self) -> None:
        """End it without sending anything, unless sending has begun."""
        if self.is_of_parent_process:
            return
        with self._changed:
            if self._state is State.OPEN:
                self._state = State.OVER

    def _send_until_applied(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        if self._staged.rerun_before_commit:
            self._rerun()
        for attempt in range(1, ATTEMPTS + 1):
            with self._lock:  # a step that was begun in time is in it
                staged = self._staged
            writes = staged.writes
            if not writes:
                return
            if attempt > EXACT_ATTEMPTS:
                writes = {place: _without_others(write) for place, write in writes.items()}
            try:
                send(writes)
                return
            except ConflictError as error:
                if error.place not in writes or error.place in staged.strict or attempt == ATTEMPTS:
                    raise
                self._refused = self._refused.union(place for place in writes if place == error.place)
            # Full jitter: many who append to one chain at once would otherwise meet again.
            time.sleep(random.uniform(0, min(0.002 * 1.5**attempt, LONGEST_PAUSE_SECONDS)))  # noqa: S311  # no secret
            self._rerun()

    def _rerun(self) -> None:
        with self._lock:
            self._staged = self._nothing_staged()
            self._staged.is_rerun, self._staged.refused = True, self._refused
            for step in self._steps:
                step(self._staged)


def _without_others(write: Write) -> Write:
    expect = write.expect
    return replace(write, expect=replace(expect, others={})) if isinstance(expect, AsRead) else write


def _closed_error() -> InvalidWriteError:
    return InvalidWriteError(
        "this unit of work is over: what was started within it belongs to it (asyncio.create_task copies the context); "
        "await it before the block ends, or start it outside"
    )
