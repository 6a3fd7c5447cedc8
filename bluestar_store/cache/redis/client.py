"""Commands to the servers that hold the keys, behind a circuit breaker.

When a call fails the breaker opens: nothing is read from Redis until the invalidation listener has reached it again.
Methods raise only what they say.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias

from bluestar_store.cache.redis.connections import RedisCallError, ServerPool, check
from bluestar_store.cache.redis.messages import Namespace, Signer
from bluestar_store.cache.redis.protocol import Command
from bluestar_store.cache.redis.stored import FORGET
from bluestar_store.cache.redis.topology import Topology, follow_redirects, is_redirect
from bluestar_store.cache.stats import Counters
from bluestar_store.protocols import CacheKey

WITNESS_KEY: CacheKey = ("witness",)
"""The key whose content shows since when a server has lost nothing (see WITNESS); writing it tests for writes."""
_NOT_CACHE_KEYS = ("probe", *WITNESS_KEY)
"""Keys without a cached value; release 0.1.0 writes the first, to test whether a server takes writes again."""
SCAN_KEYS = 500
"""Keys that one SCAN looks at."""
CommandOf: TypeAlias = Callable[[int, Callable[[CacheKey], bytes]], Command]
"""Makes the command for a cache key, by its place in the list; the function it is given makes Redis keys."""


class RedisClient:
    """The servers of one topology and the keys of one namespace. Safe for threads."""

    def __init__(
        self,
        topology: Topology,
        namespace: Namespace,
        origin: str,
        counters: Counters,
        clock: Callable[[], float],
        signer: Signer,
    ) -> None:
        self.topology, self.namespace, self.origin, self.signer = topology, namespace, origin, signer
        self._counters, self._clock = counters, clock
        self.reset()

    def reset(self) -> None:
        """Start anew in a forked child."""
        self.topology.reset()
        self._lock = threading.Lock()
        self.is_open = False
        """Whether the circuit breaker is open, and Redis out of the path."""
        self.may_publish = True
        """While the breaker is open: whether messages may be tried all the same."""

    def open(self, reason: str) -> None:
        """Open the breaker, until `recover` has reached Redis."""
        with self._lock:
            opens, self.is_open = not self.is_open, True
            if opens:
                self.may_publish = True
        if opens:
            self._counters.opened(reason)  # not under the lock: it calls listeners

    def discard(self, cache_keys: Sequence[CacheKey]) -> bool:
        """Remove values and leases, but no tombstones; returns whether Redis did."""
        return self._run(cache_keys, lambda number, key: ("EVAL", FORGET, 1, key(cache_keys[number]))) is not None

    def forget(self, matches: Callable[[CacheKey], bool]) -> int:
        """Remove the values and leases of all matching keys; returns how many there were. Raises RedisCallError."""
        count = 0
        for server, found in self._scanned():
            redis_keys = [redis_key for cache_key, redis_key in found if matches(cache_key)]
            if redis_keys:
                count += sum(server.call(partial(_forgetting, redis_keys)))
        return count

    def forget_quietly(self, matches: Callable[[CacheKey], bool]) -> None:
        """The same; a failure opens the breaker."""
        if not self.is_open:
            try:
                self.forget(matches)
            except RedisCallError as error:
                self.open(str(error))

    def held_keys(self) -> Iterator[CacheKey]:
        """The cache keys that this run of the servers holds. Raises RedisCallError."""
        for _, found in self._scanned():
            yield from (cache_key for cache_key, _ in found)

    def _scanned(self) -> Iterator[tuple[ServerPool, list[tuple[CacheKey, bytes]]]]:
        for server in self.topology.servers():
            cursor: object = 0
            while True:
                ((cursor, redis_keys),) = server.call(partial(self._scan, cursor))
                found = ((self.namespace.cache_key(redis_key), redis_key) for redis_key in redis_keys)
                yield server, [(key, redis_key) for key, redis_key in found if key and key[0] not in _NOT_CACHE_KEYS]
                if cursor in (0, b"0"):
                    break

    def _scan(self, cursor: object, run_id: bytes) -> list[Command]:
        return [("SCAN", cursor, "MATCH", self.namespace.pattern(run_id), "COUNT", SCAN_KEYS)]

    def _run(self, cache_keys: Sequence[CacheKey], command: CommandOf) -> list[object] | None:
        """The reply to each key's command; None after a failure, which opens the breaker."""
        try:
            return self._run_on_all(cache_keys, command, self.namespace)
        except RedisCallError as error:
            self.open(str(error))
            return None

    def _run_on_all(self, cache_keys: Sequence[CacheKey], command: CommandOf, namespace: Namespace) -> list[object]:
        """The same; raises RedisCallError, after all servers have been asked."""
        replies: dict[int, object] = {}
        failed: RedisCallError | None = None

        def of(numbers: Sequence[int], run_id: bytes) -> list[Command]:
            return [command(number, partial(namespace.redis_key, run_id=run_id)) for number in numbers]

        for server, numbers in self._by_server(cache_keys, namespace):
            try:
                replies |= zip(numbers, self._replies(server, numbers, of), strict=True)
            except RedisCallError as error:
                failed = failed or error
        if failed is not None:
            raise failed
        return [replies[number] for number in range(len(cache_keys))]

    def _replies(
        self, server: ServerPool, numbers: Sequence[int], of: Callable[[Sequence[int], bytes], list[Command]]
    ) -> list[object]:
        """The replies of one server, redirects followed. Raises RedisCallError, after each command has been tried."""
        replies = server.call(partial(of, numbers), errors=True)
        for place, number in enumerate(numbers):
            if is_redirect(replies[place]):
                (replies[place],) = follow_redirects(self.topology, (replies[place],), partial(of, (number,)))
        check(replies)
        return replies

    def _by_server(
        self, cache_keys: Sequence[CacheKey], namespace: Namespace
    ) -> Iterator[tuple[ServerPool, Sequence[int]]]:
        """The places of keys in the list, by their server. Raises RedisCallError, at the end, for keys without one."""
        if (single := self.topology.single) is not None:
            yield single, range(len(cache_keys))
            return
        groups: dict[int, tuple[ServerPool, list[int]]] = {}
        failed: RedisCallError | None = None
        for number, cache_key in enumerate(cache_keys):
            try:
                server = self.topology.server_for(namespace.slot_key(cache_key))
            except RedisCallError as error:
                failed = error
                continue
            groups.setdefault(id(server), (server, []))[1].append(number)
        yield from groups.values()
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Close all connections."""
        self.topology.close()


def _forgetting(redis_keys: Sequence[bytes], run_id: bytes) -> list[Command]:
    return [("EVAL", FORGET, 1, redis_key) for redis_key in redis_keys]
