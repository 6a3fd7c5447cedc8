"""Values made one ahead of whoever uses them, and calls made side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from contextvars import ContextVar
from threading import Barrier

import pytest

from bluestar_store.threads import ahead, side_by_side


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
