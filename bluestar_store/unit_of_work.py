"""Units of work: several writes as one transaction, or none of them.

Whoever writes within one, by any repository of the same Store, writes into it; a write that finds none makes its own.
Which one is open goes with the context (`contextvars`): a coroutine and what it awaits share it, another thread begins
with none, and so does a forked child.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Token
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, overload

from bluestar_store.errors import InvalidWriteError
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.repositories.transaction import Transaction
from bluestar_store.threads import in_another_thread

__all__ = ["AsyncUnitOfWork", "UnitOfWork", "unit_of_work"]

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=Callable[..., Coroutine[Any, Any, Any]])
S = TypeVar("S")
InThread: TypeAlias = Callable[[Callable[[], None]], Awaitable[None]]
"""Makes a call in a thread, in the context of here."""


@without_locals
class AsyncUnitOfWork(Generic[S]):
    """`async with`: commits when the block ends well, drops everything when it raises.

    The block is given the Store. Within another unit of work of the same Store it is a part of that one: when it
    raises, nothing of that one is written either, even if somebody catches the error, for it may have done half of its
    work. The commit raises the error of the first write whose condition fails; then nothing of the unit was written.
    It is made in a thread, which a cancelled task does not interrupt: all of the unit is written, or nothing. It raises
    InvalidWriteError while a block within the unit is still open, in a task or a generator.

    One object is for one block at a time: InvalidWriteError for one that is in use, and if a forked child comes to the
    end of a block of its parent's, which only the parent commits.
    """

    def __init__(self, store: S, sessions: Sessions, in_thread: InThread = in_another_thread) -> None:
        self._store, self._sessions, self._in_thread = store, sessions, in_thread
        self._in_use = threading.Lock()
        self._outer: Transaction | None = None
        self._opened: tuple[Transaction, Token[Transaction | None]] | None = None
        self._process = os.getpid()

    def _enter(self) -> S:
        if not self._in_use.acquire(blocking=False):
            raise InvalidWriteError(
                "this unit of work is in use by another block, or by the one around this one: "
                "call store.unit_of_work() for each"
            )
        try:
            self._process = os.getpid()
            self._outer = self._sessions.unit_here()
            self._opened = self._sessions.begin() if self._outer is None else None
            if self._outer is not None:
                self._outer.begin_part()
        except BaseException:
            self._in_use.release()
            raise
        return self._store

    def _leave(self, error: BaseException | None) -> Transaction | None:
        """The unit to commit or drop, if it is this block's own."""
        outer, opened = self._outer, self._opened
        self._in_use.release()
        if self._process != os.getpid():
            if error is None:
                for unit in (outer, opened and opened[0]):
                    if unit is not None:
                        unit.check_process()
            return None
        if outer is not None:
            outer.end_part(error)
        if opened is None:
            return None
        transaction, token = opened
        if error is None and not self._sessions.is_begun_here(transaction, token):
            transaction.drop()
            raise InvalidWriteError(
                "this unit of work was entered in another context (contextvars) than it is left in, so what was done "
                "in between may lie outside of it: nothing of it is written; enter and leave it in one function"
            )
        return transaction

    @property
    def is_part(self) -> bool:
        """Whether the block would be a part of a unit that is open here already."""
        return self._sessions.unit_here() is not None

    async def __aenter__(self) -> S:
        return self._enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (transaction := self._leave(error)) is None:
            return
        try:
            if error is None:
                await self._in_thread(functools.partial(self._sessions.commit, transaction))
        finally:
            self._sessions.end(transaction)


@without_locals
class UnitOfWork(AsyncUnitOfWork[S]):
    """`with`, and `async with` too."""

    def __enter__(self) -> S:
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if (transaction := self._leave(error)) is None:
            return
        try:
            if error is None:
                self._sessions.commit(transaction)
        finally:
            self._sessions.end(transaction)


class HasUnits(Protocol):
    """A Store."""

    def unit_of_work(self) -> UnitOfWork[Any]: ...


class HasAsyncUnits(Protocol):
    """An AsyncStore."""

    def unit_of_work(self) -> AsyncUnitOfWork[Any]: ...


@overload
def unit_of_work(store: HasUnits) -> Callable[[F], F]: ...
@overload
def unit_of_work(store: HasAsyncUnits) -> Callable[[C], C]: ...
def unit_of_work(store: HasUnits | HasAsyncUnits) -> Callable[[Any], Any]:
    """Decorates a function or a coroutine function: each call is a unit of work, or a part of its caller's.

    TypeError for a function whose work is not done when it returns (a generator function, or one that turns out to
    return a coroutine): it would write outside of its unit. With an AsyncStore coroutine functions only.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator function: what it does would be done after its unit of work")
        if inspect.iscoroutinefunction(function):

            @without_locals
            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with store.unit_of_work():
                    return await function(*args, **kwargs)

            return awaited

        if not isinstance(store.unit_of_work(), UnitOfWork):
            raise TypeError(f"{function!r} is no coroutine function, and an AsyncStore's commit has to be awaited")
        blocking = cast("HasUnits", store)

        @without_locals
        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with blocking.unit_of_work():
                returned = function(*args, **kwargs)
                if inspect.iscoroutine(returned):
                    returned.close()
                    raise TypeError(f"{function!r} returned a coroutine and is no coroutine function: decorate that")
                return returned

        return called

    return decorate
