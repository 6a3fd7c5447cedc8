"""Many who miss the same key at once: how often DynamoDB is asked, and how long until everybody has the answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import boto3
from dogpile.cache import make_region

from benchmarks.bench import Bench
from benchmarks.data import PLAN, with_rules
from benchmarks.measure import WrongAnswerError, counted
from benchmarks.processes import heard, partner
from benchmarks.report import Goal, Line
from bluestar_store import Settings, Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.store import make_engine, tables_of
from bluestar_store.testing import FaultEngine

THREADS, PROCESSES = 64, 4
LEAD_SECONDS = 0.03
"""How long before the common start everybody is told of it."""


def rows(bench: Bench) -> Iterator[Line]:
    """Threads of one process, then one thread each of several processes."""
    yield from _threads(bench, bench.rounds(100))
    yield from _processes(bench, bench.rounds(200))


def counting_store(settings: Settings) -> tuple[Store, FaultEngine]:
    """A Store, and its engine, which counts its calls."""
    engine = FaultEngine(make_engine(settings, tables_of(settings)))
    return Store(settings, engine), engine


# ---------------------------------------------------------------------------------------------------------- threads


def _threads(bench: Bench, rounds: int) -> list[Line]:
    settings = bench.dynamo(redis_url=bench.redis_url)
    store, engine = counting_store(settings)
    names = [f"s{number}" for number in range(rounds)]
    with store:
        with_rules(store, ["warm", *names])
        store.calculation_rules.get(PLAN, "warm")
        table = _boto3_table(settings, store.tables.name(CALCULATION_RULE))
        region = make_region().configure("dogpile.cache.memory", expiration_time=3600)
        asked: list[str] = []

        def ours(name: str) -> str:
            return store.calculation_rules.get(PLAN, name).calc_type

        def create(name: str) -> Any:
            asked.append(name)
            return table.get_item(Key={"PK": f"CLIENT#{PLAN}", "SK": f"CALC#{name}"})["Item"]["calc_type"]

        def dogpiles(name: str) -> object:
            answer: object = region.get_or_create(name, create, creator_args=((name,), {}))
            return answer

        reads: list[list[int]] = [[], []]
        took: list[list[float]] = [[], []]
        for name in names:
            engine.faults.forget()
            asked.clear()
            for number, read in enumerate((ours, dogpiles)):
                took[number].append(_at_once(partial(read, name), name))
            for number, count in enumerate((len(engine.faults.calls), len(asked))):
                reads[number].append(count)
    work, peer = f"{THREADS} threads, one cold key", "dogpile.cache get_or_create"
    return [
        counted(f"{work}: engine reads", "bluestar-store", "reads", reads[0], Goal("worst", 1)),
        counted(f"{work}: engine reads", peer, "reads", reads[1]),
        counted(f"{work}: until all have it", "bluestar-store", "ms", took[0]),
        counted(f"{work}: until all have it", peer, "ms", took[1]),
    ]


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


def _boto3_table(settings: Settings, name: str) -> Any:
    resource = boto3.resource("dynamodb", region_name=settings.aws_region, endpoint_url=settings.dynamodb_endpoint_url)
    return resource.Table(name)


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
