"""Loads and writes that are under way in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bluestar_store.cache import in_flight
from bluestar_store.cache.in_flight import InFlightLoad, InFlightWrites, Loaded, copy_of
from bluestar_store.errors import UnavailableError
from bluestar_store.protocols import FailedRead
from tests.cache.first_tier import Clock
from tests.cache.loads import background

A, B, C = ("a",), ("b",), ("c",)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writes(clock: Clock) -> InFlightWrites:
    return InFlightWrites(clock)


def covered(writes: InFlightWrites) -> list[bool]:
    return [writes.cover(key) for key in (A, B, C)]


# ---------------------------------------------------------------------------------------------------------------- loads


def test_every_waiting_thread_gets_the_value() -> None:
    load = InFlightLoad()
    assert load.expected() is load.expected() is load
    loaded = Loaded("v", object())
    waiting = [background(lambda: load.wait(5)) for _ in range(3)]
    load.finish(loaded)
    assert [one.result(5) for one in waiting] == [loaded] * 3
    assert load.wait(0) is loaded


def test_a_wait_ends_after_its_time() -> None:
    assert InFlightLoad().expected().wait(0) is None


def test_every_waiting_thread_gets_a_copy_of_the_error() -> None:
    load, error = InFlightLoad().expected(), UnavailableError("no engine")
    load.fail(error)
    found = []
    for _ in range(2):
        with pytest.raises(UnavailableError, match="no engine") as caught:
            load.wait(0)
        found.append(caught.value)
    assert error is not found[0] is not found[1]


def test_an_interrupted_leader_leaves_the_load_to_who_waits() -> None:
    load = InFlightLoad().expected()
    load.fail(KeyboardInterrupt())
    assert load.wait(0) is None
    assert load.error is None


def test_a_value_that_cannot_be_read_is_copied_for_each_thread() -> None:
    load, failed, moment = InFlightLoad().expected(), FailedRead(UnavailableError("broken")), object()
    load.finish(Loaded(failed, moment, until=7))
    first, second = load.wait(0), load.wait(0)
    assert first is not None
    assert second is not None
    assert (first.moment, first.until) == (moment, None)
    assert str(first.value.error) == "broken"
    assert failed.error is not first.value.error is not second.value.error


class Awkward(Exception):
    """Takes other parameters than it keeps in `args`."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")
        self.two = two


def test_a_copy_of_an_error_says_all_that_it_says() -> None:
    try:
        try:
            raise KeyError("context")
        except KeyError:
            raise Awkward(1, 2) from ValueError("cause")
    except Awkward as raised:
        error = raised
    error.add_note("a note")
    one = copy_of(error)
    assert one is not error
    assert (type(one), one.args, one.two, str(one)) == (Awkward, ("1 and 2",), 2, "1 and 2")
    assert one.__notes__ == ["a note"]
    assert (one.__cause__, one.__context__) == (error.__cause__, error.__context__)
    assert one.__suppress_context__
    assert one.__traceback__ is error.__traceback__
    one.add_note("its own")
    assert error.__notes__ == ["a note"]


def test_a_copy_keeps_a_context_that_is_shown() -> None:
    try:
        try:
            raise KeyError("context")
        except KeyError:
            raise Awkward(1, 2)  # noqa: B904  # with its context
    except Awkward as raised:
        one = copy_of(raised)
    assert not one.__suppress_context__
    assert isinstance(one.__context__, KeyError)
    assert not hasattr(one, "__notes__")


# --------------------------------------------------------------------------------------------------------------- writes


def test_a_write_covers_its_keys_until_it_ends(writes: InFlightWrites) -> None:
    assert covered(writes) == [False, False, False]
    writes.begin([A, B], b"one", 10)
    assert covered(writes) == [True, True, False]
    writes.end([A, C], b"one")
    assert covered(writes) == [False, True, False]
    writes.end([B], b"another")
    assert covered(writes) == [False, True, False]


def test_a_write_covers_its_keys_for_its_time_at_most(writes: InFlightWrites, clock: Clock) -> None:
    writes.begin([A], b"one", 10)
    writes.begin([A], b"two", 20)
    clock.now += 10
    assert writes.cover(A)
    clock.now += 9
    assert writes.cover(A)
    clock.now += 1
    assert not writes.cover(A)
    assert not writes._ends


def test_each_of_several_writers_covers_a_key(writes: InFlightWrites) -> None:
    writes.begin([A], b"one", 10)
    writes.begin([A], b"two", 10)
    writes.end([A], b"one")
    assert writes.cover(A)
    writes.end([A], b"two")
    assert not writes.cover(A)
    assert not writes._ends


def test_a_writer_that_begins_again_covers_its_keys_anew(writes: InFlightWrites, clock: Clock) -> None:
    writes.begin([A], b"one", 10)
    clock.now += 9
    writes.begin([A], b"one", 10)
    clock.now += 9
    assert writes.cover(A)


def test_announced_writes_from_before_a_time_can_be_ended(writes: InFlightWrites, clock: Clock) -> None:
    writes.begin([A, B], b"here", 100)
    writes.begin([A, C], b"early", 100, announced=True)
    clock.now += 1
    writes.begin([C], b"late", 100, announced=True)
    writes.end_announced(clock.now)
    assert covered(writes) == [True, True, True]
    assert writes._ends == {A: {b"here": 1100}, B: {b"here": 1100}, C: {b"late": 1101}}
    writes.end_announced(clock.now + 1)
    assert covered(writes) == [True, True, False]
    assert C not in writes._ends


def test_an_announced_write_that_ended_is_forgotten(writes: InFlightWrites) -> None:
    writes.begin([A], b"there", 10, announced=True)
    writes.begin([], b"of nothing", 10, announced=True)
    writes.end([A], b"there")
    assert not writes._announced


def full(writes: InFlightWrites, monkeypatch: pytest.MonkeyPatch, most: int) -> Callable[[], None]:
    monkeypatch.setattr(in_flight, "MAX_KEYS_WRITTEN", most)
    return lambda: writes.begin([("more", number) for number in range(most)], b"more", 5)


def test_writes_that_are_over_make_room(writes: InFlightWrites, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = full(writes, monkeypatch, 3)
    writes.begin([A], b"one", 10)
    writes.begin([A], b"over", 1, announced=True)
    clock.now += 2
    writes.begin([B], b"two", 10, announced=True)
    assert set(writes._ends[A]) == {b"one", b"over"}
    writes.begin([C], b"two", 10, announced=True)
    assert set(writes._ends[A]) == {b"one"}
    assert covered(writes) == [True, True, True]
    assert set(writes._announced) == {b"two"}
    assert not writes.cover(("other",))
    fill()
    assert writes.cover(("other",))


def test_more_writes_than_can_be_kept_cover_every_key_until_the_last_ends(
    writes: InFlightWrites, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill = full(writes, monkeypatch, 3)
    writes.begin([A], b"long", 9)
    fill()
    assert not writes._ends
    assert writes.cover(("other",))
    writes.begin([B], b"two", 20)  # is kept by itself
    clock.now += 8
    assert covered(writes) == [True, True, True]
    clock.now += 1
    assert covered(writes) == [False, True, False]


def test_a_forked_child_begins_without_writes(writes: InFlightWrites, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = full(writes, monkeypatch, 3)
    writes.begin([A], b"one", 10, announced=True)
    fill()
    lock = writes._lock
    writes.reset()
    assert writes._lock is not lock
    assert covered(writes) == [False, False, False]
    assert (writes._announced, writes._begun) == ({}, 0)
