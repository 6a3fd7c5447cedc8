"""What an engine tells of before it sends a write: whoever barred items for a while sees whether they still are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_told: ContextVar[Callable[[], None] | None] = ContextVar("bluestar_before_sending", default=None)


@contextmanager
def before_each_sending(tell: Callable[[], None]) -> Iterator[None]:
    """Within the block, in this context, have it called before each try to write."""
    token = _told.set(tell)
    try:
        yield
    finally:
        _told.reset(token)


def about_to_send() -> None:
    """An engine is about to try a write, maybe for the second time, maybe after it waited long for a lock."""
    tell = _told.get()
    if tell is not None:
        tell()
