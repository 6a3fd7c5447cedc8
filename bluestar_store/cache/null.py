"""The cache that stores nothing, and what a cache of somebody's own lacks that repositories ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from bluestar_store.protocols import MISSING, BeforeAttempt, Cache, CacheKey, ConsistentCache, DerivedValues, Source


class NullCache:
    """Every read is a load. Writes have nothing to invalidate."""

    def peek(self, cache_key: CacheKey, /) -> Any:
        """MISSING."""
        return MISSING

    def peek_first(self, kind: CacheKey, own: CacheKey, other: CacheKey, derived: DerivedValues, /) -> Any:
        """MISSING."""
        return MISSING

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool], /) -> list[Any] | None:
        """None."""
        return None

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, /, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """The values that the source loads."""
        return source.load(list(dict.fromkeys(cache_keys)))

    def writing(self, cache_keys: Iterable[CacheKey], /) -> AbstractContextManager[BeforeAttempt | None]:
        """Nothing to do."""
        return nullcontext()

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Nothing to do."""


class _Completed(NullCache):
    """A Cache of four methods, as release 0.1.0 has them: what needs more goes to `fetch`, and reads look again."""

    def __init__(self, cache: Cache) -> None:
        # Assigned, not called through: a hit must not cost one call more.
        self.peek, self.fetch, self.writing, self.close = cache.peek, cache.fetch, cache.writing, cache.close  # type: ignore[method-assign]

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """True: it may have been."""
        return True


def consistent(cache: Cache) -> ConsistentCache:
    """The cache with the methods of ConsistentCache: its own, where it has all of them."""
    if all(hasattr(cache, name) for name in ("peek_first", "peek_all", "changed_lately")):
        return cast(ConsistentCache, cache)
    return _Completed(cache)
