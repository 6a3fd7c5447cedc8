"""Whether a history is linearizable: whether each operation could have taken place at one moment between its beginning
and its end, all one after the other, each as the model says.

The search is Wing and Gong's, with the states that were come to before left out (Lowe). Operations of unknown outcome
may have taken place at any time after they began, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.histories.record import Operation, Outcome


class Illegal:
    """The type of ILLEGAL."""


ILLEGAL: Final = Illegal()
"""What a model gives for an operation that cannot have that outcome in that state."""

#: The state after an operation, given the state before it; ILLEGAL. States are hashable.
Model = Callable[[Any, Operation], Hashable]


@dataclass(frozen=True)
class _Point:
    """Where a search is: every operation before `first` has its place, so have those of `later` and of `guessed`."""

    first: int
    later: frozenset[int]
    guessed: frozenset[int]
    state: Any


def misfits(operations: Sequence[Operation], model: Model, initial: Hashable = None) -> list[Operation]:
    """Nothing for a linearizable history; else those operations, one of which has no place however they are ordered.

    They are the ones that could have come next where the search got furthest. What FAILED is left out, and what is
    UNKNOWN is guessed: taken where the model allows it, or never.
    """
    sure = sorted(
        (one for one in operations if one.outcome in (Outcome.OK, Outcome.REFUSED)), key=lambda one: one.began
    )
    unknown = [one for one in operations if one.outcome is Outcome.UNKNOWN]
    start = _Point(0, frozenset(), frozenset(), initial)
    stack, seen, furthest = [start], {start}, start
    while stack:
        point = stack.pop()
        if point.first == len(sure):
            return []
        if _placed(point) > _placed(furthest):
            furthest = point
        for following in _following(point, sure, unknown, model):
            if following not in seen:
                seen.add(following)
                stack.append(following)
    return [sure[number] for number in _next(furthest, sure)]


def told(wrong: Sequence[Operation], history: Sequence[Operation], before: int = 12) -> str:
    """What `misfits` found, in words, with what had been done shortly before."""
    if not wrong:
        return "linearizable"
    first = min(one.began for one in wrong)
    earlier = [one for one in history if one.began < first and one.outcome is not Outcome.REFUSED]
    lines = ["...", *earlier[-before:], "and then no order gives a place to each of these:", *wrong]
    return "\n".join(map(str, lines))


def _placed(point: _Point) -> int:
    return point.first + len(point.later)


def _next(point: _Point, sure: Sequence[Operation]) -> list[int]:
    """Those that may come next: none that has no place yet ended before they began."""
    found: list[int] = []
    ended = sure[point.first].ended
    for number in range(point.first, len(sure)):
        if sure[number].began > ended:
            break
        if number not in point.later:
            found.append(number)
            ended = min(ended, sure[number].ended)
    return [number for number in found if sure[number].began <= ended]


def _following(point: _Point, sure: Sequence[Operation], unknown: Sequence[Operation], model: Model) -> list[_Point]:
    found: list[_Point] = []
    candidates = _next(point, sure)
    ended = min(sure[number].ended for number in candidates)
    for number, one in enumerate(unknown):  # first, so that they are tried last
        if number not in point.guessed and one.began <= ended:
            state = model(point.state, one)
            if state is not ILLEGAL and state != point.state:
                found.append(_Point(point.first, point.later, point.guessed | {number}, state))
    for number in reversed(candidates):
        state = model(point.state, sure[number])
        if state is not ILLEGAL:
            first, later = point.first, point.later | {number}
            while first in later:
                later -= {first}
                first += 1
            found.append(_Point(first, later, point.guessed, state))
    return found


def versioned_item(state: tuple[int, str] | None, operation: Operation) -> Hashable:
    """One item that counts its versions, as `(version, content)`; None while it is not there. Contents are unique.

    `read` gives it. `create` expects nothing there; `put` and `delete` name the version and content that they go by,
    so a put over another incarnation, or over an edit that counted no version, is ILLEGAL. `edit` is another
    program's: it changes the content and counts nothing. What `create` and `put` give is what is there afterwards.
    """
    refused = operation.outcome is Outcome.REFUSED
    known = None if operation.argument is None else operation.argument.get("known")
    content = None if operation.argument is None else operation.argument.get("content")
    expected = None if known is None else (int(known[0]), str(known[1]))
    match operation.action:
        case "read":
            found = None if operation.result is None else (int(operation.result[0]), str(operation.result[1]))
            return state if found == state else ILLEGAL
        case "edit":
            if refused:
                return state if state is None else ILLEGAL
            return ILLEGAL if state is None else (state[0], str(content))
        case "create" | "put" | "delete":
            if refused:
                return state if state != expected else ILLEGAL
            if state != expected:
                return ILLEGAL
            after = None if operation.action == "delete" else ((state[0] if state else 0) + 1, str(content))
            told = operation.result if operation.outcome is Outcome.OK else None
            if told is not None and (int(told[0]), str(told[1])) != after:
                return ILLEGAL
            return after
        case _:
            raise AssertionError(f"the model knows no {operation.action}")


def register(state: str | None, operation: Operation) -> Hashable:
    """One value, or several that are written together, as text; None while there is none.

    `write` sets it, `delete` takes it away, `read` gives it, and `create` expects that there is none.
    A read that found parts of two writes gives a list of them, which is ILLEGAL in every state.
    """
    if operation.outcome is Outcome.REFUSED and operation.action != "create":
        return state
    match operation.action:
        case "read":
            return state if operation.result == state else ILLEGAL
        case "write":
            return str(operation.argument)
        case "delete":
            return None
        case "create":
            if operation.outcome is Outcome.REFUSED:
                return state if state is not None else ILLEGAL
            return str(operation.argument) if state is None else ILLEGAL
        case _:
            raise AssertionError(f"the model knows no {operation.action}")
