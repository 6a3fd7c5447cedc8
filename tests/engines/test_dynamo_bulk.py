"""Bulk writes with several batches in flight: how many, in what order, and what is left when one of them fails."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestar_store.engines.dynamo.bulk import Window
from bluestar_store.errors import ThrottledError, UnavailableError, UnprocessedItemsError
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, key_of
from tests.cache.test_fork import in_child
from tests.engines.fakes import scripted

TABLE = "bluestar-store"
SECONDS = 30
"""How long a test waits for what has to come."""


def items(count: int) -> list[Item]:
    return [{"PK": {"S": f"P{number:04d}"}, "SK": {"S": "A"}} for number in range(count)]


def puts_in(arguments: dict[str, Any]) -> list[Item]:
    return [put["PutRequest"]["Item"] for put in arguments["RequestItems"][TABLE]]


def without(*taken: Item, asked: dict[str, Any]) -> dict[str, Any]:
    """DynamoDB's answer when it took only these."""
    left = [{"PutRequest": {"Item": item}} for item in puts_in(asked) if item not in taken]
    return {"UnprocessedItems": {TABLE: left} if left else {}}


class Held:
    """Answers nothing before it is let go; tells how many calls are under way, and were at most."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self._lock = threading.Lock()
        self.flying = self.most = 0

    def __call__(self, arguments: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.flying += 1
            self.most = max(self.most, self.flying)
        assert self.gate.wait(SECONDS)
        with self._lock:
            self.flying -= 1
        return {}


def test_so_many_batches_are_in_flight_and_no_item_is_taken_before_there_is_room_for_it() -> None:
    held = Held()
    engine, connection, _ = scripted(held, parallel_calls=4)
    taken: list[int] = []

    def lazily() -> Iterator[Item]:
        for number, item in enumerate(items(1000)):
            # Who is here is asked for an item: all that were taken before are in flight, or acknowledged.
            ahead = number - 25 * (len(connection.asked) - held.flying)
            taken.append(ahead)
            if number == 99:  # the fourth batch is about to be full: three fly, the fourth will
                threading.Timer(0.05, held.gate.set).start()
            yield item

    assert engine.put_many(TABLE, lazily()) == 1000
    assert held.most == 4
    assert held.flying == 0
    assert max(taken) <= 4 * 25
    assert sorted(key_of(item) for asked in connection.asked for item in puts_in(asked)) == list(
        map(key_of, items(1000))
    )


def test_a_throttled_answer_halves_what_may_be_in_flight_and_a_taken_batch_adds_one() -> None:
    window = Window(8)
    sizes = []
    for throttled in (True, True, True, True, False, False, True, *[False] * 10):
        (window.throttled if throttled else window.taken)()
        sizes.append(window.size)
    assert sizes == [4, 2, 1, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]


def test_while_dynamodb_throttles_fewer_batches_are_sent() -> None:
    lock, flying, seen = threading.Lock(), 0, list[int]()

    def busy(arguments: dict[str, Any]) -> dict[str, Any]:
        nonlocal flying
        with lock:
            flying += 1
            seen.append(flying)
        throttle = len(seen) < 60
        done = threading.Event()
        done.wait(0.002)  # so that calls overlap
        with lock:
            flying -= 1
        return {"UnprocessedItems": arguments["RequestItems"]} if throttle else {}

    engine, connection, _ = scripted(busy, parallel_calls=8, attempts=100)
    assert engine.put_many(TABLE, items(2500)) == 2500
    assert max(seen) <= 8
    sent = {key_of(item) for asked in connection.asked for item in puts_in(asked)}
    assert sent == set(map(key_of, items(2500)))


def test_a_refusal_for_load_counts_as_nothing_taken_and_is_tried_again() -> None:
    engine, connection, pauses = scripted(ThrottledError("slow down", code="ThrottlingException"), {})
    assert engine.put_many(TABLE, items(25)) == 25
    assert (len(connection.asked), len(pauses)) == (2, 1)


def test_a_bulk_that_stays_refused_for_load_tells_all_that_is_left_and_why() -> None:
    engine, _, _ = scripted(ThrottledError("slow down", code="ThrottlingException"), attempts=3, parallel_calls=4)
    with pytest.raises(UnprocessedItemsError) as caught:
        engine.put_many(TABLE, iter(items(3000)))
    assert list(caught.value.unwritten) == items(3000)
    assert isinstance(caught.value.__cause__, ThrottledError)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 400), parallel=st.integers(1, 8))
def test_what_is_left_over_is_what_was_not_acknowledged_in_the_order_it_was_given(
    seed: int, count: int, parallel: int
) -> None:
    chance, lock = random.Random(seed), threading.Lock()  # not for security
    acknowledged: set[Key] = set()

    def some(arguments: dict[str, Any]) -> dict[str, Any]:
        with lock:
            given = puts_in(arguments)
            taken = chance.sample(given, chance.randint(0, len(given)) if chance.random() < 0.5 else len(given))
            acknowledged.update(map(key_of, taken))
        return without(*taken, asked=arguments)

    engine, _, _ = scripted(some, attempts=2, parallel_calls=parallel)
    told: list[int] = []
    try:
        assert engine.put_many(TABLE, iter(items(count)), progress=told.append) == count
        left: list[Item] = []
        assert sum(told) == count
    except UnprocessedItemsError as error:
        left = [dict(item) for item in error.unwritten]
        assert sum(told) <= len(acknowledged)
    assert left == [item for item in items(count) if key_of(item) not in acknowledged]


def test_two_items_of_one_key_are_never_in_flight_together() -> None:
    lock, stored, flying = threading.Lock(), dict[Key, Item](), list[Key]()

    def slow(arguments: dict[str, Any]) -> dict[str, Any]:
        given = {key_of(item): item for item in puts_in(arguments)}
        with lock:
            assert not given.keys() & set(flying)
            flying.extend(given)
        threading.Event().wait(0.001)
        with lock:
            stored.update(given)
            for key in given:
                flying.remove(key)
        return {}

    engine, _, _ = scripted(slow, parallel_calls=8)
    repeated = [item | {"n": {"N": str(number)}} for number in range(8) for item in items(40)]
    assert engine.put_many(TABLE, repeated) == 320
    assert list(dict(sorted(stored.items())).values()) == repeated[-40:]


@pytest.mark.parametrize("error", [OSError("the file ended"), KeyboardInterrupt()])
def test_when_the_callers_items_break_off_nothing_is_left_running(error: BaseException) -> None:
    held = Held()
    engine, connection, _ = scripted(held, parallel_calls=4)

    def breaking() -> Iterator[Item]:
        yield from items(60)
        threading.Timer(0.05, held.gate.set).start()
        raise error

    with pytest.raises(type(error)):
        engine.put_many(TABLE, breaking())
    assert held.flying == 0
    assert len(connection.asked) == 2


def test_a_throttled_batch_is_given_up_when_the_callers_items_break_off() -> None:
    broken = threading.Event()

    def throttled(arguments: dict[str, Any]) -> dict[str, Any]:
        assert broken.wait(SECONDS)
        return {"UnprocessedItems": arguments["RequestItems"]}

    engine, connection, _ = scripted(throttled, attempts=100_000, parallel_calls=4)

    def breaking() -> Iterator[Item]:
        yield from items(25)
        threading.Timer(0.05, broken.set).start()
        raise OSError("the file ended")

    with pytest.raises(OSError, match="the file ended"):
        engine.put_many(TABLE, breaking())
    assert len(connection.asked) < 100


def test_the_error_of_a_batch_is_raised_when_the_others_have_landed() -> None:
    held = Held()

    def broken(arguments: dict[str, Any]) -> dict[str, Any]:
        if puts_in(arguments)[0] == items(26)[25]:
            threading.Timer(0.05, held.gate.set).start()
            raise UnavailableError("gone")
        return held(arguments)

    engine, _, _ = scripted(broken, parallel_calls=4)
    with pytest.raises(UnavailableError, match="gone"):
        engine.put_many(TABLE, items(50))
    assert held.flying == 0


def test_a_million_items_are_not_kept_when_the_bulk_fails_and_nobody_asks_for_them() -> None:
    engine, _, _ = scripted(
        lambda arguments: {"UnprocessedItems": arguments["RequestItems"]}, attempts=1, parallel_calls=2
    )
    taken = 0

    def endless() -> Iterator[Item]:
        nonlocal taken
        for item in items(2000):
            taken += 1
            yield item

    with pytest.raises(UnprocessedItemsError) as caught:
        engine.put_many(TABLE, endless())
    assert taken <= 50
    assert list(caught.value.unwritten) == items(2000)
    assert list(caught.value.unwritten) == items(2000)


def test_a_forked_child_is_told_that_it_cannot_go_on_with_a_bulk_write() -> None:
    """It would wait for its parent's threads for ever."""
    engine, _, _ = scripted({"UnprocessedItems": {}}, parallel_calls=2)
    forked: list[int] = []

    def until_forked() -> Iterator[Item]:
        yield from items(60)
        forked.append(os.fork())
        yield from items(60)

    def bulk() -> int:
        try:
            engine.put_many(TABLE, until_forked())
        except UnavailableError:
            os._exit(7)
        return os.waitstatus_to_exitcode(os.waitpid(forked[0], 0)[1])

    assert in_child(bulk) == 7
