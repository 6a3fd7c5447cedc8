"""Cache backends for text: Redis, or this process's memory."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import redis
from cachetools import TLRUCache
from redis.backoff import NoBackoff
from redis.retry import Retry

from bluestar_store.cache.redis.connection import call_error
from bluestar_store.errors import CacheError
from bluestar_store.forking import remember
from bluestar_store.redaction.logs import hide_data
from bluestar_store.redaction.tracebacks import without_locals

TIMEOUT_SECONDS = 0.5
"""How long a call may wait for Redis: without a limit, a read would hang where Redis does not answer."""
MAX_TEXTS = 10_000
"""Texts that a MemoryCacheBackend keeps at most; those that were not used longest go first."""


SETEX = redis.client.Redis.setex
"""redis-py's own, by which what a test put in its place is known."""


@without_locals
class RedisCacheBackend:
    """See `ICacheBackend`. Nothing is sent before the first call; every failure is a CacheError."""

    def __init__(self, host: str = "localhost", port: int = 6379, db: int = 0) -> None:
        hide_data()
        with _failures("cannot be set up"):
            self._client: Any = _redis().Redis(host=host, port=port, db=db, **_patience(TIMEOUT_SECONDS))

    @classmethod
    def from_url(cls, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> Self:
        """On the server that a redis://, rediss:// or unix:// URL names, with its user, password and database.

        Raises CacheError for one that cannot be read.
        """
        backend = cls.__new__(cls)  # not by the constructor: it makes a client of its own
        hide_data()
        with _failures("cannot be set up by its URL"):
            backend._client = _redis().Redis.from_url(url, **_patience(timeout_seconds))  # noqa: SLF001  # the same class
        return backend

    def get(self, key: str) -> str | None:
        """See `ICacheBackend`."""
        with _failures("cannot be read"):
            value = self._client.get(key)
            return value if value is None or isinstance(value, str) else bytes(value).decode()

    def setex(self, key: str, ttl: int, value: str) -> None:
        """See `ICacheBackend`."""
        with _failures("cannot be written"):
            if getattr(type(self._client), "setex", None) is SETEX and "setex" not in vars(self._client):
                self._client.set(key, value, ex=ttl)  # redis-py 8 warns of setex
            else:  # what a test of an old module put in its place
                self._client.setex(key, ttl, value)

    def delete(self, key: str) -> None:
        """See `ICacheBackend`."""
        with _failures("cannot be written"):
            self._client.delete(key)

    def close(self) -> None:
        """Close the connections."""
        with _failures("cannot be closed"):
            self._client.close()


def _redis() -> Any:
    """The module under the name that tests of old modules patch: `persistence.redis`, or Redis in it."""
    return sys.modules[__package__ or ""].redis  # looked up, not imported: the package imports this module


def _patience(timeout_seconds: float) -> dict[str, Any]:
    """How long a client waits, and how often it tries.

    Once more over a new connection, where an idle one had died; redis-py's own tries ten times.
    """
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds, "retry": retry}


@contextmanager
def _failures(what: str) -> Iterator[None]:
    """CacheError for whatever redis-py raises: not all of it is a RedisError, and its texts may show a password."""
    try:
        yield
    except Exception as error:
        raise CacheError(f"Redis {what}: {call_error(error)}") from None


@without_locals
class MemoryCacheBackend:
    """See `ICacheBackend`. `clock` returns seconds; the default is the monotonic clock."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._texts: TLRUCache[str, tuple[int, str]] = TLRUCache(
            MAX_TEXTS,
            ttu=lambda key, value, now: now + value[0],
            timer=clock or (lambda: time.monotonic()),  # looked up each time: a test may freeze it at any time
        )
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child, which has a copy of the texts: a lock that no thread of its parent's holds."""
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        """See `ICacheBackend`."""
        with self._lock:
            found = self._texts.get(key)
        return found[1] if found is not None else None

    def setex(self, key: str, ttl: int, value: str) -> None:
        """See `ICacheBackend`. Raises CacheError for a time that Redis would refuse too."""
        if ttl < 1:
            raise CacheError(f"a text is kept for at least 1 second, not {ttl}")
        with self._lock:
            self._texts[key] = (ttl, value)

    def delete(self, key: str) -> None:
        """See `ICacheBackend`."""
        with self._lock:
            self._texts.pop(key, None)
