"""Commands to the servers that hold the keys, behind a circuit breaker: one server, Sentinel's master, or a cluster.

When a call fails the breaker opens: nothing is read from Redis until the invalidation listener has reached it again.

Sentinel and the slots of a cluster are looked up by redis-py. Commands do not go through its RedisCluster client, so
ASK and MOVED redirects are followed here: it reconnects silently, to what may be another run of a server, and the two
commands of a hit take 4.2 times as long by its pipeline as by ours (87 and 21 us in one run on loopback).
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.exceptions import AskError, MovedError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis.connection import Command, RedisCallError, ServerPool, check, raise_call_error
from bluestar_store.cache.redis.messages import Namespace
from bluestar_store.errors import ConfigurationError
from bluestar_store.protocols import CacheKey
from bluestar_store.settings import RedisMode, Settings

MOST_REDIRECTS = 4
"""Redirects that one request follows."""


CommandOf: TypeAlias = Callable[[int, Callable[[CacheKey], bytes]], Command]
"""Makes the command for a cache key, by its place in the list; the function it is given makes Redis keys."""


class Topology(Protocol):
    """The servers of one Redis. `single` is the one server that holds all keys, if there is one."""

    single: ServerPool | None

    def server_for(self, key: bytes) -> ServerPool:
        """The server that holds a key. Raises RedisCallError."""

    def server_at(self, host: str, port: int) -> ServerPool:
        """The server that a redirect names. Raises RedisCallError."""

    def slots_moved(self) -> None:
        """Look up the slots again, after a MOVED redirect; never raises."""

    def servers(self) -> Iterable[ServerPool]:
        """Every server that holds keys. Raises RedisCallError."""

    def refresh(self) -> None:
        """Look up the servers again, after a failure. Raises RedisCallError."""

    def reset(self) -> None:
        """Forget all connections without closing them: those of a forked child are its parent's."""

    def close(self) -> None:
        """Close all connections."""


def open_topology(settings: Settings) -> Topology:
    """The topology that the settings name; nothing is sent yet. ConfigurationError for a URL that cannot be read."""
    if settings.redis_url is None:
        raise ConfigurationError("there is no second tier: set BLUESTAR_REDIS_URL")
    url = settings.redis_url.get_secret_value()
    seconds = settings.redis_timeout_ms / 1000
    options: dict[str, Any] = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "health_check_interval": 0,
        "protocol": 2,
        "decode_responses": False,
        "redis_connect_func": _open,
    }
    try:
        if settings.redis_mode is RedisMode.SENTINEL:
            if settings.redis_sentinel_service is None:
                raise ConfigurationError("BLUESTAR_REDIS_MODE=sentinel needs BLUESTAR_REDIS_SENTINEL_SERVICE")
            return OneServer(_checked(_sentinel_pool(url, settings.redis_sentinel_service, options)))
        options = {**parse_url(url), **options}  # type: ignore[no-untyped-call]  # redis-py has no types there
        if url.startswith("rediss://"):
            options.setdefault("connection_class", SSLConnection)
        if url.startswith("unix://") and not hasattr(socket, "AF_UNIX"):
            raise ConfigurationError("BLUESTAR_REDIS_URL: Python has no unix:// sockets on this system; use redis://")
        if url.startswith("unix://") and not options.get("path"):
            raise ValueError
        pool = _checked(ConnectionPool(**options))
        return Cluster(options) if settings.redis_mode is RedisMode.CLUSTER else OneServer(pool)
    except (ValueError, TypeError):
        raise ConfigurationError("BLUESTAR_REDIS_URL cannot be read; it looks like redis://host:6379/0") from None


def _open(connection: object) -> None:
    """Do nothing: RespConnection makes the handshake, with bounded replies."""


def _checked(pool: ConnectionPool) -> ConnectionPool:
    """The pool, if its options make a connection object; none is opened. TypeError for an unknown option."""
    pool.connection_class(**pool.connection_kwargs)
    return pool


def _sentinel_pool(url: str, service: str, options: dict[str, Any]) -> ConnectionPool:
    """`redis://user:password@sentinel1:26379,sentinel2:26379/0`: the user and password are those of the master."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    one = parts._replace(netloc=f"{login}@sentinel" if login else "sentinel").geturl()
    shared = parse_url(one)  # type: ignore[no-untyped-call]  # redis-py has no types there
    for name in ("host", "connection_class"):
        shared.pop(name, None)
    tls = {name: value for name, value in shared.items() if name.startswith("ssl_")}
    tls |= {"ssl": True} if parts.scheme == "rediss" else {}
    quick = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    addresses = [_address(host) for host in hosts.split(",")]
    sentinel = Sentinel(addresses, sentinel_kwargs={**quick, **tls})  # type: ignore[no-untyped-call]  # redis-py has no types
    return SentinelConnectionPool(service, sentinel, **{**shared, **options, **tls})  # type: ignore[no-untyped-call]  # redis-py has no types


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    return parts.hostname or "localhost", parts.port or 26379


class OneServer:
    """One server, or the master that Sentinel names when a connection is made."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._server = ServerPool(pool)
        self.single: ServerPool | None = self._server

    def server_for(self, key: bytes) -> ServerPool:
        """The server."""
        return self._server

    def server_at(self, host: str, port: int) -> ServerPool:
        """See Topology."""
        raise RedisCallError("the server is one of a cluster: set BLUESTAR_REDIS_MODE=cluster")

    def slots_moved(self) -> None:
        """See Topology."""

    def servers(self) -> Iterable[ServerPool]:
        """The server."""
        return (self._server,)

    def refresh(self) -> None:
        """Close idle connections: a new one finds the current master."""
        self._server.drop_idle()

    def reset(self) -> None:
        """See Topology."""
        self._server.reset()

    def close(self) -> None:
        """See Topology."""
        self._server.close()


class Cluster:
    """The masters of a cluster, each with a pool. The slots are looked up when they are first needed."""

    _slots_again: float

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.single: ServerPool | None = None
        self.reset()

    def server_for(self, key: bytes) -> ServerPool:
        """The master of the key's slot."""
        cluster = self._known()
        try:
            node = cluster.get_node_from_key(key)
        except Exception as error:  # see raise_call_error
            raise_call_error(error)
        return self._pool_of(node.host, node.port)

    def server_at(self, host: str, port: int) -> ServerPool:
        """A node that may not be known yet."""
        return self._pool_of(host, port)

    def slots_moved(self) -> None:
        """See Topology. At most once a second, because one move causes many redirects."""
        with self._lock:
            cluster, now = self._cluster, time.monotonic()
            if cluster is None or now < self._slots_again:
                return
            self._slots_again = now + 1
        with suppress(Exception):  # see raise_call_error; the next redirect tries again
            cluster.nodes_manager.initialize()

    def servers(self) -> Iterable[ServerPool]:
        """Every master."""
        cluster = self._known()
        try:
            nodes = cluster.get_primaries()
        except Exception as error:  # see raise_call_error
            raise_call_error(error)
        return [self._pool_of(node.host, node.port) for node in nodes]

    def refresh(self) -> None:
        """Ask the known nodes for the slots."""
        for pool in list(self._pools.values()):
            pool.drop_idle()
        if self._cluster is not None:
            try:
                self._cluster.nodes_manager.initialize()
            except Exception as error:
                raise_call_error(error)

    def reset(self) -> None:
        """See Topology."""
        self._lock = threading.Lock()
        self._cluster: Any = None
        self._failures = 0
        self._slots_again = -math.inf
        self._pools: dict[str, ServerPool] = {}

    def close(self) -> None:
        """See Topology."""
        for pool in list(self._pools.values()):
            pool.close()
        if self._cluster is not None:
            self._cluster.close()

    def _known(self) -> Any:
        failures = self._failures
        with self._lock:
            if self._cluster is None:
                if self._failures != failures:  # for the thread that held the lock: do not wait as long again
                    raise RedisCallError("the cluster cannot be reached")
                kept = ("host", "port", "username", "password", "protocol", "retry")
                options = {k: v for k, v in self._options.items() if k in kept or k.startswith(("socket_", "ssl"))}
                if issubclass(self._options.get("connection_class", object), SSLConnection):
                    options["ssl"] = True
                try:
                    self._cluster = RedisCluster(**options)
                except Exception as error:
                    self._failures += 1
                    raise_call_error(error)
            return self._cluster

    def _pool_of(self, host: str, port: int) -> ServerPool:
        with self._lock:
            name = f"{host}:{port}"
            if name not in self._pools:
                self._pools[name] = ServerPool(ConnectionPool(**{**self._options, "host": host, "port": port}))
            return self._pools[name]


def is_redirect(reply: object) -> bool:
    """Whether a reply names another node, which has the key."""
    return isinstance(reply, AskError)  # MovedError is a subclass


def follow_redirects(
    topology: Topology, replies: Sequence[object], commands: Callable[[bytes], Sequence[Command]]
) -> Sequence[object]:
    """The replies to commands on one key, from the node that has it: ASK or MOVED. Raises RedisCallError."""
    for _ in range(MOST_REDIRECTS):
        first = next((reply for reply in replies if isinstance(reply, AskError)), None)
        if first is None:
            check(replies)
            return replies
        server = topology.server_at(first.host, int(first.port))
        if isinstance(first, MovedError):
            topology.slots_moved()
            replies = server.call(commands, errors=True)
        else:  # ASKING has to come before each command
            replies = server.call(
                lambda run_id: [part for one in commands(run_id) for part in (("ASKING",), one)], errors=True
            )
            replies = replies[1::2]
    raise RedisCallError("the nodes of the cluster redirect to each other")


class RedisClient:
    """The servers of one topology and the keys of one namespace. Safe for threads."""

    def __init__(
        self, topology: Topology, namespace: Namespace, counters: Counters, clock: Callable[[], float]
    ) -> None:
        self.topology, self.namespace = topology, namespace
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
        self.trusted_since = -math.inf
        """Values that were stored in Redis before are not trusted."""

    def open(self, reason: str) -> None:
        """Open the breaker, until `close_breaker`."""
        with self._lock:
            opens, self.is_open = not self.is_open, True
            if opens:
                self.may_publish = True
        if opens:
            self._counters.opened(reason)  # not under the lock: it calls listeners

    def close_breaker(self, may_close: Callable[[], bool]) -> bool:
        """Put Redis back into the path, if `may_close` says so under the lock; returns what it said."""
        with self._lock:
            if not may_close():
                return False
            self.trusted_since, self.is_open = self._clock(), False
            return True

    def distrust(self, before: float) -> None:
        """Do not trust values that were stored before a time on the cache's clock."""
        with self._lock:
            self.trusted_since = max(self.trusted_since, before)

    def run(self, cache_keys: Sequence[CacheKey], command: CommandOf) -> list[object] | None:
        """The reply to each key's command; None after a failure, which opens the breaker."""
        try:
            return self.run_on_all(cache_keys, command, self.namespace)
        except RedisCallError as error:
            self.open(str(error))
            return None

    def run_on_all(self, cache_keys: Sequence[CacheKey], command: CommandOf, namespace: Namespace) -> list[object]:
        """The reply to each key's command. Raises RedisCallError, after all servers have been asked."""
        replies: dict[int, object] = {}
        failed: RedisCallError | None = None

        def of(numbers: Sequence[int], run_id: bytes) -> list[Command]:
            return [command(number, partial(namespace.redis_key, run_id=run_id)) for number in numbers]

        for server, numbers in self.by_server(cache_keys, namespace):
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

    def by_server(
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
