"""Redis is suspended, killed and started again under load, over and over: no read fails, and none is stale.

What is asserted of every read:
- within the Store that writes: a read begun after `put` returned gives that version or a later one, at any time;
- in the other process: the same from one second after both, the return of `put` and Redis's being back in the path of
  all caches; and at any time after what `cache_degraded_ttl_seconds` and two heartbeats allow;
- none gives another plan's value; none takes longer than LONGEST_SECONDS.
How long reads took is printed by phase: `pytest tests/soak -s --soak`. BLUESTAR_TEST_SOAK_SEED repeats a schedule.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest
import redis

from bluestar_store import Settings, Store
from tests import redis_servers
from tests.cache.stores import until
from tests.histories.ages import Ages
from tests.redis_servers import RedisProcess
from tests.soak.load import FEW, MANY, PLANS, SUBJECTS, Load, Read, Write, subject_of, write_all
from tests.soak.readers import ReaderProcess, Stats

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


# ----------------------------------------------------------------------------------------------------------- judging


def ages_of(writes: Iterable[Write]) -> Ages:
    """What was written, to hold reads against."""
    ages = Ages()
    for _, end, plan, version in writes:
        ages.add(plan, version, end)
    return ages


def late(ages: Ages, read: Read) -> float | None:
    """How long before the read began the next version had been written; None for a read that is not stale."""
    return ages.late(subject_of(read), read[4], read[0])


def told(read: Read, late: float, course: Course, started: float) -> str:
    begin, end, place, fresh, version = read
    return (
        f"{begin - started:.4f}..{end - started:.4f}s {course.during(begin, end)}: {PLANS[place]}{' fresh' * fresh} "
        f"gave {version}, {late:.4f}s after the next one had been written"
    )


def judge(
    course: Course, history: Ages, reads: Iterable[Read], is_allowed: Callable[[Read, float], bool]
) -> tuple[list[str], dict[str, float]]:
    """The reads that were wrong, in words, and how late the latest one was in each phase."""
    wrong: list[str] = []
    latest: dict[str, float] = {}
    for read in reads:
        if not history.is_known(subject_of(read), read[4]):
            wrong.append(f"{PLANS[read[2]]} gave {read[4]}, which is none of its versions")
        seconds = late(history, read)
        if seconds is None:
            continue
        phase = course.at(read[0])
        latest[phase] = max(seconds, latest.get(phase, 0.0))
        if not is_allowed(read, seconds):
            wrong.append(told(read, seconds, course, course.phases[0][0]))
    return wrong, latest


def within_the_store(read: Read, late: float) -> bool:
    """Never stale."""
    return False


def across_processes(course: Course) -> Callable[[Read, float], bool]:
    """Stale for a second at most while Redis is in the path, and a bounded time longer while it is not."""

    def is_allowed(read: Read, late: float) -> bool:
        back = course.back_at(read[0])
        if back is not None and min(late, read[0] - back) > SEEN_SECONDS:
            return False
        return late <= CUT_OFF_SECONDS

    return is_allowed


def all_is_seen(threads: Iterable[Iterable[Read]], course: Course, history: Ages) -> None:
    """In each quiet time, every reader of a process gave of every plan what had been written last."""
    begins = [begin for begin, _ in course.quiet]
    seen: set[int] = set()
    for thread in threads:
        count = 0
        for read in thread:
            number = bisect_right(begins, read[0]) - 1
            if number >= 0 and begins[number] + SEEN_SECONDS < read[0] < course.quiet[number][1]:
                assert late(history, read) is None, told(read, 0, course, course.phases[0][0])
                seen.add(read[2])
                count += 1
        assert count > 0
    assert seen == set(range(len(PLANS)))


def times(course: Course, operations: Iterable[tuple[str, float, float]]) -> dict[tuple[str, str], list[float]]:
    """How long operations took, by name and phase, in order."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, begin, end in operations:
        found[name, course.during(begin, end)].append(end - begin)
    for seconds in found.values():
        seconds.sort()
    return found


def show(title: str, found: Mapping[tuple[str, str], list[float]]) -> None:
    print(f"{title}: ms      phase        count       p50       p99     p99.9       max   over {TIMEOUT_MS} ms")
    for (name, phase), seconds in sorted(found.items(), key=lambda row: (row[0][0], PHASES.index(row[0][1]))):
        shares = (0.5, 0.99, 0.999)
        columns = [seconds[min(int(len(seconds) * share), len(seconds) - 1)] for share in shares] + [seconds[-1]]
        late = sum(one > TIMEOUT_MS / 1000 for one in seconds)
        numbers = "".join(f"{1000 * one:10.3f}" for one in columns)
        print(f"  {name:12} {phase:12}{len(seconds):8}{numbers}{late:8}")


def conclude(course: Course, faults: Iterable[str], processes: Mapping[str, Process]) -> None:
    """Every fault took place, and every process noticed each of them."""
    injected = sum(course.faults.values())
    assert set(course.faults) == set(faults)
    print(f"faults: {dict(course.faults)}, Redis back after s: {[round(one, 2) for one in course.back_seconds]}")
    assert course.barred == set()
    for name, process in processes.items():
        stats = process.stats()
        print(f"{name}: {dict(stats)}")
        assert stats["outages"] >= injected
        assert stats["hits_local"] > 0
        assert stats["undecodable"] == 0
        assert is_back(stats)


def check_reads(title: str, course: Course, faults: Iterable[str], reads: list[Read], writes: Iterable[Write]) -> None:
    """Reads took place in every phase, and none hung."""
    rows = [("fresh read" if fresh else "read", begin, end) for begin, end, _, fresh, _ in reads]
    found = times(course, [*rows, *(("write", begin, end) for begin, end, _, _ in writes)])
    show(title, found)
    wanted = {"normal", "recovering"} | {part for fault in faults for part in fault.split(" and ")}
    assert {phase for name, phase in found if name == "read"} == wanted
    assert max(end - begin for begin, end, *_ in reads) < LONGEST_SECONDS


def no_tombstone_is_left(store: Store) -> None:
    """What was sent to a suspended server is carried out when it goes on; it must not bar anything for long."""
    store.cache._cache.local.flush()
    notes = {plan: store.cache.explain(("calculation-rule", plan, "match")).note for plan in SUBJECTS}
    assert "it is being written" not in notes.values(), notes


# ------------------------------------------------------------------------------------------------------------- tests


@pytest.fixture
def chance() -> random.Random:
    """The schedule's; its seed is printed."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"\n{SEED}={seed}")
    return random.Random(seed)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    """A Redis of the test's own, which keeps snapshots."""
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_servers.redis_process(folder, save=True) as process:
        yield process


@contextmanager
def opened(options: Mapping[str, Any]) -> Iterator[Store]:
    with Store.open(Settings(**options)) as store:
        store.create_tables()
        yield store


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "faults"),
    [(FEW, ("stopped", "shut down")), (MANY, ("killed", "stopped and killed"))],
    ids=["few-entries", "many-entries"],
)
def test_within_one_store_no_read_is_ever_stale(
    server: RedisProcess, chance: random.Random, soak: bool, entries: int, faults: tuple[str, ...]
) -> None:
    faults = FAULTS if soak else faults
    options = {**OPTIONS, "persistence_mode": "memory", "redis_url": server.url, "cache_max_entries": entries}
    plan = Plan(chance, faults, SOAK_SECONDS if soak else None, QUIET_SECONDS)
    with opened(options) as store:
        first = write_all(store)
        load = Load(store, readers=READERS, seed=chance.randrange(2**32), first_version=100)
        load.start()
        try:
            course = run_course(server, [Here(store)], load, plan)
        finally:
            load.end()
        reads = [read for thread in load.reads for read in thread]
        check_reads("one process", course, faults, reads, load.writes)
        wrong, _ = judge(course, ages_of([*first, *load.writes]), reads, within_the_store)
        print(f"{len(reads)} reads, {len(load.writes)} writes, {len(load.failures)} failed, {len(wrong)} wrong")
        assert load.failures == []
        assert wrong == []
        no_tombstone_is_left(store)
        conclude(course, faults, {"one process": Here(store)})


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["file", "dynamodb"])
def test_between_processes_no_read_is_stale_once_redis_is_back(
    server: RedisProcess, chance: random.Random, soak: bool, engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "dynamodb" and not soak:
        pytest.skip("the file engine shows the same in less time: --soak has both")
    faults = FAULTS if soak else ("stopped", "killed")
    plan = Plan(chance, faults, SOAK_SECONDS if soak else None, SEEN_SECONDS + QUIET_SECONDS)
    options = {**OPTIONS, "redis_url": server.url, "table_suffix": f"-{uuid.uuid4().hex[:12]}"}
    if engine == "file":
        options |= {"persistence_mode": "file", "file_persistence_dir": str(tmp_path / "data")}
    else:
        url = request.getfixturevalue("dynamodb_local_url")
        options |= {"persistence_mode": "dynamo", "dynamodb_endpoint_url": url, "aws_region": "us-east-1"}
    with ExitStack() as stack:
        store = stack.enter_context(opened({**options, "cache_max_entries": FEW}))
        first = write_all(store)
        other = ReaderProcess({**options, "cache_max_entries": MANY}, READERS // 2, chance.randrange(2**32))
        stack.callback(other.close)
        other.ready()
        load = Load(store, readers=READERS // 2, seed=chance.randrange(2**32), first_version=100)
        load.start()
        processes: dict[str, Process] = {"writing process": Here(store), "reading process": other}
        try:
            course = run_course(server, list(processes.values()), load, plan)
        finally:
            load.end_writing()
        conclude(course, faults, processes)
        others, failures = other.end(tmp_path / "reads.json")
        load.end()
        failures += load.failures
        reads = [read for thread in load.reads for read in thread]
        away = [read for thread in others for read in thread]
        check_reads("writing process", course, faults, reads, load.writes)
        check_reads("reading process", course, faults, away, [])
        history = ages_of([*first, *load.writes])
        wrong, _ = judge(course, history, reads, within_the_store)
        wrong_away, latest = judge(course, history, away, across_processes(course))
        print(f"{len(reads)} + {len(away)} reads, {len(load.writes)} writes, {len(failures)} failed")
        print(f"{len(wrong)} + {len(wrong_away)} wrong; seen late by at most s: {latest}")
        assert failures == []
        assert wrong == []
        assert wrong_away == []
        for threads in (load.reads, others):
            all_is_seen(threads, course, history)
        no_tombstone_is_left(store)
