"""How soon a write is seen by a process that had the old value in its first tier; CLOCK_MONOTONIC is one for all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import redis

from benchmarks.bench import Bench
from benchmarks.data import MATCH, PLAN, rule
from benchmarks.measure import WrongAnswerError, counted
from benchmarks.processes import heard, partner
from benchmarks.report import Goal, Line
from bluestar_store import Settings, Store

CHANNEL = "bench:channel"
POLL_SECONDS = 0.00005
SETTLE_SECONDS = 0.005
"""The reader reads for so long before the write: what it reads then comes from its first tier."""


def rows(bench: Bench) -> Iterator[Line]:
    """Rounds of a write, and of a bare PUBLISH to the same process."""
    settings = bench.dynamo(redis_url=bench.redis_url)
    after: list[float] = []
    whole: list[float] = []
    reads: list[float] = []
    bare: list[float] = []
    with Store.open(settings) as store, redis.Redis.from_url(bench.redis_url) as client:
        store.create_tables()
        store.calculation_rules.put(rule(PLAN, max_pct=0))
        with partner(watch, settings, bench.redis_url) as reader:
            for number in range(1, bench.rounds(800) + 1):
                reader.send(number)
                heard(reader)
                time.sleep(SETTLE_SECONDS)
                called = time.monotonic()
                store.calculation_rules.put(rule(PLAN, max_pct=number % 100))
                returned = time.monotonic()
                began, seen, hits = heard(reader)
                if not hits:
                    raise WrongAnswerError("the reader had nothing in its first tier")
                after.append((seen - returned) * 1000)
                whole.append((seen - called) * 1000)
                reads.append((seen - began) * 1000)
                time.sleep(SETTLE_SECONDS)
                called = time.monotonic()
                client.publish(CHANNEL, str(number))
                bare.append((heard(reader) - called) * 1000)
    work = "write seen by another process"
    note = "after put() returned"
    yield counted(work, f"bluestar-store, {note}", "ms", after, Goal("median", 2), Goal("p99", 10))
    yield counted(work, "bluestar-store, after put() was called", "ms", whole)
    yield counted(work, "the read that saw it, most from DynamoDB", "ms", reads)
    yield counted(work, "redis-py, bare PUBLISH heard", "ms", bare)


def watch(connection: Connection, settings: Settings, redis_url: str) -> None:
    """The other process: says when it first reads the new value, then when it hears a bare message."""
    with Store.open(settings) as store, redis.Redis.from_url(redis_url) as client, client.pubsub() as channel:
        channel.subscribe(CHANNEL)
        channel.get_message(timeout=5)
        while not store.cache.stats().channel:  # before that nothing is kept for long
            store.calculation_rules.get(PLAN, MATCH)
            time.sleep(POLL_SECONDS)
        while True:
            try:
                number = connection.recv()
            except EOFError:
                return
            store.calculation_rules.get(PLAN, MATCH)
            before = store.cache.stats().hits_local
            connection.send("ready")
            ready, hits = time.monotonic(), 0
            while True:
                began = time.monotonic()
                if store.calculation_rules.get(PLAN, MATCH).max_pct == number % 100:
                    break
                if began < ready + SETTLE_SECONDS / 2:
                    hits = store.cache.stats().hits_local - before
                time.sleep(POLL_SECONDS)
            connection.send((began, time.monotonic(), hits))
            while (message := channel.get_message(timeout=5)) is None or message["type"] != "message":
                pass
            connection.send(time.monotonic())
