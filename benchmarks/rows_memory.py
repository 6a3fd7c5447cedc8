"""What a cached entry takes: the growth of a process of its own, beside the estimate that bounds the first tier."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.bench import Bench
from benchmarks.data import MATCH
from benchmarks.made_engine import FREQ, made_store, plans
from benchmarks.measure import WrongAnswerError
from benchmarks.processes import heard, partner
from benchmarks.report import Line
from benchmarks.resident import resident_bytes

STEPS = 26
WARM = 200
"""Entries read before the measurement: what is made once, not for each of them, is made then."""


@dataclass(frozen=True)
class Weight:
    """Bytes an entry."""

    grown: float
    estimated: float


def rows(bench: Bench) -> Iterator[Line]:
    """Single rules, then whole pipelines: by the system's count, then by Python's own.

    No time is measured: both processes run at once.
    """
    for work, steps, count in (("rule", 0, bench.rounds(100_000)), (f"pipeline of {STEPS}", STEPS, bench.rounds(4000))):
        with ThreadPoolExecutor(2) as pool:
            by_system, by_python = pool.map(_weighed, (steps, steps), (count, count // 10), (False, True))
        work = f"bytes an entry, {work}"
        yield Line(work, "CacheStats.bytes, the estimate", "bytes", by_system.estimated)
        for name, weight in ((f"RSS, {count:,} entries", by_system), (f"tracemalloc, {count // 10:,}", by_python)):
            yield Line(work, name, "bytes", weight.grown, ratio=weight.estimated / weight.grown)


def _weighed(steps: int, count: int, traced: bool) -> Weight:
    with partner(weigh, steps, count, traced) as connection:
        weight: Weight = heard(connection)
    return weight


def weigh(connection: Connection, steps: int, count: int, traced: bool) -> None:
    """The work of the process: fill a first tier, and tell how that was."""
    if traced:
        tracemalloc.start()
    size: Callable[[], int] = (lambda: tracemalloc.get_traced_memory()[0]) if traced else resident_bytes
    with made_store(steps) as store:

        def read(plan: str) -> None:
            if steps:
                store.pipelines.steps(plan, FREQ, fallback=False)
            else:
                store.calculation_rules.get(plan, MATCH)

        names = plans(count + WARM)
        for plan in names[:WARM]:
            read(plan)
        gc.collect()
        grown, before = -size(), store.cache.stats()
        for plan in names[WARM:]:
            read(plan)
        gc.collect()
        grown, after = grown + size(), store.cache.stats()
        entries = after.entries - before.entries
        if entries != count:
            raise WrongAnswerError(f"{entries} entries instead of {count}")
        connection.send(Weight(grown / entries, (after.bytes - before.bytes) / entries))
