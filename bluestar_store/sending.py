"""A hook that engines call before each attempt at a write: a cache checks there that its tombstones still stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_told: ContextVar[Callable[[], None] | None] = ContextVar("bluestar_before_sending", default=None)


@contextmanager
def before_each_sending(tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` before each attempt at a write that is made within the block, in this context."""
    token = _told.set(tell)
    try:
        yield
    finally:
        _told.reset(token)


def about_to_send() -> None:
    """Called by an engine before each attempt at a write, after any wait for a lock."""
    tell = _told.get()
    if tell is not None:
        tell()
