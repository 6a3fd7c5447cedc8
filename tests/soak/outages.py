"""Courses of outages of a Redis: it is suspended, killed, shut down and started again, while processes use it."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeAlias

import redis

from bluestar_store import Store
from tests.cache.stores import until
from tests.redis_servers import RedisProcess
from tests.soak.load import Load
from tests.soak.readers import Stats

SEED = "BLUESTAR_TEST_SOAK_SEED"
READERS = 8
SOAK_SECONDS = 60.0
TIMEOUT_MS = 50
HEARTBEAT_SECONDS = 0.25
DEGRADED_SECONDS = 3.0
"""Longer than SEEN_SECONDS, or what is kept wrongly would have gone by then."""
SEEN_SECONDS = 1.0
"""After that long another process must have seen a write."""
CUT_OFF_SECONDS = 2 * HEARTBEAT_SECONDS + DEGRADED_SECONDS + SEEN_SECONDS
"""The same while it may be cut off: it notices, and then keeps nothing for longer than the degraded TTL."""
BARRED_SECONDS = 0.5
"""No write takes longer; what bars a unit for longer was left behind."""
QUIET_SECONDS = 0.3
"""Enough for the readers of a process to read every plan."""
ENGINE_SECONDS = 2.0
LONGEST_SECONDS = 20 * TIMEOUT_MS / 1000 + ENGINE_SECONDS
"""A read that takes longer hangs. It may wait for Redis, for another process's lease and for the engine."""
FAULTS = ("stopped", "killed", "shut down", "stopped and killed")
PHASES = ("normal", "stopped", "killed", "shut down", "recovering")

Phase: TypeAlias = tuple[float, str]
Range: TypeAlias = tuple[float, float]
OPTIONS: Mapping[str, Any] = {
    "redis_timeout_ms": TIMEOUT_MS,
    "cache_heartbeat_seconds": HEARTBEAT_SECONDS,
    "cache_degraded_ttl_seconds": DEGRADED_SECONDS,
}


class Process(Protocol):
    """A process with a Store under load."""

    def stats(self) -> Stats:
        """Its cache's."""


class Here:
    """This one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stats(self) -> Stats:
        return asdict(self._store.cache.stats())


# ------------------------------------------------------------------------------------------------------------ faults


@dataclass(frozen=True)
class Round:
    """A fault, how long it lasts at least, and how long all is well afterwards.

    `quiet`: nothing is written while it is well, nor while Redis recovers; and with `quiet_fault` not before that.
    """

    fault: str
    seconds: float
    normal_seconds: float
    quiet: bool
    quiet_fault: bool


@dataclass
class Plan:
    """When what is done to Redis, for so many `seconds`; without them each fault once, and then a quiet time.

    What was written last before a quiet time must be seen in it, and no later write hides what is stale: neither what
    the process kept, nor (when nothing is written during the fault) what a restarted server found in its snapshot.
    """

    chance: random.Random
    faults: tuple[str, ...]
    seconds: float | None
    quiet_seconds: float

    def rounds(self) -> Iterator[Round]:
        """In time for the next one."""
        faults = list(self.faults)
        if self.seconds is None:
            self.chance.shuffle(faults)
            for fault in faults:
                yield self._round(fault, (0.1, 0.3), (0.05, 0.15), quiet=fault == faults[-1])
            return
        end = time.monotonic() + self.seconds
        while True:
            self.chance.shuffle(faults)
            for fault in faults:
                if time.monotonic() > end:
                    return
                quiet, is_long = self.chance.random() < 0.6, self.chance.random() < 0.15
                yield self._round(fault, (4, 6) if is_long else (0.1, 1.5), (0.2, 2.5), quiet=quiet)

    def _round(self, fault: str, seconds: Range, normal_seconds: Range, *, quiet: bool) -> Round:
        normal = self.quiet_seconds if quiet else self.chance.uniform(*normal_seconds)
        return Round(fault, self.chance.uniform(*seconds), normal, quiet, quiet and self.chance.random() < 0.5)


@dataclass
class Course:
    """What was done when."""

    phases: list[Phase] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    back_seconds: list[float] = field(default_factory=list)
    barred: set[bytes] = field(default_factory=set)
    """Tombstones that stayed longer than any write took."""
    quiet: list[tuple[float, float]] = field(default_factory=list)
    """From when to when Redis was back and nothing was written."""

    def enter(self, phase: str) -> None:
        """Note that it begins."""
        self.phases.append((time.monotonic(), phase))

    def at(self, moment: float) -> str:
        """The phase of a moment."""
        return self.phases[max(bisect_right(self.phases, moment, key=lambda phase: phase[0]) - 1, 0)][1]

    def during(self, begin: float, end: float) -> str:
        """The phase of what took this long: if it began while all was well, the one it fell into."""
        first = self.at(begin)
        return self.at(end) if first == "normal" else first

    def back_at(self, moment: float) -> float | None:
        """Since when Redis has been in the path of all caches; None when it is not."""
        began, phase = self.phases[max(bisect_right(self.phases, moment, key=lambda phase: phase[0]) - 1, 0)]
        return began if phase == "normal" else None


def is_back(stats: Stats) -> bool:
    return stats["redis"] == "closed" and stats["channel"] and not stats["pending"]


def run_course(server: RedisProcess, processes: list[Process], load: Load, plan: Plan) -> Course:
    """Break Redis and mend it, waiting each time until every process has noticed."""
    course = Course()
    until(lambda: all(is_back(one.stats()) for one in processes), "Redis is in the path at first")
    course.enter("normal")
    time.sleep(0.3)
    for now in plan.rounds():
        if plan.chance.random() < 0.5:
            _snapshot(server)  # an old one by the time of the fault, which a restart will find
            time.sleep(plan.chance.uniform(0.02, 0.3))
        before = [one.stats() for one in processes]
        with ExitStack() as stack:
            if now.quiet_fault:
                stack.enter_context(load.without_writes())
            _break(server, now.fault, course)
            course.faults[now.fault] += 1
            time.sleep(now.seconds)
            until(lambda before=before: _noticed(processes, before), f"all caches notice that Redis is {now.fault}")  # type: ignore[misc]
            if now.quiet and not now.quiet_fault:
                stack.enter_context(load.without_writes())
            mended = time.monotonic()
            _mend(server, now.fault, plan.chance, course)
            until(lambda: all(is_back(one.stats()) for one in processes), f"Redis is back after it was {now.fault}")
            course.enter("normal")
            back = time.monotonic()
            course.back_seconds.append(back - mended)
            used, barred = [one.stats() for one in processes], _tombstones(server)
            time.sleep(now.normal_seconds)
            if now.quiet:
                course.quiet.append((back, time.monotonic()))
                course.barred |= _tombstones(server)
        until(lambda used=used: _used(processes, used), "Redis is used again")  # type: ignore[misc]
        if now.normal_seconds > BARRED_SECONDS:
            course.barred |= barred & _tombstones(server)
    return course


def _noticed(processes: Iterable[Process], before: Iterable[Stats]) -> bool:
    return all(one.stats()["outages"] > then["outages"] for one, then in zip(processes, before, strict=True))


def _used(processes: Iterable[Process], before: Iterable[Stats]) -> bool:
    def answers(stats: Stats) -> int:
        count: int = stats["hits_redis"] + stats["invalidations_out"]
        return count

    return all(answers(one.stats()) > answers(then) for one, then in zip(processes, before, strict=True))


def _tombstones(server: RedisProcess) -> set[bytes]:
    """The tombstones that this run of the server has, each with its key: a writer's bar on one unit."""
    client = server.client()
    run_id = client.info("server")["run_id"]
    found: set[bytes] = set()
    for key in client.scan_iter(f"*{run_id}"):
        content: Any = client.get(key)
        if content is not None and content.startswith(b"T"):
            found |= {key + b" " + one.partition(b":")[0] for one in content[1:].split(b";") if one}
    client.close()
    return found


def _snapshot(server: RedisProcess) -> None:
    with suppress(redis.ResponseError):  # one is being written
        client = server.client()
        client.bgsave()
        client.close()


def _break(server: RedisProcess, fault: str, course: Course) -> None:
    if fault == "shut down":
        course.enter("shut down")
        server.stop()
        return
    if fault in ("stopped", "stopped and killed"):
        course.enter("stopped")
        server.suspend()
        return
    course.enter("killed")
    server.kill()


def _mend(server: RedisProcess, fault: str, chance: random.Random, course: Course) -> None:
    if fault == "stopped":
        course.enter("recovering")
        server.resume()
        return
    if fault == "stopped and killed":
        course.enter("killed")
        server.kill()
        time.sleep(chance.uniform(0.0, 0.5))
    course.enter("recovering")
    server.start()
