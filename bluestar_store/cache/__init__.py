"""The cache between repositories and the engine: values in this process, over values in Redis, over the engine.

    control.py            what a Store has of it: opening by the settings, `store.cache`, NullCache
    tiered.py             TieredCache: the order of a write, messages of other processes, close and fork
    read_through.py       a read: what the first tier lacks is loaded once, by one thread
    local.py              the first tier: entries in this process, and the peeks of every hit
    in_flight.py          loads and writes that are under way in this process
    limits.py             the limits that the settings give, and the statistics

    redis/listener.py     the thread that receives messages and heartbeats
    redis/loading.py      a load through Redis: a value, a lease, or a wait for another process
    redis/tier.py         the second tier: values under cache keys, and which of them are trusted
    redis/publisher.py    tombstones and messages of writes, those that wait, recovery
    redis/client.py       commands to the servers, one, Sentinel's or a cluster's; the circuit breaker
    redis/connection.py   connections to one server, and Redis's protocol
    redis/messages.py     names of keys and channels, messages, signatures
    redis/stored.py       what lies under a key: value, lease, tombstone; the Lua scripts

Within each folder a module imports only from those below it.
"""

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
