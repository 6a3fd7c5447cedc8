"""Many who miss the same key at once: how often DynamoDB is asked, and how long until everybody has the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.bench import Bench
from benchmarks.data import PLAN, with_rules
from benchmarks.measure import WrongAnswerError, counted
from benchmarks.peers import boto3_table, installed
from benchmarks.processes import heard, partner
from benchmarks.report import Goal, Line
from bluestar_store import Settings, Store
from bluestar_store.engines.opening import open_engine
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.store import tables_of
from bluestar_store.testing import FaultEngine

THREADS, PROCESSES = 64, 4
DOGPILE = "dogpile.cache get_or_create"
LEAD_SECONDS = 0.03
"""How long before the common start everybody is told of it."""


def rows(bench: Bench) -> Iterator[Line]:
    """Threads of one process, then one thread each of several processes."""
    yield from _threads(bench, bench.rounds(100))
    yield from _processes(bench, bench.rounds(200))


def counting_store(settings: Settings) -> tuple[Store, FaultEngine]:
    """A Store, and its engine, which counts its calls."""
    engine = FaultEngine(open_engine(settings, tables_of(settings)))
    return Store(settings, engine), engine


# ---------------------------------------------------------------------------------------------------------- threads


def _threads(bench: Bench, rounds: int) -> Iterator[Line]:
    settings = bench.dynamo(redis_url=bench.redis_url)
    store, engine = counting_store(settings)
    names = [f"s{number}" for number in range(rounds)]
    reads: dict[str, list[int]] = {}
    took: dict[str, list[float]] = {}
    with store:
        with_rules(store, ["warm", *names])
        store.calculation_rules.get(PLAN, "warm")

        def ours(name: str) -> str:
            return store.calculation_rules.get(PLAN, name).calc_type

        readers: dict[str, Callable[[str], object]] = {"bluestar-store": ours}
        asked: list[str] = []
        if installed("dogpile"):
            readers[DOGPILE] = _dogpile(boto3_table(settings, store.tables.name(CALCULATION_RULE)), asked)
        for name in names:
            engine.faults.forget()
            asked.clear()
            for who, read in readers.items():
                took.setdefault(who, []).append(_at_once(partial(read, name), name))
            for who, count in zip(readers, (len(engine.faults.calls), len(asked)), strict=False):
                reads.setdefault(who, []).append(count)
    work = f"{THREADS} threads, one cold key"
    goals = {"bluestar-store": [Goal("worst", 1)]}
    yield from (counted(f"{work}: engine reads", who, "reads", reads[who], *goals.get(who, ())) for who in reads)
    yield from (counted(f"{work}: until all have it", who, "ms", took[who]) for who in took)


def _dogpile(table: Any, asked: list[str]) -> Callable[[str], object]:
    """Reads from the table what is not cached, and keeps a record of that."""
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=3600)

    def create(name: str) -> Any:
        asked.append(name)
        return table.get_item(Key={"PK": f"CLIENT#{PLAN}", "SK": f"CALC#{name}"})["Item"]["calc_type"]

    def read(name: str) -> object:
        answer: object = region.get_or_create(name, create, creator_args=((name,), {}))
        return answer

    return read


def _at_once(read: Callable[[], object], expected: str) -> float:
    """Milliseconds from the common start until every thread has its answer."""
    barrier = threading.Barrier(THREADS + 1)
    answers: list[object] = []

    def one() -> None:
        barrier.wait()
        answers.append(read())

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    milliseconds = (time.perf_counter() - start) * 1000
    if answers != [expected] * THREADS:
        raise WrongAnswerError(f"{len(answers)} answers: {set(answers)}")
    return milliseconds


# -------------------------------------------------------------------------------------------------------- processes


def read_when_told(connection: Connection, settings: Settings) -> None:
    """The work of one process: read a rule at the moment that it is told, and say how many loads that was."""
    store, engine = counting_store(settings)
    with store:
        store.calculation_rules.get(PLAN, "warm")
        connection.send("ready")
        while True:
            try:
                name, start = connection.recv()
            except EOFError:
                return
            engine.faults.forget()
            while time.monotonic() < start:
                pass
            answer = store.calculation_rules.get(PLAN, name)
            end = time.monotonic()
            connection.send((answer.calc_type, len(engine.faults.calls), end))


def _processes(bench: Bench, rounds: int) -> list[Line]:
    settings = bench.dynamo(redis_url=bench.redis_url)
    reads, took = [], []
    names = [f"p{number}" for number in range(rounds)]
    with Store.open(settings) as store, ExitStack() as stack:
        with_rules(store, ["warm", *names])
        partners = [stack.enter_context(partner(read_when_told, settings)) for _ in range(PROCESSES)]
        for connection in partners:
            heard(connection)
        for name in names:
            start = time.monotonic() + LEAD_SECONDS
            for connection in partners:
                connection.send((name, start))
            answers = [heard(connection) for connection in partners]
            if any(answer[0] != name for answer in answers):
                raise WrongAnswerError(f"{name}: {answers}")
            reads.append(sum(answer[1] for answer in answers))
            took.append((max(answer[2] for answer in answers) - start) * 1000)
    work = f"{PROCESSES} processes, one cold key"
    return [
        counted(f"{work}: engine reads", "bluestar-store", "reads", reads, Goal("worst", 1)),
        counted(f"{work}: until all have it", "bluestar-store", "ms", took),
    ]
