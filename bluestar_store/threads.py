"""A small pool of threads, started when there is work.

If no thread can be started (the interpreter is shutting down, or the system allows no more), the caller's own thread
does the work: see `Pool`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import Context, copy_context
from functools import partial
from typing import Final, Self, TypeVar

from bluestar_store.errors import UnavailableError
from bluestar_store.forking import remember

T = TypeVar("T")
V = TypeVar("V")
_END: Final = object()


class Pool:
    """Like ThreadPoolExecutor, but if no thread can be started, `submit` makes the call itself.

    concurrent.futures refuses work once the main thread is over, though other threads still run and atexit functions
    still read. A call that it has queued before a new thread could not be started is made once, by whoever is first.
    """

    def __init__(self, most: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(most, thread_name_prefix=name)

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """What the call will give. It has been made already when no thread could be had for it."""
        future: Future[T] = Future()
        waiting = [call]  # whoever takes it from here makes the call

        def make() -> None:
            try:
                waiting.pop()
            except IndexError:
                return
            _make(call, future)

        try:
            self._executor.submit(make)
        except RuntimeError:  # see above; also of an executor that was closed meanwhile
            make()
        return future

    def map(self, call: Callable[[V], T], values: Iterable[V]) -> Iterator[T]:
        """What the call gives for each value, in their order; all are begun at once. Raises the first error.

        Whoever leaves early lets those that have not begun be.
        """
        futures = [self.submit(partial(call, value)) for value in values]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Wait for what was submitted, and end the threads."""
        self._executor.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make(call: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        answer = call()
    except BaseException as error:
        del call  # whoever waits for it may report this frame, too
        future.set_exception(error)
    else:
        future.set_result(answer)


async def in_another_thread(call: Callable[[], T]) -> T:
    """Like asyncio.to_thread; where no thread can be had, the call is made in this one."""
    import asyncio

    future: Future[T] = Future()
    make = partial(_make, partial(copy_context().run, call), future)
    if not began(threading.Thread(target=make, name="bluestar-call")):
        make()
    return await asyncio.wrap_future(future)


def began(thread: threading.Thread) -> bool:
    """Start a thread; whether that could be done."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def ahead(*sources: Iterator[T], over: threading.Event | None = None) -> Generator[T]:
    """The values of all sources as they come, those of each in its order.

    The next one of each is made in a thread of its own while the caller is busy. Raises what a source raises. Close it
    to leave early (`contextlib.closing`): then nothing is running any more. `over` is set when no more values are
    wanted, before those that are being made are waited for. UnavailableError in a forked child.
    """
    process = os.getpid()
    with Pool(len(sources), "bluestar-ahead") as pool:

        def begun(source: Iterator[T]) -> Future[T | object]:
            return pool.submit(partial(copy_context().run, next, source, _END))

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

    with Pool(most, "bluestar-side") as pool:
        for answer in pool.map(lambda one: unless_failed(*one), list(zip(contexts, values, strict=True))):
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
        self._pool: Pool | None = None

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have it called soon, in its turn; at once, by the caller, where no thread can be had."""
        with self._lock:
            if self._pool is None:
                self._pool = Pool(self._most, self._name)
            pool = self._pool
        return pool.submit(call)  # not under the lock: it may make the call itself

    def close(self) -> None:
        """End the threads, when all that was submitted is done; a later call makes new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
