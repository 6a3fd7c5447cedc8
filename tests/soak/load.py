"""Threads that read and one that writes, each noting what it did and when; times are of the monotonic clock.

All processes of a machine share that clock, so what one noted can be held against what another one wrote.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from bluestar_store import Store
from tests.cache.stores import rule
from tests.histories.record import Operation, Outcome

OWN_PLANS = tuple(f"P{number}" for number in range(8))
"""Plans with a rule of their own."""
PLANS = (*OWN_PLANS, "NEWCO", "OTHERCO", "THIRDCO", "GLOBAL")
"""The plans that are read: what has no rule of its own is given GLOBAL's."""
SUBJECTS = (*OWN_PLANS, "GLOBAL")
"""The plans whose rule is written."""
FEW, MANY = 8, 100_000
"""Room in the first tier for 12 units. With little of it most reads ask Redis; with much, entries outlive outages."""
FRESH = 0.02
READ_PAUSE_SECONDS = 0.002
WRITE_PAUSE_SECONDS = 0.02

#: Begin, end, the number of the plan in PLANS, whether it was fresh, and the version that was found.
Read: TypeAlias = tuple[float, float, int, bool, int]
#: Begin, end, the plan, and the version that was written.
Write: TypeAlias = tuple[float, float, str, int]


def subject_of(read: Read) -> str:
    """Whose rule a read was given."""
    plan = PLANS[read[2]]
    return plan if plan in OWN_PLANS else "GLOBAL"


def operations(process: str, threads: Iterable[Iterable[Read]], writes: Iterable[Write]) -> list[Operation]:
    """What a process did, as a history: `read` gives a version and `write` writes one."""
    ok = Outcome.OK
    return [
        *(
            Operation(f"{process}/{number}", "read", subject_of(read), PLANS[read[2]], read[0], read[1], ok, read[4])
            for number, reads in enumerate(threads)
            for read in reads
        ),
        *(
            Operation(f"{process}/writer", "write", plan, version, begin, end, ok, version)
            for begin, end, plan, version in writes
        ),
    ]


class Load:
    """So many reader threads and, with `first_version`, a writer. `failures` are texts; `reads` has a list a thread.

    `fresh` is the share of reads that go past the cache.
    """

    def __init__(
        self, store: Store, *, readers: int, seed: int, first_version: int | None = None, fresh: float = FRESH
    ) -> None:
        self.reads: list[list[Read]] = [[] for _ in range(readers)]
        self.writes: list[Write] = []
        self.failures: list[str] = []
        self._store, self._fresh = store, fresh
        self._ending = threading.Event()
        self._writing_ends = threading.Event()
        self._writing = threading.Lock()
        self._threads = [
            threading.Thread(target=self._guarded, args=(self._read, random.Random(seed + number), number), daemon=True)
            for number in range(readers)
        ]
        self._writer: threading.Thread | None = None
        if first_version is not None:
            arguments = (self._write, random.Random(seed - 1), first_version)
            self._writer = threading.Thread(target=self._guarded, args=arguments, daemon=True)

    def start(self) -> None:
        """Begin."""
        for thread in [*self._threads, *([] if self._writer is None else [self._writer])]:
            thread.start()

    @contextmanager
    def without_writes(self) -> Iterator[None]:
        """Nothing is written in the block; the last `put` has returned when it begins."""
        with self._writing:
            yield

    def end_writing(self) -> None:
        """Write no more; comes back when the last write is done."""
        self._writing_ends.set()
        if self._writer is not None:
            _join(self._writer)

    def end(self) -> None:
        """Come back when all threads have ended."""
        self._ending.set()
        self.end_writing()
        for thread in self._threads:
            _join(thread)

    def _guarded(self, work: Callable[[random.Random, int], None], chance: random.Random, number: int) -> None:
        try:
            work(chance, number)
        except BaseException:
            self.failures.append(f"a thread died: {traceback.format_exc()}")
            raise

    def _read(self, chance: random.Random, number: int) -> None:
        rules, reads = self._store.calculation_rules, self.reads[number]
        while not self._ending.is_set():
            place, fresh = chance.randrange(len(PLANS)), chance.random() < self._fresh
            begin = time.monotonic()
            try:
                found = rules.get(PLANS[place], "match", fresh=fresh).max_pct
            except Exception:  # whatever it is, a read must not fail
                self.failures.append(f"{begin}: read of {PLANS[place]}: {traceback.format_exc()}")
            else:
                reads.append((begin, time.monotonic(), place, fresh, -1 if found is None else int(found)))
            time.sleep(chance.random() * READ_PAUSE_SECONDS)

    def _write(self, chance: random.Random, version: int) -> None:
        while not self._writing_ends.is_set():
            plan = chance.choice(SUBJECTS)
            with self._writing:
                begin = time.monotonic()
                try:
                    self._store.calculation_rules.put(rule(plan, version))
                except Exception:
                    self.failures.append(f"{begin}: write of {plan}: {traceback.format_exc()}")
                else:
                    self.writes.append((begin, time.monotonic(), plan, version))
            version += 1
            time.sleep(chance.random() * WRITE_PAUSE_SECONDS)


def write_all(store: Store) -> list[Write]:
    """The first version of everything."""
    writes: list[Write] = []
    for version, plan in enumerate(SUBJECTS, 1):
        begin = time.monotonic()
        store.calculation_rules.put(rule(plan, version))
        writes.append((begin, time.monotonic(), plan, version))
    return writes


def _join(thread: threading.Thread) -> None:
    thread.join(60)
    if thread.is_alive():
        raise AssertionError("a thread of the load hangs")
