"""Errors without the local variables of the library's frames, in which items lie as they are stored.

Whoever reports a traceback with its locals, as error trackers do, would report account numbers. Files, lines and the
caller's own frames stay.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_OURS = ("bluestar_store", "botocore", "pynamodb", "urllib3", "redis", "pydantic")
"""Packages whose frames hold items on their way."""


def forget_locals(error: BaseException) -> None:
    """Clear the variables of all frames of these packages that an error, and those before it, came through.

    Frames that still run keep theirs.
    """
    pending: list[BaseException | None] = [error]
    known: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            _clear(one.__traceback__)
            if one.__suppress_context__:
                one.__context__ = None  # nobody is shown it, and a parser's error has the whole file in it
            pending += [one.__cause__, one.__context__]


def _clear(traceback: TracebackType | None) -> None:
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
            with suppress(RuntimeError):  # it still runs
                frame.clear()
        traceback = traceback.tb_next


def without_locals(call: Callable[P, R]) -> Callable[P, R]:
    """The same call, whose errors keep no variables of the library's frames: see `forget_locals`."""

    @wraps(call)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            forget_locals(error)
            del args, kwargs
            raise

    return quiet
