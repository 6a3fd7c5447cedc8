"""The cache between repositories and the engine: values in this process, over values in Redis, over the engine."""

from bluestar_store.cache.control import (
    CacheControl,
    CacheRequest,
    Explanation,
    NullCache,
    OpenedCache,
    open_cache,
    open_in_process,
    open_on_redis,
    open_requested,
)
from bluestar_store.cache.limits import CacheStats

__all__ = [
    "CacheControl",
    "CacheRequest",
    "CacheStats",
    "Explanation",
    "NullCache",
    "OpenedCache",
    "open_cache",
    "open_in_process",
    "open_on_redis",
    "open_requested",
]
