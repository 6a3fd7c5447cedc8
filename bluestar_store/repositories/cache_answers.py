"""Unpacks what a cache returned: entities, failed reads, and stale values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from bluestar_store.mapping.entity import Entity
from bluestar_store.protocols import FailedRead, Stale
from bluestar_store.redaction.tracebacks import forget_locals

V = TypeVar("V")
E = TypeVar("E", bound=Entity)


def readable(value: V | FailedRead) -> V:
    """The value. Raises the error of one that cannot be read."""
    if isinstance(value, FailedRead):
        forget_locals(value.error)
        raise value.error
    return value


def first_entity(answers: Iterable[Any]) -> Any:
    """The first entity, marked when it, or an absence before it, is past its time; None when all are absent.

    Raises the error of what is reached and cannot be read; and, instead of None, the engine's error when one of the
    absences is past its time: what is not found has to be true.
    """
    error = None
    for answer in answers:
        value = answer
        if isinstance(answer, FailedRead):
            raise answer.error
        if isinstance(answer, Stale):
            error, value = answer.error, answer.value
        if value is not None:
            return value if error is None else marked_stale(value)
    if error is not None:
        raise error
    return None


def marked_partitions(answers: Sequence[Any]) -> list[Any]:
    """Partitions, or what failed in their places; all entities marked when one of the partitions is past its time.

    When one is, and there is no entity at all, each is the engine's error.
    """
    error = next((answer.error for answer in answers if isinstance(answer, Stale)), None)
    if error is None:
        return list(answers)
    values = [answer.value if isinstance(answer, Stale) else answer for answer in answers]
    if not any(isinstance(value, tuple) and value for value in values):
        return [value if isinstance(value, FailedRead) else FailedRead(error) for value in values]
    return [value if isinstance(value, FailedRead) else tuple(map(marked_stale, value)) for value in values]


def marked_stale(entity: E) -> E:
    """A copy that says that it is stale."""
    copy = entity.model_copy()
    return copy if entity.origin is None else copy.read_from(entity.origin.as_stale())
