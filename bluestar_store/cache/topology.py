"""Which server holds which key: one server, the master that Sentinel names, or the nodes of a cluster."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bluestar_store.cache.link import Link, LinkError, raise_link_error
from bluestar_store.errors import ConfigurationError
from bluestar_store.settings import RedisMode, Settings


class Topology(Protocol):
    """Where keys lie. `single` is the one server that has all of them, if there is one."""

    single: Link | None

    def link(self, key: bytes) -> Link:
        """The server that holds a key. Raises LinkError."""

    def node(self, host: str, port: int) -> Link:
        """A server that another one named. Raises LinkError."""

    def moved(self) -> None:
        """Look again which server has which key, when one said that it has it no more; never raises."""

    def links(self) -> Iterable[Link]:
        """Every server that holds keys. Raises LinkError."""

    def refresh(self) -> None:
        """Look again which servers there are, after a failure. Raises LinkError."""

    def reset(self) -> None:
        """Forget all connections without touching them: those of a forked child are its parent's."""

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
    """Nothing beyond the socket: the Wire says what comes first, and bounds what it hears."""


def _checked(pool: ConnectionPool) -> ConnectionPool:
    """The pool, when a connection can be made of its options; none is opened. TypeError for an unknown option."""
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
    sentinel = Sentinel(addresses, sentinel_kwargs={**quick, **tls})  # type: ignore[no-untyped-call]  # see above
    return SentinelConnectionPool(service, sentinel, **{**shared, **options, **tls})  # type: ignore[no-untyped-call]  # see above


def _address(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host}")
    return parts.hostname or "localhost", parts.port or 26379


class OneServer:
    """A server, or whichever one Sentinel says is the master when a connection is made."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._link = Link(pool)
        self.single: Link | None = self._link

    def link(self, key: bytes) -> Link:
        """The server."""
        return self._link

    def node(self, host: str, port: int) -> Link:
        """See Topology."""
        raise LinkError("the server is one of a cluster: set BLUESTAR_REDIS_MODE=cluster")

    def moved(self) -> None:
        """See Topology."""

    def links(self) -> Iterable[Link]:
        """The server."""
        return (self._link,)

    def refresh(self) -> None:
        """Let connections go: a new one finds the master that there is now."""
        self._link.drop_idle()

    def reset(self) -> None:
        """See Topology."""
        self._link.reset()

    def close(self) -> None:
        """See Topology."""
        self._link.close()


class Cluster:
    """The masters of a cluster, each with a link. The slots are looked up when they are first needed."""

    _slots_again: float

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self.single: Link | None = None
        self.reset()

    def link(self, key: bytes) -> Link:
        """The master of the key's slot."""
        cluster = self._known()
        try:
            node = cluster.get_node_from_key(key)
        except Exception as error:  # see raise_link_error
            raise_link_error(error)
        return self._link(node)

    def node(self, host: str, port: int) -> Link:
        """A node that may not be known yet."""
        return self._link_to(host, port)

    def moved(self) -> None:
        """Ask for the slots, not more than once a second: who is told by one reply is told by many."""
        with self._lock:
            cluster, now = self._cluster, time.monotonic()
            if cluster is None or now < self._slots_again:
                return
            self._slots_again = now + 1
        with suppress(Exception):  # see raise_link_error; whoever asks the wrong node is told again
            cluster.nodes_manager.initialize()

    def links(self) -> Iterable[Link]:
        """Every master."""
        cluster = self._known()
        try:
            nodes = cluster.get_primaries()
        except Exception as error:  # see raise_link_error
            raise_link_error(error)
        return [self._link(node) for node in nodes]

    def refresh(self) -> None:
        """Ask the nodes that are known which slots they hold now."""
        for link in list(self._links.values()):
            link.drop_idle()
        if self._cluster is not None:
            try:
                self._cluster.nodes_manager.initialize()
            except Exception as error:
                raise_link_error(error)

    def reset(self) -> None:
        """See Topology."""
        self._lock = threading.Lock()
        self._cluster: Any = None
        self._failures = 0
        self._slots_again = -math.inf
        self._links: dict[str, Link] = {}

    def close(self) -> None:
        """See Topology."""
        for link in list(self._links.values()):
            link.close()
        if self._cluster is not None:
            self._cluster.close()

    def _known(self) -> Any:
        failures = self._failures
        with self._lock:
            if self._cluster is None:
                if self._failures != failures:  # for whoever held the lock; waiting as long again helps nobody
                    raise LinkError("the cluster cannot be reached")
                kept = ("host", "port", "username", "password", "protocol", "retry")
                options = {k: v for k, v in self._options.items() if k in kept or k.startswith(("socket_", "ssl"))}
                if issubclass(self._options.get("connection_class", object), SSLConnection):
                    options["ssl"] = True
                try:
                    self._cluster = RedisCluster(**options)
                except Exception as error:
                    self._failures += 1
                    raise_link_error(error)
            return self._cluster

    def _link(self, node: Any) -> Link:
        return self._link_to(node.host, node.port)

    def _link_to(self, host: str, port: int) -> Link:
        with self._lock:
            name = f"{host}:{port}"
            if name not in self._links:
                self._links[name] = Link(ConnectionPool(**{**self._options, "host": host, "port": port}))
            return self._links[name]
