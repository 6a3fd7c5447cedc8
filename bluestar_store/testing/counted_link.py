"""What a Store asks of its Redis, told round trip by round trip."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from redis.connection import ConnectionPool

from bluestar_store.cache.redis.connections import ServerPool
from bluestar_store.cache.redis.messages import Namespace
from bluestar_store.cache.redis.topology import OneServer
from bluestar_store.store import Store
from bluestar_store.testing.redis_wire import RequestDecoder, command_name

KEEPER = "bluestar-cache"
"""The thread that listens for what other processes change: what it asks is no read's."""


def count_calls(store: Store, told: Callable[[str], None]) -> None:
    """Tell of each round trip to the Store's Redis from now on, in words.

    It has to be a single server, of which nothing has been asked yet. There is no seam for this, as nobody else
    wants to know: it puts its own link in the place of the cache's.
    """
    remote = store.cache._cache.remote
    if remote is not None and isinstance(server := remote.topology, OneServer):
        server.single = server._server = CountedLink(server._server._pool, remote.namespace, told)


class CountedLink(ServerPool):
    """A link to Redis that tells of each round trip."""

    def __init__(self, pool: ConnectionPool, namespace: Namespace, told: Callable[[str], None]) -> None:
        super().__init__(pool)
        self._namespace, self._told = namespace, told

    def call_packed(self, request: Callable[[bytes], tuple[bytes, int]], *, errors: bool = False) -> list[Any]:
        """See `ServerPool`: here passes all that is asked."""
        tries = count()

        def telling(run_id: bytes) -> tuple[bytes, int]:
            sent, commands = request(run_id)
            if next(tries) == 0 and threading.current_thread().name != KEEPER:
                self._told(self._described(sent))
            return sent, commands

        return super().call_packed(telling, errors=errors)

    def _described(self, request: bytes) -> str:
        """The commands of a request, and the units that their keys name."""
        shown = []
        for command in RequestDecoder().feed(request):
            units = [unit for word in command if (unit := self._namespace.cache_key(word)) is not None]
            shown.append(" ".join([command_name(command), *(" ".join(map(str, unit)) for unit in units)]))
        return ", ".join(shown)
