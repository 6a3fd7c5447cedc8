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
import uuid
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Settings, Store
from tests import redis_servers
from tests.histories.ages import Ages
from tests.redis_servers import RedisProcess
from tests.soak.load import FEW, MANY, PLANS, SUBJECTS, Load, Read, Write, subject_of, write_all
from tests.soak.outages import (
    CUT_OFF_SECONDS,
    FAULTS,
    LONGEST_SECONDS,
    OPTIONS,
    PHASES,
    QUIET_SECONDS,
    READERS,
    SEED,
    SEEN_SECONDS,
    SOAK_SECONDS,
    TIMEOUT_MS,
    Course,
    Here,
    Plan,
    Process,
    is_back,
    run_course,
)
from tests.soak.readers import ReaderProcess


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
