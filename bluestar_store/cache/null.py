"""The cache that keeps nothing: every read is a load."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

U = TypeVar("U", bound=Hashable)
V = TypeVar("V")


class NullCache:
    """Reads go to the engine, writes have nothing to invalidate."""

    def fetch(self, units: Sequence[U], load: Callable[[Sequence[U]], Mapping[U, V]], *, fresh: bool) -> Mapping[U, V]:
        """Whatever `load` gives for all units."""
        return load(units)

    def writing(self, units: Iterable[Hashable]) -> AbstractContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def close(self) -> None:
        """Nothing to do."""
