"""Clears the local variables of the library's frames in tracebacks: items are in them.

Error trackers that report tracebacks with locals would report account numbers. Files, lines and the caller's own frames
stay. Every public class and function is `without_locals`.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import wraps
from traceback import walk_tb
from types import FrameType, FunctionType, TracebackType
from typing import Any, ParamSpec, TypeVar, overload

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_OURS = frozenset(
    (
        "azure", "bluestar_store", "boto3", "botocore", "click", "cryptography", "filelock", "psycopg", "pydantic",
        "pynamodb", "redis", "s3transfer", "sqlalchemy", "tenacity", "typer", "urllib3",
    )
)  # fmt: skip
"""Packages whose frames hold items on their way."""
_BENEATH = sys.stdlib_module_names - {"asyncio"}
"""Modules whose functions they call: http.client has requests in its variables, json whole files."""
_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Of a function whose frame may only be waiting: to clear it would end it."""
_YIELD = dis.opmap["YIELD_VALUE"]
"""Where all of them wait."""
_SPECIAL = ("__aenter__", "__aexit__", "__call__", "__enter__", "__exit__", "__init__")
"""Methods that are public beside those without an underscore."""


def forget_locals(error: BaseException) -> None:
    """Clear the variables of all frames of these packages that an error, and those before it, came through.

    Frames that still run keep theirs, and what the caller had raised before this call stays as it is.
    """
    pending: list[BaseException | None] = [error]
    known: set[int] = set()
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in known:
            known.add(id(one))
            is_callers = _is_callers(one)
            if one is error or not is_callers:
                _clear(one.__traceback__)
            if is_callers:
                continue
            _forget_items(getattr(one, "response", None))
            if one.__suppress_context__ and not (one.__context__ and _is_callers(one.__context__)):
                one.__context__ = None  # nobody is shown it, and a parser's error has the whole file in it
            pending += [one.__cause__, one.__context__]


def _is_callers(error: BaseException) -> bool:
    """Whether an error came through a frame above the public call that fails: the caller handles it meanwhile."""
    passed = {id(frame) for frame, _ in walk_tb(error.__traceback__)}
    above: FrameType | None = sys._getframe(2).f_back  # above whoever called `forget_locals`
    while above is not None and id(above) not in passed:
        above = above.f_back
    return above is not None


def _forget_items(answer: object) -> None:
    """Take the items out of what DynamoDB answers to a condition that does not hold: botocore's errors keep it."""
    if isinstance(answer, dict):
        answer.pop("Item", None)
        reasons = answer.get("CancellationReasons")
        for reason in reasons if isinstance(reasons, list) else ():
            if isinstance(reason, dict):
                reason.pop("Item", None)


def _clear(traceback: TracebackType | None) -> None:
    for frame, _ in walk_tb(traceback):
        if _is_ours(frame) and not _is_waiting(frame):
            with suppress(RuntimeError):  # it still runs
                frame.clear()


def _is_ours(frame: FrameType) -> bool:
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package in _OURS or package in _BENEATH


def _is_waiting(frame: FrameType) -> bool:
    """Whether it may be a generator's or coroutine's that goes on later; it handled the error itself."""
    code = frame.f_code
    return bool(code.co_flags & _SUSPENDED) and code.co_code[frame.f_lasti] == _YIELD


@overload
def without_locals(what: type[T]) -> type[T]: ...
@overload
def without_locals(what: Callable[P, R]) -> Callable[P, R]: ...
def without_locals(what: Any) -> Any:
    """The same call, whose errors keep no variables of the library's frames: see `forget_locals`.

    Of a class: all its public methods are, those that are inherited as their own class says.
    """
    if not isinstance(what, type):
        return _quiet(what)
    for name, method in list(vars(what).items()):
        if name in _SPECIAL or not name.startswith("_"):
            if isinstance(method, FunctionType):
                setattr(what, name, _quiet(method))
            elif isinstance(method, classmethod | staticmethod):
                setattr(what, name, type(method)(_quiet(method.__func__)))
    return what


def _quiet(call: Any) -> Any:
    if inspect.iscoroutinefunction(call):
        quiet = _awaited(call)
    elif inspect.isgeneratorfunction(inspect.unwrap(call)):
        # What `contextmanager` made is made again of its function, which the block's own errors go through, too.
        quiet = _iterated(call) if inspect.isgeneratorfunction(call) else contextmanager(_iterated(call.__wrapped__))
    else:
        quiet = _called(call)
    return wraps(call)(quiet)


def _called(call: Callable[P, R]) -> Callable[P, R]:
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            forget_locals(error)
            del args, kwargs
            raise

    return quiet


def _awaited(call: Callable[..., Any]) -> Callable[..., Any]:
    async def quiet(*args: Any, **kwargs: Any) -> Any:
        try:
            return await call(*args, **kwargs)
        except BaseException as error:
            forget_locals(error)
            del args, kwargs
            raise

    return quiet


def _iterated(call: Callable[..., Any]) -> Callable[..., Any]:
    def quiet(*args: Any, **kwargs: Any) -> Any:
        try:
            return (yield from call(*args, **kwargs))
        except BaseException as error:
            forget_locals(error)
            del args, kwargs
            raise

    return quiet
