"""Making the cache that the settings ask for. Redis's library is loaded only when a second tier is wanted."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.matching import Fields
from bluestar_store.cache.stats import Counters
from bluestar_store.cache.tiered import TieredCache
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

    `identify` finds out what tells the environment from all others, where `namespace` does not: then that is the name
    that release 0.1.0 uses.
    """
    limits, counters = CacheLimits.of(settings), Counters()
    if settings.redis_url is None:
        return TieredCache(limits, namespace, fields, counters, clock=clock)
    from bluestar_store.cache.announcing import Announcer
    from bluestar_store.cache.keys import Namespace
    from bluestar_store.cache.remote import Remote
    from bluestar_store.cache.signing import Signer
    from bluestar_store.cache.tier import Tier
    from bluestar_store.cache.topology import open_topology
    from bluestar_store.redaction.logs import hide_data

    hide_data()
    origin, signer = uuid.uuid4().hex, Signer(keys_in(settings.cache_key) if settings.cache_key else ())
    topology = open_topology(settings)
    if identify is None:
        remote = Remote(topology, Namespace(namespace), origin, counters, clock, signer)
        return TieredCache(limits, namespace, fields, counters, remote=remote, clock=clock)

    def found(name: str) -> Remote:
        return Remote(topology, Namespace(name), origin, counters, clock, signer, Namespace(namespace))

    older = Announcer(open_topology(settings), Namespace(namespace), origin, counters, clock, signer)
    return TieredCache(limits, namespace, fields, counters, tier=Tier(identify, found, older), clock=clock)
