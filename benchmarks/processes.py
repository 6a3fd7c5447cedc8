"""Other processes that take part in a measurement: started anew (no fork), told what to do over a pipe."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

SECONDS = 120.0
"""A process that says nothing for so long is given up."""


@contextmanager
def partner(target: Callable[..., None], *arguments: Any) -> Iterator[Connection]:
    """Run `target(connection, *arguments)` in a process of its own, which ends with the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()


def heard(connection: Connection) -> Any:
    """What the other side says next. TimeoutError when it says nothing, EOFError when it has died."""
    if not connection.poll(SECONDS):
        raise TimeoutError(f"a process of the benchmark said nothing for {SECONDS:g} s")
    return connection.recv()
