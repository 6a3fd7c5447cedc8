"""Opening the cache that the settings ask for. redis-py is loaded only when there is a second tier."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bluestar_store.cache.control import CacheControl
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.tiered import Fields, TieredCache
from bluestar_store.clock import SystemClock
from bluestar_store.plugins import CACHES
from bluestar_store.protocols import Cache
from bluestar_store.settings import Settings, keys_in


class OpenedCache(NamedTuple):
    """What repositories read through, and what `store.cache` is."""

    cache: Cache
    control: CacheControl


@dataclass(frozen=True)
class CacheRequest:
    """The cache that is asked for: that of one environment.

    `namespace` tells the environment from all others that may share a server. `identify` asks for the name that does,
    where `namespace` alone does not; then `namespace` is the name that release 0.1.0 uses. `fields` are the fields of
    each kind's cache keys, `clock` tells seconds.
    """

    settings: Settings
    namespace: str
    fields: Fields
    identify: Callable[[], str] | None = None
    clock: Callable[[], float] = SystemClock.monotonic


def open_cache(
    settings: Settings,
    namespace: str,
    fields: Fields,
    *,
    identify: Callable[[], str] | None = None,
    clock: Callable[[], float] = SystemClock.monotonic,
) -> Cache:
    """The cache of one environment, without its control; see `CacheRequest` and `open_requested`."""
    return open_requested(CacheRequest(settings, namespace, fields, identify, clock)).cache


def open_requested(request: CacheRequest) -> OpenedCache:
    """The cache that the settings of the request choose; nothing is sent before the first read.

    Raises ConfigurationError for a bad Redis URL.
    """
    url = request.settings.redis_url
    if url is None:
        return open_in_process(request)
    opened: OpenedCache = CACHES.open(url.get_secret_value().partition("://")[0], OpenedCache._fields, request)
    return opened


def open_in_process(request: CacheRequest) -> OpenedCache:
    """A cache without a second tier."""
    limits, counters = CacheLimits.of(request.settings), Counters()
    return _opened(TieredCache(limits, request.namespace, request.fields, counters, clock=request.clock))


def open_on_redis(request: CacheRequest) -> OpenedCache:
    """A cache whose second tier is the Redis of the settings."""
    from bluestar_store.cache.redis.messages import Namespace, Signer
    from bluestar_store.cache.redis.publisher import InvalidationPublisher
    from bluestar_store.cache.redis.tier import RedisTier, TierFinder
    from bluestar_store.cache.redis.topology import open_topology
    from bluestar_store.redaction.logs import hide_data

    hide_data()
    settings, namespace, fields, clock = request.settings, request.namespace, request.fields, request.clock
    limits, counters = CacheLimits.of(settings), Counters()
    origin, signer = uuid.uuid4().hex, Signer(keys_in(settings.cache_key) if settings.cache_key else ())
    topology = open_topology(settings)
    if request.identify is None:
        remote = RedisTier(topology, Namespace(namespace), origin, counters, clock, signer)
        return _opened(TieredCache(limits, namespace, fields, counters, remote=remote, clock=clock))

    def found(name: str) -> RedisTier:
        return RedisTier(topology, Namespace(name), origin, counters, clock, signer, Namespace(namespace))

    legacy = InvalidationPublisher(open_topology(settings), Namespace(namespace), origin, counters, clock, signer)
    return _opened(
        TieredCache(
            limits, namespace, fields, counters, finder=TierFinder(request.identify, found, legacy), clock=clock
        )
    )


def _opened(cache: TieredCache) -> OpenedCache:
    return OpenedCache(cache, CacheControl(cache))
