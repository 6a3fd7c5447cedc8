"""Values made one ahead of whoever uses them, calls made side by side, and both where no thread can be had."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from contextvars import ContextVar
from threading import Barrier

import pytest

from bluestar_store import AsyncStore, Settings, Store, seeding
from bluestar_store.threads import Pool, Threads, ahead, side_by_side


def numbers(made: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


def test_the_values_come_in_order_and_one_is_made_ahead_at_most() -> None:
    made: list[int] = []
    for place, number in enumerate(ahead(numbers(made, 20))):
        assert number == place
        assert len(made) <= place + 2
    assert made == list(range(20))


def test_several_sources_are_asked_at_once_and_keep_their_own_order() -> None:
    both = Barrier(2)

    def waiting(name: str) -> Iterator[str]:
        for number in range(5):
            both.wait(10)  # breaks when the other one does not come
            yield f"{name}{number}"

    found = list(ahead(waiting("a"), waiting("b")))
    for name in "ab":
        assert [value for value in found if value[0] == name] == [f"{name}{number}" for number in range(5)]
    assert len(found) == 10


def test_an_error_comes_in_its_place() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise OSError("the page is gone")

    coming = ahead(breaking())
    assert next(coming) == 1
    with pytest.raises(OSError, match="the page is gone"):
        next(coming)


def test_whoever_leaves_early_leaves_nothing_running() -> None:
    made: list[int] = []
    before = threading.active_count()
    with closing(ahead(numbers(made, 20))) as coming:
        next(coming)
    assert threading.active_count() == before
    assert len(made) <= 2


def test_whoever_is_about_to_make_a_value_is_told_that_no_more_are_wanted() -> None:
    over, failed = threading.Event(), threading.Event()

    def patient() -> Iterator[int]:
        failed.set()
        yield int(over.wait(10))

    def breaking() -> Iterator[int]:
        failed.wait(10)
        raise OSError("the page is gone")
        yield 0

    with pytest.raises(OSError, match="the page is gone"):
        list(ahead(patient(), breaking(), over=over))
    assert over.is_set()


def test_some_calls_are_made_side_by_side_and_answers_come_in_order() -> None:
    both = Barrier(2)

    def call(value: int) -> int:
        both.wait(10)  # breaks when nobody else comes
        return value * 10

    assert list(side_by_side(2, call, range(6))) == [0, 10, 20, 30, 40, 50]


def test_side_by_side_an_error_is_raised_when_the_calls_under_way_are_over() -> None:
    running: set[int] = set()
    both = Barrier(2)

    def call(value: int) -> None:
        running.add(value)
        if value < 2:
            both.wait(10)
        running.remove(value)
        if value == 0:
            raise KeyError(value)

    with pytest.raises(KeyError):
        list(side_by_side(2, call, range(100)))
    assert running == set()


def test_side_by_side_no_call_begins_after_the_first_error_wherever_it_stands() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def call(value: int) -> None:
        begun.append(value)
        if value == 0:
            failed.wait(10)
            time.sleep(0.1)  # in which the other thread could make all the rest
        elif value == 1:
            failed.set()
            raise KeyError(value)

    with pytest.raises(KeyError):
        list(side_by_side(2, call, range(100)))
    assert sorted(begun) == [0, 1]


def test_side_by_side_calls_see_the_callers_context() -> None:
    here: ContextVar[str] = ContextVar("here")
    here.set("mine")
    assert list(side_by_side(2, lambda value: f"{here.get()} {value}", [1, 2, 3])) == ["mine 1", "mine 2", "mine 3"]


# ------------------------------------------------------------------------------------------ where no thread can be had


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a limit of the system's, which lets a thread fail only when it is started."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


@pytest.mark.usefixtures("no_threads")
def test_where_no_thread_can_be_had_the_caller_makes_the_calls() -> None:
    here = threading.get_ident()
    threads = Threads(4, "test")
    assert threads.submit(threading.get_ident).result(0) == here
    assert list(side_by_side(4, lambda number: (number, threading.get_ident()), range(3))) == [
        (n, here) for n in range(3)
    ]
    assert sorted(ahead(iter("abc"), iter("xyz"))) == sorted("abcxyz")
    with pytest.raises(OSError, match="full"):
        threads.submit(failing).result(0)
    threads.close()


def failing() -> None:
    raise OSError("full")


def test_a_call_that_was_queued_before_its_thread_could_not_be_started_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    busy = threading.Event()
    with Pool(2, "test") as pool:
        waiting = pool.submit(lambda: busy.wait(10))

        def start(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", start)
        future = pool.submit(lambda: made.append(1))  # queued for the first thread as well
        assert made == [1]
        busy.set()
        assert waiting.result(10)
        assert future.result(0) is None
    assert made == [1]


@pytest.mark.usefixtures("no_threads")
@pytest.mark.parametrize("remote", [False, True], ids=["process", "redis"])
def test_a_store_works_without_any_thread(remote: bool, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("redis_url") if remote else None
    with Store.open(Settings(persistence_mode="memory", redis_url=url, cache_ttl_seconds=1)) as store:
        store.create_tables()
        seeding.load(store, seeding.baseline())
        end = time.monotonic() + 1.2
        while time.monotonic() < end:  # what comes due is refreshed on the way
            assert store.calculation_rules.get("ACME", "match").max_pct == 6
        assert store.plan_snapshot("ACME", "BiWeeklyFri", 2026).steps
        assert store.cache.stats().refreshes > 0
        assert not store.cache.stats().channel


@pytest.mark.usefixtures("no_threads")
def test_an_async_store_works_without_any_thread() -> None:
    async def work() -> int:
        async with AsyncStore.open(Settings(persistence_mode="memory")) as store:
            await store.create_tables()
            async with store.unit_of_work() as uow:
                await uow.holds.place("ACME", reason="missing data")
            return len(await store.holds.open("ACME"))

    assert asyncio.run(work()) == 1


OPENED = """
import asyncio, atexit, threading, time
from bluestar_store import AsyncStore, Settings, Store, seeding
store = Store.open(Settings(persistence_mode="memory", cache_ttl_seconds=1, redis_url={url!r}))
store.create_tables()
seeding.load(store, seeding.baseline())

def work():
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        store.calculation_rules.get("ACME", "match")
    store.plan_snapshot("ACME", "BiWeeklyFri", 2026)
    seeding.load(store, seeding.baseline(), overwrite=True)
    asyncio.run(awaited())
    store.close()
    print("done", flush=True)

async def awaited():
    async with AsyncStore.open(Settings(persistence_mode="memory")) as other:
        await other.create_tables()
        assert await other.plans() == ()
"""
ENDINGS = {
    "a thread that outlives the main one": "threading.Timer(0.3, work).start()",
    "a function at exit": "atexit.register(work)",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_store_works_on_when_the_main_thread_is_over(ending: str, redis_url: str) -> None:
    program = OPENED.format(url=redis_url) + ENDINGS[ending]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
