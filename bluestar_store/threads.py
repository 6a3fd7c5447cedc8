"""A few threads, made when there is work for them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import Context, copy_context
from functools import partial
from typing import Final, TypeVar

from bluestar_store.errors import UnavailableError
from bluestar_store.forking import remember

T = TypeVar("T")
V = TypeVar("V")
_END: Final = object()


def ahead(*sources: Iterator[T], over: threading.Event | None = None) -> Generator[T]:
    """The values of all sources as they come, those of each in its order.

    The next one of each is made in a thread of its own while the caller is busy. Raises what a source raises. Close it
    to leave early (`contextlib.closing`): then nothing is running any more. `over` is set when no more values are
    wanted, before those that are being made are waited for. UnavailableError in a forked child.
    """
    process = os.getpid()
    with ThreadPoolExecutor(len(sources), thread_name_prefix="bluestar-ahead") as executor:

        def begun(source: Iterator[T]) -> Future[T | object]:
            return executor.submit(partial(copy_context().run, next, source, _END))

        try:
            coming = {begun(source): source for source in sources}
            while coming:
                for done in wait(coming, return_when=FIRST_COMPLETED).done:
                    source = coming.pop(done)
                    if (value := done.result()) is not _END:
                        coming[begun(source)] = source
                        yield value  # type: ignore[misc]  # it is not _END
                        _check_process(process)
        finally:
            if over is not None:
                over.set()


def side_by_side(most: int, call: Callable[[V], T], values: Sequence[V]) -> Generator[T]:
    """What the call gives for each value, in their order; so many calls are under way at once.

    After the first error no other call begins, and it is raised when those under way are over. Close it to leave early
    (`contextlib.closing`). UnavailableError in a forked child.
    """
    process = os.getpid()
    if most < 2 or len(values) < 2:
        yield from map(call, values)
        return
    contexts = [copy_context() for _ in values]  # one cannot be entered twice at once
    failed: list[BaseException] = []

    def unless_failed(context: Context, value: V) -> T:
        if failed:
            raise failed[0]
        try:
            return context.run(call, value)
        except BaseException as error:
            failed.append(error)
            raise

    with ThreadPoolExecutor(most, thread_name_prefix="bluestar-side") as executor:
        for answer in executor.map(unless_failed, contexts, values):
            yield answer
            _check_process(process)


def _check_process(process: int) -> None:
    """UnavailableError in a forked child of this process: the threads that it would wait for are its parent's."""
    if process != os.getpid():
        raise UnavailableError("a forked child cannot go on with what its parent's threads are at: begin anew")


class Threads:
    """Runs calls in so many threads, which are made by the first call. Safe for threads and for fork."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: its parent's threads are not there, and its lock may be held by one of them."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have it called soon, in its turn."""
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
            return self._executor.submit(call)

    def close(self) -> None:
        """End the threads, when all that was submitted is done; a later call makes new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown()
