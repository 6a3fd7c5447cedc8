"""`AsyncStore.cache`: what people and programs ask of the cache itself, awaited where Redis may be asked."""

from __future__ import annotations

from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.cache import CacheControl


class AsyncCacheControl:
    """See `CacheControl`. `stats` and `listen` send nothing and are not awaited."""

    def __init__(self, calls: AsyncCalls, cache: CacheControl) -> None:
        self.stats, self.listen = cache.stats, cache.listen
        self.invalidate = calls.awaited(cache.invalidate)
        self.clear = calls.awaited(cache.clear)
        self.explain = calls.awaited(cache.explain)
        self.held = calls.awaited(cache.held)
