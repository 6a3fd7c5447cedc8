"""The cache that keeps nothing: every read is a load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bluestar_store.protocols import MISSING, Heirs, Source, Unit


class NullCache:
    """Reads go to the engine, writes have nothing to invalidate."""

    def peek(self, unit: Unit) -> Any:
        """MISSING."""
        return MISSING

    def peek_first(self, kind: Unit, own: Unit, other: Unit, heirs: Heirs) -> Any:
        """MISSING."""
        return MISSING

    def peek_all(self, units: Sequence[Unit], settles: Callable[[Any], bool]) -> list[Any] | None:
        """None."""
        return None

    def fetch(self, units: Sequence[Unit], source: Source, *, fresh: bool) -> Mapping[Unit, Any]:
        """Whatever the source loads."""
        return source.load(list(dict.fromkeys(units)))

    def writing(self, units: Iterable[Unit]) -> AbstractContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def changed_lately(self, unit: Unit) -> bool:
        """Not that it knew of."""
        return False

    def close(self) -> None:
        """Nothing to do."""
