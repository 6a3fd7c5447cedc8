"""Values made one ahead of whoever uses them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from bluestar_store.threads import one_ahead


def numbers(made: list[int], count: int) -> Iterator[int]:
    for number in range(count):
        made.append(number)
        yield number


def test_the_values_come_in_order_and_one_is_made_ahead_at_most() -> None:
    made: list[int] = []
    for place, number in enumerate(one_ahead(numbers(made, 20))):
        assert number == place
        assert len(made) <= place + 2
    assert made == list(range(20))


def test_an_error_comes_in_its_place() -> None:
    def breaking() -> Iterator[int]:
        yield 1
        raise OSError("the page is gone")

    ahead = one_ahead(breaking())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="the page is gone"):
        next(ahead)


def test_whoever_leaves_early_leaves_nothing_running() -> None:
    made: list[int] = []
    before = threading.active_count()
    with closing(one_ahead(numbers(made, 20))) as ahead:
        next(ahead)
    assert threading.active_count() == before
    assert len(made) <= 2
