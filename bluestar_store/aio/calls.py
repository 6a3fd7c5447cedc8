"""How the Store's calls are awaited: what this process's cache has at once, the rest in threads."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from bluestar_store.redaction.tracebacks import forget_locals, without_locals
from bluestar_store.repositories.in_process import WouldBlock, in_process
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.threads import Threads

P = ParamSpec("P")
R = TypeVar("R")


class AsyncCalls:
    """Makes coroutine functions of a Store's methods, with the same parameters, answers and errors.

    Each call that needs more than this process's cache is made in one of the threads, in the context of whoever awaits
    it, and so within the unit of work that is open there. When it is cancelled before its turn it is not made; once
    begun it goes on to its end, with nobody waiting. Not bound to an event loop.
    """

    def __init__(self, sessions: Sessions, threads: Threads) -> None:
        self._sessions, self._threads = sessions, threads

    def awaited(self, function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
        """For a function that may block."""

        @without_locals
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return await self.run(partial(function, *args, **kwargs))

        return call

    def cached(self, function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
        """For a repository's read through the cache: what is in this process is answered without a thread.

        That is a method with a parameter `fresh`; of anything else each call is made in a thread. Within a unit of work
        every read goes past the cache.
        """
        here = in_process(function)
        if here is None:
            return self.awaited(function)

        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:  # not `without_locals`, which would be another coroutine for each hit
                found = here(*args, **kwargs)
                if not isinstance(found, WouldBlock):
                    return found
                return await self.run(partial(function, *args, **kwargs))
            except BaseException as error:
                forget_locals(error)
                del args, kwargs
                raise

        return call

    async def run(self, call: Callable[[], R]) -> R:
        """What a call returns or raises that is made in a thread, as a part of the unit of work that is open here."""
        unit = self._sessions.unit_here()
        return await self.in_thread(call if unit is None else partial(unit.call, call))

    async def in_thread(self, call: Callable[[], R]) -> R:
        """What a call returns or raises that is made in a thread, in this context."""
        return await asyncio.wrap_future(self._threads.submit(partial(copy_context().run, call)))
