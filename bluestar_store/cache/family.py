"""The caches of one process: those of the same environment tell each other of writes."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bluestar_store.cache.tiered import TieredCache

_caches: weakref.WeakSet[TieredCache] = weakref.WeakSet()


def join(cache: TieredCache) -> None:
    """From now on it is told."""
    _caches.add(cache)


def leave(cache: TieredCache) -> None:
    """It is told no more."""
    _caches.discard(cache)


def of(namespace: str) -> list[TieredCache]:
    """The open caches of one environment."""
    return [cache for cache in list(_caches) if cache.namespace == namespace]
