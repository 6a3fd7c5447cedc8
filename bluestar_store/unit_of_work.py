"""Units of work: several writes as one transaction, or none of them.

Whoever writes within one, by any repository of the same Store, writes into it; a write that finds none makes its own.
Which one is open goes with the context (`contextvars`): a coroutine and what it awaits share it, another thread begins
with none.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import Token, copy_context
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from bluestar_store.repositories.access import Access
from bluestar_store.repositories.transaction import Transaction

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S")


class UnitOfWork(Generic[S]):
    """`with` and `async with`: commits when the block ends well, drops everything when it raises.

    The block is given the Store. Within another unit of work of the same Store it is a part of that one. The commit
    raises what the first write that does not hold would have raised; then nothing of the unit was written. One object
    for one block.
    """

    def __init__(self, store: S, access: Access) -> None:
        self._store, self._access = store, access
        self._block: AbstractContextManager[Transaction] | None = None
        self._opened: tuple[Transaction, Token[Transaction | None]] | None = None

    def __enter__(self) -> S:
        self._block = self._access.unit()
        self._block.__enter__()
        return self._store

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._block is not None:
            self._block.__exit__(kind, error, traceback)

    async def __aenter__(self) -> S:
        self._opened = None if self._access.unit_here() is not None else self._access.begin()
        return self._store

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened is None:
            return
        transaction, token = self._opened
        try:
            if error is None:
                # In a thread: the loop goes on meanwhile. Whoever stops waiting does not stop it half-way.
                await asyncio.to_thread(copy_context().run, self._access.commit, transaction)
        finally:
            self._access.end(token)


class HasUnits(Protocol):
    """A Store."""

    def unit_of_work(self) -> UnitOfWork[Any]: ...


def unit_of_work(store: HasUnits) -> Callable[[F], F]:
    """Decorates a function or a coroutine function: each call is a unit of work, or a part of its caller's."""

    def decorate(function: F) -> F:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                async with store.unit_of_work():
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]  # the same signature

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with store.unit_of_work():
                return function(*args, **kwargs)

        return called  # type: ignore[return-value]  # the same signature

    return decorate
