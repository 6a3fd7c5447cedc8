"""Reports a Store's round trips to its Redis, in words."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from redis.connection import ConnectionPool

from bluestar_store.cache.redis.client import OneServer
from bluestar_store.cache.redis.connection import ServerPool
from bluestar_store.cache.redis.messages import Namespace
from bluestar_store.store import Store
from bluestar_store.testing.redis_wire import RequestDecoder, command_name

LISTENER = "bluestar-cache"
"""The name of the invalidation listener's thread, whose round trips belong to no read."""


def count_calls(store: Store, report: Callable[[str], None]) -> None:
    """Call `report` with a description of each round trip to the Store's Redis from now on.

    For a single server that has not been used yet. The cache has no seam for this, because only tests need it: its pool
    of connections is replaced.
    """
    remote = store.cache._cache.remote
    if remote is not None and isinstance(server := remote.client.topology, OneServer):
        server.single = server._server = CountedServer(server._server._pool, remote.client.namespace, report)


class CountedServer(ServerPool):
    """A pool of connections that reports each round trip."""

    def __init__(self, pool: ConnectionPool, namespace: Namespace, report: Callable[[str], None]) -> None:
        super().__init__(pool)
        self._namespace, self._report = namespace, report

    def call_packed(self, request: Callable[[bytes], tuple[bytes, int]], *, errors: bool = False) -> list[Any]:
        """See `ServerPool`: every call goes through this method."""
        tries = count()

        def reporting(run_id: bytes) -> tuple[bytes, int]:
            sent, commands = request(run_id)
            if next(tries) == 0 and threading.current_thread().name != LISTENER:
                self._report(self._described(sent))
            return sent, commands

        return super().call_packed(reporting, errors=errors)

    def _described(self, request: bytes) -> str:
        """The commands of a request, and the cache keys that their Redis keys name."""
        shown = []
        for command in RequestDecoder().feed(request):
            keys = [key for word in command if (key := self._namespace.cache_key(word)) is not None]
            shown.append(" ".join([command_name(command), *(" ".join(map(str, key)) for key in keys)]))
        return ", ".join(shown)
