"""The checkers pass good histories and find what is wrong in bad ones: all made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AlreadyExistsError,
    RuleNotFoundError,
    ThrottledError,
    TransactionConflictError,
    UnavailableError,
)
from tests.histories.ages import gone_back, too_old
from tests.histories.linear import misfits, register, versioned_item
from tests.histories.record import Noted, NotedInFile, Operation, Outcome, Recorder, read_notes

OK, REFUSED, FAILED, UNKNOWN = Outcome.OK, Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN


def did(
    action: str,
    span: tuple[float, float],
    argument: Any = None,
    result: Any = None,
    outcome: Outcome = OK,
    process: str = "p",
) -> Operation:
    ended = math.inf if outcome is UNKNOWN else span[1]
    return Operation(process, action, "x", argument, span[0], ended, outcome, result)


def create(span: tuple[float, float], content: str, outcome: Outcome = OK) -> Operation:
    return did("create", span, {"content": content}, [1, content] if outcome is OK else "taken", outcome)


def put(span: tuple[float, float], known: tuple[int, str], content: str, outcome: Outcome = OK) -> Operation:
    told = [known[0] + 1, content] if outcome is OK else "conflict"
    return did("put", span, {"known": list(known), "content": content}, told, outcome)


def delete(span: tuple[float, float], known: tuple[int, str], outcome: Outcome = OK) -> Operation:
    return did("delete", span, {"known": list(known)}, None, outcome)


def read(span: tuple[float, float], version: int | None = None, content: str = "") -> Operation:
    return did("read", span, None, None if version is None else [version, content])


GOOD: dict[str, list[Operation]] = {
    "nothing": [],
    "one after the other": [read((0, 1)), create((2, 3), "a"), read((4, 5), 1, "a"), put((6, 7), (1, "a"), "b")],
    "a read at the same time may see either": [
        create((0, 1), "a"),
        put((2, 9), (1, "a"), "b"),
        read((3, 4), 1, "a"),
        read((5, 6), 2, "b"),
    ],
    "of two puts one is refused": [
        create((0, 1), "a"),
        put((2, 9), (1, "a"), "b"),
        put((2, 9), (1, "a"), "c", REFUSED),
        read((10, 11), 2, "b"),
    ],
    "what is unknown took place late": [
        create((0, 1), "a"),
        put((2, 3), (1, "a"), "b", UNKNOWN),
        read((4, 5), 1, "a"),
        read((6, 7), 2, "b"),
    ],
    "what is unknown never took place": [
        create((0, 1), "a"),
        put((2, 3), (1, "a"), "b", UNKNOWN),
        put((4, 5), (1, "a"), "c"),
        read((6, 7), 2, "c"),
    ],
    "what failed says nothing": [create((0, 1), "a"), put((2, 3), (1, "a"), "b", FAILED), read((4, 5), 1, "a")],
    "deleted and made again": [
        create((0, 1), "a"),
        delete((2, 3), (1, "a")),
        read((4, 5)),
        create((6, 7), "b"),
        put((8, 9), (1, "a"), "c", REFUSED),
    ],
    "an edit that counts nothing refuses a put": [
        create((0, 1), "a"),
        did("edit", (2, 3), {"content": "b"}),
        put((4, 5), (1, "a"), "c", REFUSED),
        put((6, 7), (1, "b"), "d"),
    ],
}
BAD: dict[str, list[Operation]] = {
    "a lost update": [
        create((0, 1), "a"),
        put((2, 3), (1, "a"), "b"),
        put((4, 5), (1, "a"), "c"),
    ],
    "both of two puts that go by the same version": [
        create((0, 1), "a"),
        put((2, 9), (1, "a"), "b"),
        put((2, 9), (1, "a"), "c"),
    ],
    "a stale read": [create((0, 1), "a"), put((2, 3), (1, "a"), "b"), read((4, 5), 1, "a")],
    "two reads that go back": [
        create((0, 1), "a"),
        put((2, 9), (1, "a"), "b"),
        read((3, 4), 2, "b"),
        read((5, 6), 1, "a"),
    ],
    "what was refused was written": [
        create((0, 1), "a"),
        put((2, 3), (1, "a"), "b", REFUSED),
        read((4, 5), 2, "b"),
    ],
    "what failed was written": [create((0, 1), "a"), put((2, 3), (1, "a"), "b", FAILED), read((4, 5), 2, "b")],
    "refused for no reason": [create((0, 1), "a"), put((2, 3), (1, "a"), "b", REFUSED), read((4, 5), 1, "a")],
    "lost": [create((0, 1), "a"), read((2, 3))],
    "brought back": [create((0, 1), "a"), delete((2, 3), (1, "a")), read((4, 5), 1, "a")],
    "a put over another incarnation": [
        create((0, 1), "a"),
        delete((2, 3), (1, "a")),
        create((4, 5), "b"),
        put((6, 7), (1, "a"), "c"),
    ],
    "a put over an edit that counted nothing": [
        create((0, 1), "a"),
        did("edit", (2, 3), {"content": "b"}),
        put((4, 5), (1, "a"), "c"),
    ],
    "a mixture that nobody wrote": [create((0, 1), "a"), read((2, 3), 1, "a and b")],
    "what is unknown took place twice": [
        create((0, 1), "a"),
        put((2, 3), (1, "a"), "b", UNKNOWN),
        put((4, 5), (2, "b"), "c"),
        read((6, 7), 2, "b"),
    ],
    "two who created it": [create((0, 9), "a"), create((0, 9), "b")],
    "a put that told another answer than was written": [
        create((0, 1), "a"),
        did("put", (2, 3), {"known": [1, "a"], "content": "b"}, [2, "a"]),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_a_linearizable_history_of_an_item_passes(name: str) -> None:
    assert misfits(GOOD[name], versioned_item) == []


@pytest.mark.parametrize("name", BAD)
def test_what_no_order_explains_is_found(name: str) -> None:
    assert misfits(BAD[name], versioned_item) != []


def test_a_write_that_takes_place_twice_over_a_later_one_is_found() -> None:
    writes = [did("write", (0, 5), "a"), did("write", (1, 2), "b")]
    good = [*writes, did("read", (3, 4), None, "b"), did("read", (6, 7), None, "a")]
    assert misfits(good, register) == []
    bad = [did("write", (0, 1), "a"), did("write", (2, 3), "b"), did("read", (4, 5), None, "a")]
    assert misfits(bad, register) != []
    twice = [*good[:2], did("read", (2.5, 2.6), None, "a"), did("read", (3, 4), None, "b"), good[3]]
    assert misfits(twice, register) != []


def test_parts_of_two_writes_are_no_value() -> None:
    assert misfits([did("write", (0, 1), "a"), did("read", (0, 2), None, ["a", None])], register) != []


def test_of_two_who_create_one_value_one_is_refused() -> None:
    both = [did("create", (0, 9), "a"), did("create", (0, 9), "a", "taken", REFUSED)]
    assert misfits(both, register) == []
    assert misfits([both[0], did("create", (0, 9), "a")], register) != []


def test_a_long_history_of_many_threads_is_searched_quickly() -> None:
    """8 threads, 4,000 operations, each put overlapping seven that were refused."""
    history = [create((0, 0.5), "0")]
    for number in range(1, 500):
        known = (number, str(number - 1))
        history.append(put((number, number + 0.9), known, str(number)))
        history += [put((number, number + 0.9), known, f"{number} {one}", REFUSED) for one in range(7)]
    assert misfits(history, versioned_item) == []
    assert misfits([*history, read((600, 601), 3, "2")], versioned_item) != []


# ---------------------------------------------------------------------------------------------------------- caches


def wrote(span: tuple[float, float], version: int, process: str = "writer", outcome: Outcome = OK) -> Operation:
    return did("write", span, version, version if outcome is OK else None, outcome, process)


def saw(span: tuple[float, float], version: int, process: str = "reader") -> Operation:
    return did("read", span, None, version, process=process)


def test_a_read_is_as_old_as_the_first_newer_version() -> None:
    history = [wrote((0, 1), 1), wrote((2, 3), 2), wrote((4, 5), 3), saw((6, 7), 1)]
    assert too_old(history, 3.5) == []
    assert len(too_old(history, 2.5)) == 1


def test_a_read_at_the_same_time_as_a_write_is_not_old() -> None:
    assert too_old([wrote((0, 1), 1), wrote((2, 9), 2), saw((3, 10), 1), saw((3, 4), 2)], 0) == []


def test_a_write_of_unknown_outcome_need_not_be_seen_and_may_be() -> None:
    assert too_old([wrote((0, 1), 1), wrote((2, 3), 2, outcome=UNKNOWN), saw((4, 5), 1), saw((6, 7), 2)], 0) == []


def test_a_version_that_nobody_wrote_is_found() -> None:
    assert len(too_old([wrote((0, 1), 1), saw((2, 3), 2)], 60)) == 1


@pytest.mark.parametrize(
    ("history", "count"),
    [
        ([saw((0, 1), 1), saw((2, 3), 2), saw((4, 5), 2)], 0),
        ([saw((0, 1), 2), saw((2, 3), 1)], 1),
        ([saw((0, 1), 2, "one"), saw((2, 3), 1, "other")], 0),
        ([saw((0, 1), 2, "one/1"), saw((2, 3), 1, "one/2")], 1),
        ([saw((0, 3), 2, "one/1"), saw((2, 4), 1, "one/2")], 0),  # at the same time
        ([wrote((0, 1), 2, "one"), saw((2, 3), 1, "one")], 1),  # not what it wrote itself
        ([wrote((0, 1), 2, "one"), saw((2, 3), 1, "other")], 0),
    ],
    ids=["forward", "back", "two processes", "two threads", "overlapping", "own write", "another's write"],
)
def test_no_process_goes_back_behind_what_it_saw_or_wrote(history: list[Operation], count: int) -> None:
    assert len(gone_back(history)) == count


# --------------------------------------------------------------------------------------------------------- recording


def fails(error: Exception) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def test_each_error_is_the_outcome_that_it_says() -> None:
    noted = Noted()
    recorder = Recorder("p", noted)
    lost = UnavailableError("the reply")
    lost.outcome_unknown = True
    conflicts = AlreadyExistsError("x"), TransactionConflictError("x")
    for error in (*conflicts, ThrottledError("x"), UnavailableError("x"), lost, RuleNotFoundError("x")):
        assert recorder.call("read", "x", None, fails(error)) is None
    assert [one.outcome for one in noted] == [REFUSED, FAILED, FAILED, FAILED, UNKNOWN, OK]
    assert [one.ended for one in noted if one.ended == math.inf] == [math.inf]
    with pytest.raises(ZeroDivisionError):
        recorder.call("read", "x", None, lambda: 1 / 0)
    assert noted[-1].outcome is UNKNOWN


def test_what_a_killed_process_had_begun_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    sink = NotedInFile(path)
    Recorder("p", sink).call("write", "x", "a", lambda: 1)
    sink.begin(did("write", (5, 6), "b", outcome=UNKNOWN))
    with path.open("a") as file:
        file.write('{"process": "p", "act')  # the kill came here
    first, second = read_notes([path])
    assert (first.outcome, first.argument, first.result) == (OK, "a", 1)
    assert (second.outcome, second.argument, second.ended) == (UNKNOWN, "b", math.inf)
