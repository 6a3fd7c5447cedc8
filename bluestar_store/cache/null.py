"""The cache that stores nothing: every read is a load."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from bluestar_store.protocols import MISSING, CacheKey, Heirs, Source


class NullCache:
    """Reads go to the engine, writes have nothing to invalidate."""

    def peek(self, cache_key: CacheKey) -> Any:
        """MISSING."""
        return MISSING

    def peek_first(self, kind: CacheKey, own: CacheKey, other: CacheKey, heirs: Heirs) -> Any:
        """MISSING."""
        return MISSING

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool]) -> list[Any] | None:
        """None."""
        return None

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """The values that the source loads."""
        return source.load(list(dict.fromkeys(cache_keys)))

    def writing(self, cache_keys: Iterable[CacheKey]) -> AbstractContextManager[None]:
        """Nothing to do."""
        return nullcontext()

    def changed_lately(self, cache_key: CacheKey) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Nothing to do."""
