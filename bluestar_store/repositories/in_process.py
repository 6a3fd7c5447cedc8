"""Reads that never wait: what this process's cache has at once, else a value that says that it would block."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from enum import Enum
from typing import Any, Final, ParamSpec, TypeVar

from bluestar_store.repositories.base import Reader
from bluestar_store.repositories.sessions import NotInProcessError, Sessions

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R", bound=Reader[Any])


class WouldBlock(Enum):
    """The type of WOULD_BLOCK: the answer of a read that needs more than what is in this process."""

    WOULD_BLOCK = 0


WOULD_BLOCK: Final = WouldBlock.WOULD_BLOCK


def in_process(read: Callable[P, A]) -> Callable[P, A | WouldBlock] | None:
    """A repository's read through the cache as one that never waits: for an event loop.

    It gives and raises what the read does that finds all it needs in this process, else WOULD_BLOCK, and changes
    nothing. None for what is no such read: those are the methods that have a parameter `fresh`.
    """
    repository, function = getattr(read, "__self__", None), getattr(read, "__func__", None)
    if not isinstance(repository, Reader) or "fresh" not in (getattr(function, "__kwdefaults__", None) or ()):
        return None
    sessions = repository._sessions.in_process()  # noqa: SLF001  # of the class above
    here: Callable[P, A] = getattr(_over(repository, sessions), read.__name__)

    def call(*args: P.args, **kwargs: P.kwargs) -> A | WouldBlock:
        try:
            return here(*args, **kwargs)
        except NotInProcessError:
            return WOULD_BLOCK

    def checked_call(*args: P.args, **kwargs: P.kwargs) -> A | WouldBlock:
        before = sessions.last_refused
        try:
            found = here(*args, **kwargs)
        except Exception:
            if sessions.last_refused is before:
                raise
            return WOULD_BLOCK
        return found if sessions.last_refused is before else WOULD_BLOCK

    # A repository of somebody else's may catch the error on its way, and answer something of its own.
    is_ours = type(repository).__module__.startswith("bluestar_store.")
    return call if is_ours else checked_call


def _over(reader: R, sessions: Sessions) -> R:
    """The same reads over other sessions, and so those of the repositories that it has."""
    other = copy(reader)
    for name, value in vars(reader).items():
        if isinstance(value, Reader):
            setattr(other, name, _over(value, sessions))
    other._sessions = sessions  # noqa: SLF001  # of the class above
    return other
