"""What caches give while Redis is not as it should be: how old it may be, and that nobody goes back in time.

One process writes and reads, another one reads; both keep everything that they read in the process, so that what they
are not told of stays. Outages of Redis as a whole are in tests/soak.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from bluestar_store import Settings, Store
from tests import redis_servers
from tests.cache.stores import until
from tests.histories.ages import Ages, gone_back, too_old
from tests.histories.record import Operation, counts
from tests.redis_servers import RedisProcess
from tests.soak.load import MANY, Load, operations, write_all
from tests.soak.readers import ReaderProcess

HEARTBEAT_SECONDS, DEGRADED_SECONDS, SLACK_SECONDS = 0.25, 0.5, 1.5
BOUND_SECONDS = 2 * HEARTBEAT_SECONDS + DEGRADED_SECONDS + SLACK_SECONDS
"""Whatever happens to Redis, no read of another process is older; the slack is for a busy machine."""
FAULT_SECONDS = 1.5 * BOUND_SECONDS
READERS = 2
QUIET_SECONDS = 0.4
NONE_FRESH = 0.0
"""A fresh read asks Redis, and finds out by that what a process that has everything does not."""
OPTIONS: Mapping[str, Any] = {
    "redis_timeout_ms": 200,
    "cache_heartbeat_seconds": HEARTBEAT_SECONDS,
    "cache_degraded_ttl_seconds": DEGRADED_SECONDS,
    "cache_max_entries": MANY,
}

#: What is done to Redis from now on; what is given ends it.
Fault = Callable[[Any], Callable[[], None]]


def full(client: Any) -> Callable[[], None]:
    """It has no memory left, and evicts nothing."""
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")
    return lambda: client.config_set("maxmemory", "0")


def demoted(client: Any) -> Callable[[], None]:
    """It is a replica now, of a master that is not there: reads and PUBLISH work, writes are refused."""
    client.config_set("replica-serve-stale-data", "yes")
    client.replicaof("127.0.0.1", 1)
    return lambda: client.replicaof("NO", "ONE")


def lonely(client: Any) -> Callable[[], None]:
    """It has too few replicas to take writes."""
    client.config_set("min-replicas-to-write", "1")
    return lambda: client.config_set("min-replicas-to-write", "0")


FAULTS: Mapping[str, Fault] = {"full": full, "demoted": demoted, "too few replicas": lonely}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis of the test's own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_servers.redis_process(folder) as process:
        yield process


@pytest.fixture
def options(server: RedisProcess, tmp_path: Path) -> dict[str, Any]:
    """Of both processes."""
    data = {"persistence_mode": "file", "file_persistence_dir": str(tmp_path / "data")}
    return {**OPTIONS, **data, "redis_url": server.url}


class Course:
    """Two processes under load, and all that they did."""

    def __init__(self, store: Store, load: Load, reader: ReaderProcess) -> None:
        self.store, self.load, self.reader = store, load, reader
        self.history: list[Operation] = []


@contextmanager
def under_load(options: Mapping[str, Any], tmp_path: Path, seed: int) -> Iterator[Course]:
    """Reads by both processes and writes by this one, within the block; afterwards the history has them all."""
    chance = random.Random(seed)
    with Store.open(Settings(**options)) as store:
        store.create_tables()
        first = write_all(store)
        reader = ReaderProcess(options, READERS, chance.randrange(2**32), NONE_FRESH)
        try:
            reader.ready()
            load = Load(store, readers=READERS, seed=chance.randrange(2**32), first_version=100)
            load.start()
            course = Course(store, load, reader)
            until(lambda: store.cache.stats().channel and reader.stats()["channel"], "both channels are there")
            try:
                yield course
            finally:
                load.end_writing()
            reads, failures = reader.end(tmp_path / "reads.json")
            load.end()
            assert failures + load.failures == []
            course.history = operations("writer", load.reads, [*first, *load.writes]) + operations("reader", reads, [])
        finally:
            reader.close()


def check(history: list[Operation], bound_seconds: float = BOUND_SECONDS) -> None:
    """The writer's process reads what it wrote, at once; the other one what is not too old; neither goes back."""
    found = counts(history)
    print(found)
    assert found["read ok"] > 100
    assert found["write ok"] > 20
    writes = [one for one in history if one.action == "write"]
    own = [one for one in history if one.process.startswith("writer/") and one.action == "read"]
    assert too_old([*writes, *own], 0) == []
    ages = Ages.of(writes)
    oldest = max(ages.late(one.subject, one.result, one.began) or 0 for one in history if one.action == "read")
    print(f"the oldest read was {oldest:.3f} s old")
    wrong = too_old(history, bound_seconds)
    assert not wrong, f"{len(wrong)} of {found['read ok']} reads, such as\n" + "\n".join(wrong[:3])
    back = gone_back(history)
    assert not back, f"{len(back)} reads, such as\n" + "\n".join(back[:3])


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_what_a_redis_that_refuses_writes_cannot_bar_is_seen_all_the_same(
    name: str, options: dict[str, Any], server: RedisProcess, tmp_path: Path, seed: int, times: int
) -> None:
    if name == "too few replicas" and times == 1:
        pytest.skip("Redis refuses the same commands as when it is full: --soak has both")
    client: Any = server.client()
    with under_load(options, tmp_path, seed) as course:
        for _ in range(times):
            with course.load.without_writes():
                time.sleep(QUIET_SECONDS)  # both processes read everything, and need Redis for nothing
                mend = FAULTS[name](client)
            with pytest.raises(redis.ResponseError):
                client.set("x", "y")
            time.sleep(FAULT_SECONDS)  # under load: long enough that a stale read shows
            mend()
            time.sleep(0.2)  # and some of it while all is well again
    client.close()
    check(course.history)


def test_a_redis_that_forgets_everything_now_and_then_makes_nothing_stale(
    options: dict[str, Any], server: RedisProcess, tmp_path: Path, seed: int, times: int
) -> None:
    client: Any = server.client()
    chance = random.Random(seed)
    with under_load(options, tmp_path, seed) as course:
        for _ in range(30 * times):
            client.flushall()
            time.sleep(chance.uniform(0, 0.1))
    client.close()
    check(course.history)


@pytest.mark.slow
def test_a_process_that_was_stopped_asks_before_it_answers(
    options: dict[str, Any], tmp_path: Path, seed: int, times: int
) -> None:
    """It was stopped for longer than it may trust what it has: no read that begins after that is older."""
    stopped: list[tuple[float, float]] = []
    with under_load(options, tmp_path, seed) as course:
        for _ in range(times):
            time.sleep(0.3)  # it reads everything
            course.reader.suspend()
            begin = time.monotonic()
            time.sleep(1.5 * BOUND_SECONDS)  # what is written meanwhile it does not hear
            stopped.append((begin, time.monotonic()))
            course.reader.resume()

    def was_stopped(one: Operation) -> bool:
        return any(begin <= one.ended and one.began <= end for begin, end in stopped)

    check([one for one in course.history if one.action == "write" or not was_stopped(one)])
