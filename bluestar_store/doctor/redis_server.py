"""Is Redis there, and does it do what the cache asks of it? Only asked when a setting names one."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.errors import ConfigurationError
from bluestar_store.plugins import CACHES
from bluestar_store.settings import RedisMode, Settings

TIMEOUT_MS = 2000
KEY = b"bluestar:{doctor}"


def check(settings: Settings) -> Iterator[Finding]:
    """A finding when Redis does not do what the cache needs. Shows its address, never its user and password."""
    if settings.redis_url is None or not CACHES.is_own(urlsplit(settings.redis_url.get_secret_value()).scheme):
        return
    fault = _fault(settings)
    if fault is not None:
        what, mend = fault
        # A warning: the store works without its second tier of cache, more slowly.
        where = address(settings.redis_url.get_secret_value())
        yield Finding(Severity.WARNING, "redis", f"Redis at {where} {what}", mend)


def address(url: str) -> str:
    """The URL without user, password and options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _fault(settings: Settings) -> tuple[str, str] | None:
    """What is wrong, and what mends it. Redis's own texts are left out: they may repeat what was sent."""
    from bluestar_store.cache.redis.client import open_topology
    from bluestar_store.cache.redis.connection import RedisCallError

    try:
        topology = open_topology(settings.model_copy(update={"redis_timeout_ms": TIMEOUT_MS}))
    except ConfigurationError:
        return "has a URL that cannot be read", "correct BLUESTAR_REDIS_URL: redis://host:6379/0"
    try:
        for link in topology.servers():
            link.call(lambda _: [("PING",)])
        topology.server_for(KEY).call(
            lambda _: [
                ("SET", KEY, "1", "NX", "GET", "PX", 1000),
                ("EVAL", "return redis.call('GETRANGE', KEYS[1], 0, 0)", 1, KEY),
                ("PUBLISH", b"bluestar:doctor", "1"),
            ]
        )
    except RedisCallError as error:
        return _remedy(error.cause, settings.redis_mode)
    finally:
        topology.close()
    return None


def _remedy(error: BaseException, mode: RedisMode) -> tuple[str, str]:
    from redis.exceptions import (
        AuthenticationError,
        AuthorizationError,
        NoPermissionError,
        OutOfMemoryError,
        ReadOnlyError,
        RedisClusterException,
        ResponseError,
    )
    from redis.sentinel import MasterNotFoundError

    match error:
        case AuthenticationError() | AuthorizationError():
            return "refuses the user or password", "correct the user and password in BLUESTAR_REDIS_URL"
        case NoPermissionError():
            return "does not let this user do what the cache does", "allow the user the commands in docs/cache.md"
        case OutOfMemoryError():
            return "is full", "give it more memory, or an eviction policy: CONFIG SET maxmemory-policy allkeys-lru"
        case ReadOnlyError():
            return (
                "is a replica",
                "name its master in BLUESTAR_REDIS_URL, or Sentinel with BLUESTAR_REDIS_MODE=sentinel",
            )
        case MasterNotFoundError() | ResponseError() if mode is RedisMode.SENTINEL:
            return "names no master", "correct BLUESTAR_REDIS_SENTINEL_SERVICE, and the Sentinels in BLUESTAR_REDIS_URL"
        case RedisClusterException() if mode is RedisMode.CLUSTER:
            return "is no cluster that can be used", "see its CLUSTER INFO, or correct BLUESTAR_REDIS_MODE"
    return (
        f"does not answer ({type(error).__name__})",
        "start it, or correct BLUESTAR_REDIS_URL; unset, the store does without the second tier of its cache",
    )
