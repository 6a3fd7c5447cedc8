"""One writes for all that wait."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from bluestar_store.errors import ItemTooLargeError, UnavailableError
from bluestar_store.repositories.combining import Combiner
from tests.servers import wait_until


class Target:
    """What is written, held up until it is let go."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def write(self, values: Sequence[int]) -> None:
        self.begun.set()
        assert self.go_on.wait(10)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.written.append(list(values))


class Interrupted(BaseException):
    """Like a KeyboardInterrupt, which would end pytest."""


def test_what_comes_while_one_writes_is_written_at_once() -> None:
    target = Target()
    combiner = Combiner(target.write, most=4)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(combiner.submit, "a", 0)
        assert target.begun.wait(10)
        others = [threads.submit(combiner.submit, "a", n) for n in range(1, 7)]
        wait_until(lambda: len(combiner._waiting["a"]) == 6, "all wait", 10)
        target.go_on.set()
        for one in (first, *others):
            one.result(10)
    assert [len(values) for values in target.written] == [1, 4, 2]
    assert sorted(n for values in target.written for n in values) == list(range(7))
    assert combiner._waiting == {}


def test_an_error_is_told_to_those_whose_values_were_written_along_and_to_nobody_else() -> None:
    target = Target()
    combiner = Combiner(target.write, most=10)
    with ThreadPoolExecutor(8) as threads:
        target.error = ValueError("no")
        first = threads.submit(combiner.submit, "a", 0)
        assert target.begun.wait(10)
        second = threads.submit(combiner.submit, "a", 1)
        wait_until(lambda: len(combiner._waiting["a"]) == 1, "it waits", 10)
        target.go_on.set()
        with pytest.raises(ValueError, match="no"):
            first.result(10)
        second.result(10)
    assert target.written == [[1]]


def test_what_is_refused_takes_no_other_with_it() -> None:
    target = Target()

    def strict(values: Sequence[int]) -> None:
        if any(value < 0 for value in values):
            raise ItemTooLargeError("too large")
        target.write(values)

    combiner = Combiner(strict, most=10)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(combiner.submit, "a", 0)
        assert target.begun.wait(10)
        good = [threads.submit(combiner.submit, "a", n) for n in (1, 2)]
        bad = threads.submit(combiner.submit, "a", -1)
        wait_until(lambda: len(combiner._waiting["a"]) == 3, "they wait", 10)
        target.go_on.set()
        for one in (first, *good):
            one.result(10)
        with pytest.raises(ItemTooLargeError):
            bad.result(10)
    assert sorted(target.written) == [[0], [1], [2]]


def test_when_the_one_who_writes_is_interrupted_those_who_wait_go_on() -> None:
    target = Target()
    combiner = Combiner(target.write, most=1)
    with ThreadPoolExecutor(8) as threads:
        target.error = Interrupted()
        first = threads.submit(combiner.submit, "a", 0)
        assert target.begun.wait(10)
        others = [threads.submit(combiner.submit, "a", n) for n in (1, 2)]
        wait_until(lambda: len(combiner._waiting["a"]) == 2, "both wait", 10)
        target.go_on.set()
        with pytest.raises(Interrupted):
            first.result(10)
        for one in others:
            one.result(10)
    assert sorted(n for values in target.written for n in values) == [1, 2]


def test_places_do_not_wait_for_each_other() -> None:
    target = Target()
    combiner = Combiner(target.write, most=1)
    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(combiner.submit, place, n) for n, place in enumerate("ab")]
        wait_until(lambda: combiner._waiting.keys() == {"a", "b"}, "both write", 10)
        target.go_on.set()
        for one in both:
            one.result(10)
    assert sorted(n for values in target.written for n in values) == [0, 1]


def test_who_waits_for_an_interrupted_write_is_told_that_its_outcome_is_unknown() -> None:
    target = Target()
    combiner = Combiner(target.write, most=10)
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(combiner.submit, "a", 0)
        assert target.begun.wait(10)
        others = [threads.submit(combiner.submit, "a", n) for n in (1, 2)]
        wait_until(lambda: len(combiner._waiting["a"]) == 2, "both wait", 10)
        real, rounds = target.write, []

        def second_fails(values: Sequence[int]) -> None:
            rounds.append(list(values))
            if len(values) == 2:
                raise Interrupted
            real(values)

        combiner._write = second_fails
        target.go_on.set()
        with pytest.raises(Interrupted):
            first.result(10)
        for one in others:
            with pytest.raises(UnavailableError, match="unknown"):
                one.result(10)
