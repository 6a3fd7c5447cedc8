"""Which server holds which key: one server, the master that Sentinel names, or the nodes of a cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import ConnectionPool, SSLConnection, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from bluestar_store.cache.link import Link, greet, raise_link_error
from bluestar_store.errors import ConfigurationError
from bluestar_store.settings import RedisMode, Settings


class Topology(Protocol):
    """Where keys lie. `single` is the one server that has all of them, if there is one."""

    single: Link | None

    def link(self, key: bytes) -> Link:
        """The server that holds a key. Raises LinkError."""

    def any(self) -> Link:
        """A server to publish to and to listen at. Raises LinkError."""

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
        "driver_info": None,
        "redis_connect_func": greet,
    }
    try:
        if settings.redis_mode is RedisMode.SENTINEL:
            return OneServer(_sentinel_pool(url, settings.redis_sentinel_service or "", options))
        options = {**parse_url(url), **options}  # type: ignore[no-untyped-call]  # redis-py has no types there
        if url.startswith("rediss://"):
            options.setdefault("connection_class", SSLConnection)
        if url.startswith("unix://") and not options.get("path"):
            raise ValueError
        if settings.redis_mode is RedisMode.CLUSTER:
            return Cluster(options)
        return OneServer(ConnectionPool(**options))
    except (ValueError, TypeError):
        raise ConfigurationError("BLUESTAR_REDIS_URL cannot be read; it looks like redis://host:6379/0") from None


def _sentinel_pool(url: str, service: str, options: dict[str, Any]) -> ConnectionPool:
    """`redis://user:password@sentinel1:26379,sentinel2:26379/0`: the user and password are those of the master."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    one = parts._replace(netloc=f"{login}@sentinel" if login else "sentinel").geturl()
    shared = parse_url(one)  # type: ignore[no-untyped-call]  # redis-py has no types there
    for name in ("host", "connection_class"):
        shared.pop(name, None)
    tls = {"ssl": True} if parts.scheme == "rediss" else {}
    quick = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    addresses = [_address(host) for host in hosts.split(",")]
    sentinel = Sentinel(addresses, sentinel_kwargs={**quick, **tls})  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(service, sentinel, **{**shared, **options, **tls})  # type: ignore[no-untyped-call]


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

    def any(self) -> Link:
        """The server."""
        return self._link

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

    def any(self) -> Link:
        """A master: the cluster passes messages on to all nodes."""
        return next(iter(self.links()))

    def links(self) -> Iterable[Link]:
        """Every master."""
        return [self._link(node) for node in self._known().get_primaries()]

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
        self._links: dict[str, Link] = {}

    def close(self) -> None:
        """See Topology."""
        for link in list(self._links.values()):
            link.close()
        if self._cluster is not None:
            self._cluster.close()

    def _known(self) -> Any:
        with self._lock:
            if self._cluster is None:
                kept = ("host", "port", "username", "password", "protocol", "retry")
                options = {k: v for k, v in self._options.items() if k in kept or k.startswith(("socket_", "ssl"))}
                if issubclass(self._options.get("connection_class", object), SSLConnection):
                    options["ssl"] = True
                try:
                    self._cluster = RedisCluster(**options)
                except Exception as error:
                    raise_link_error(error)
            return self._cluster

    def _link(self, node: Any) -> Link:
        with self._lock:
            if node.name not in self._links:
                self._links[node.name] = Link(ConnectionPool(**{**self._options, "host": node.host, "port": node.port}))
            return self._links[node.name]
