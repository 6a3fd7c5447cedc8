"""Merges that others come in between, or that stop half-way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bluestar_store import Store
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Write


class Killed(BaseException):
    """The process is gone."""


class Between:
    """An engine that does something just before one of its calls, by number from 1; of those about a partition."""

    def __init__(
        self, engine: Engine, number: int, act: Callable[[], object], calls: tuple[str, ...], pk: str | None = None
    ) -> None:
        self._engine, self._left, self._act, self._calls, self._pk = engine, number, act, calls, pk
        self._lock = threading.Lock()

    @property
    def acted(self) -> bool:
        """Whether there were so many calls."""
        return self._left <= 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name not in self._calls:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                counts = self._pk is None or self._pk in partitions(arguments)
                self._left -= counts
                now = counts and self._left == 0
            if now:
                self._act()
            return found(*arguments, **options)

        return call


def partitions(arguments: Iterable[Any]) -> Iterator[str]:
    """The partition keys in the arguments of a call."""
    for argument in arguments:
        if isinstance(argument, str):
            yield argument
        elif isinstance(argument, Key):
            yield argument.pk
        elif isinstance(argument, list):
            yield from partitions(argument)
        elif isinstance(key := getattr(argument, "key", None), Key):
            yield key.pk


class KilledBefore:
    """An engine whose process is gone before it writes an item."""

    def __init__(self, engine: Engine, key: Key) -> None:
        self._engine, self._key = engine, key

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def write(self, *writes: Write) -> None:
        if any(write.key == self._key for write in writes):
            raise Killed
        self._engine.write(*writes)


class Beside:
    """A Store whose items are reached by way of another engine."""

    def __init__(self, store: Store, engine: Any) -> None:
        self._store, self.engine = store, engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
