"""A cache of texts whose calls are counted, and fail, wait or stop where a test wants it."""

from __future__ import annotations

from functools import partial

from bluestar_store.persistence.protocols import ICacheBackend
from bluestar_store.testing.faults import Faults

CACHE_CALLS = ("get", "setex", "delete")
"""All calls of a cache backend."""


class FaultCache:
    """See `ICacheBackend`. Passes every call on to `inner`, but for what `faults` asks."""

    def __init__(self, inner: ICacheBackend, faults: Faults | None = None) -> None:
        """`faults` may be shared by several caches; by default they are this one's own."""
        self.inner = inner
        self.faults = faults or Faults(CACHE_CALLS)

    def get(self, key: str) -> str | None:
        """See `ICacheBackend`."""
        return self.faults.call("get", partial(self.inner.get, key), key=key)

    def setex(self, key: str, ttl: int, value: str) -> None:
        """See `ICacheBackend`."""
        self.faults.call("setex", partial(self.inner.setex, key, ttl, value), key=key, ttl=ttl, value=value)

    def delete(self, key: str) -> None:
        """See `ICacheBackend`."""
        self.faults.call("delete", partial(self.inner.delete, key), key=key)
