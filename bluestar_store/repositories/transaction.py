"""A unit of work: what is written within it, seen by its own reads, and sent as one transaction or not at all."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping

from bluestar_store.engines.folding import folded
from bluestar_store.engines.staged import Place, StagedEngine
from bluestar_store.errors import ConflictError
from bluestar_store.protocols import Engine, TableSpec, Write

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


class Transaction:
    """Not sent before `commit`, which is called once. Safe for threads."""

    def __init__(self, engine: Engine, specs: Iterable[TableSpec]) -> None:
        self._target, self._specs = engine, tuple(specs)
        self._staged = StagedEngine(engine, self._specs)
        self._steps: list[Callable[[Bookkeeping], None]] = []
        self._lock = threading.RLock()
        self.engine = Bookkeeping(self._staged, self._specs)

    def bookkeep(self, step: Callable[[Bookkeeping], None]) -> None:
        """Do what the library has to write besides; done again, with what is there by then, when that changed.

        A step reads and `keep`s; it raises what is to be told to the user.
        """
        with self._lock:
            step(self.engine)
            self._steps.append(step)

    def commit(self, send: Callable[[Mapping[Place, Write]], None]) -> None:
        """Send it all, at most 100 writes and 4 MB (AWS limits).

        Raises what `Engine.write` raises: a conflict of the user's own writes only.
        """
        for attempt in range(1, ATTEMPTS + 1):
            own = self._staged.writes
            kept = self.engine.writes
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
            self.engine = Bookkeeping(self._staged, self._specs)
            for step in self._steps:
                step(self.engine)
