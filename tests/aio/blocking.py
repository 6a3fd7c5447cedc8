"""The async side as if it were the sync one: each call awaited in an event loop of its own thread.

So the suite that a Store has to pass holds the AsyncStore to the same answers and errors.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from types import TracebackType
from typing import Any, Self

from bluestar_store import AsyncStore
from bluestar_store.aio.repositories import AsyncReader
from bluestar_store.unit_of_work import UnitOfWork

WAIT_SECONDS = 30.0


class Loop:
    """An event loop in a thread, for the length of a `with` block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def blocking(self, function: Any) -> Any:
        """A coroutine function as a function, awaited in the context of whoever calls it."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(function(*args, **kwargs), self._loop).result(WAIT_SECONDS)

        return call


class Blocking:
    """An AsyncStore or a repository of one. What it does not have (the engine, the tables) is the sync one's."""

    def __init__(self, target: Any, sync: Any, loop: Loop) -> None:
        self._target, self._sync, self._loop = target, sync, loop

    def unit_of_work(self) -> UnitOfWork[Any]:
        """Of the sync Store: a `with` block cannot await."""
        return UnitOfWork(self, self._sync.sessions)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name, None)
        if inspect.iscoroutinefunction(found):
            return self._loop.blocking(found)
        sync = getattr(self._sync, name)
        return Blocking(found, sync, self._loop) if isinstance(found, AsyncReader) else sync


def blocking(store: AsyncStore, loop: Loop) -> Any:
    """A Store whose every call goes through the AsyncStore."""
    return Blocking(store, store.store, loop)
