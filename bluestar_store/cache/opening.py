"""Making the cache that the settings ask for. Redis's library is loaded only when a second tier is wanted."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.matching import Fields
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.settings import Settings


def open_cache(
    settings: Settings, namespace: str, fields: Fields, *, clock: Callable[[], float] = time.monotonic
) -> TieredCache:
    """The cache of one environment; nothing is sent before the first read. ConfigurationError for a bad Redis URL."""
    limits, counters = CacheLimits.of(settings), Counters()
    if settings.redis_url is None:
        return TieredCache(limits, namespace, fields, counters, clock=clock)
    from bluestar_store.cache.keys import Namespace
    from bluestar_store.cache.remote import Remote
    from bluestar_store.cache.topology import open_topology

    remote = Remote(open_topology(settings), Namespace(namespace), uuid.uuid4().hex, counters, clock)
    return TieredCache(limits, namespace, fields, counters, remote=remote, clock=clock)
