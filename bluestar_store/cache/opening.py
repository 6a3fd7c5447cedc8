"""Opening the cache that the settings ask for. redis-py is loaded only when there is a second tier."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.tiered import Fields, TieredCache
from bluestar_store.clock import SystemClock
from bluestar_store.settings import Settings, keys_in


def open_cache(
    settings: Settings,
    namespace: str,
    fields: Fields,
    *,
    identify: Callable[[], str] | None = None,
    clock: Callable[[], float] = SystemClock.monotonic,
) -> TieredCache:
    """The cache of one environment; nothing is sent before the first read. ConfigurationError for a bad Redis URL.

    `identify` asks for the name that tells the environment's tables from all others, where `namespace` alone does not;
    then `namespace` is the name that release 0.1.0 uses.
    """
    limits, counters = CacheLimits.of(settings), Counters()
    if settings.redis_url is None:
        return TieredCache(limits, namespace, fields, counters, clock=clock)
    from bluestar_store.cache.redis.messages import Namespace, Signer
    from bluestar_store.cache.redis.publisher import InvalidationPublisher
    from bluestar_store.cache.redis.tier import RedisTier, TierFinder
    from bluestar_store.cache.redis.topology import open_topology
    from bluestar_store.redaction.logs import hide_data

    hide_data()
    origin, signer = uuid.uuid4().hex, Signer(keys_in(settings.cache_key) if settings.cache_key else ())
    topology = open_topology(settings)
    if identify is None:
        remote = RedisTier(topology, Namespace(namespace), origin, counters, clock, signer)
        return TieredCache(limits, namespace, fields, counters, remote=remote, clock=clock)

    def found(name: str) -> RedisTier:
        return RedisTier(topology, Namespace(name), origin, counters, clock, signer, Namespace(namespace))

    legacy = InvalidationPublisher(open_topology(settings), Namespace(namespace), origin, counters, clock, signer)
    return TieredCache(limits, namespace, fields, counters, finder=TierFinder(identify, found, legacy), clock=clock)
