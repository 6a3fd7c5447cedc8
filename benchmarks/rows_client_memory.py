"""What a process grows by over its imports when it reads from all eight tables: one client, or one for each Model."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks import all_tables, child
from benchmarks.bench import Bench
from benchmarks.measure import WrongAnswerError, counted
from benchmarks.processes import told_by_child
from benchmarks.report import Goal, Line
from bluestar_store import Store

MB = 1024 * 1024


def rows(bench: Bench) -> Iterator[Line]:
    """RSS after the reads, less RSS after the imports."""
    settings = bench.dynamo()
    with Store.open(settings) as store:
        all_tables.fill(store)
    ours: list[float] = []
    theirs: list[float] = []
    reads = {child.read_with_store: ours, child.read_with_pynamodb: theirs}
    for _ in range(bench.rounds(5, least=1)):
        with ThreadPoolExecutor(len(reads)) as pool:  # no time is measured
            answers = list(pool.map(lambda read: told_by_child(read, settings), reads))
        for (read, grown), answer in zip(reads.items(), answers, strict=True):
            if not answer["right"]:
                raise WrongAnswerError(f"{read.__name__} read something else")
            grown.append(answer["grown"] / MB)
    work, ratio = "growth over the imports, 8 tables", statistics.median(ours) / statistics.median(theirs)
    yield counted(work, "bluestar-store", "MB", ours)
    yield counted(work, "eight PynamoDB Models", "MB", theirs, Goal("ratio", 0.2), ratio=ratio)
