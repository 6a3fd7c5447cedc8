"""More than one Redis: a replica, a cluster, and a master under Sentinel, each fit to fail over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.sentinel import MasterNotFoundError

from tests import servers
from tests.redis_servers import RedisProcess, common_options, first_start, fixed_port, redis_process, redis_program
from tests.servers import HOST

MASTERS = 3
SLOTS = 16384
NODE_TIMEOUT_MS = 1000
SERVICE_NAME = "bluestar"
#: Not less: Sentinel sends its first ping after so long, at most a second, and finds a master without a pong down.
DOWN_AFTER_MS = 1200
FAILOVER_TIMEOUT_MS = 5000
#: How often Sentinel looks round once it runs; its own periods are 1, 10 and 2 seconds. A replica that was heard of
#: longer ago than 5 pings is not promoted, and without its master it is asked once a second: no pings below 200 ms.
PERIODS_MS = ("ping-period", 300, "info-period", 200, "publish-period", 200)


def ask(process: RedisProcess, *command: str | int) -> Any:
    """What one server answers, as it came over the wire; None while it answers nothing or an error."""
    client = process.client()
    try:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no types for it
    except redis.RedisError:
        return None
    finally:
        client.close()


def is_master(process: RedisProcess) -> bool:
    """Whether the server runs and finds that it is a master."""
    answer = ask(process, "ROLE")
    return bool(answer) and answer[0] == b"master"


def wait_until_synced(replica: RedisProcess) -> None:
    """Until the replica has its master's data and is fed every write."""

    def synced() -> bool:
        answer = ask(replica, "ROLE")
        return bool(answer) and answer[0] == b"slave" and answer[3] == b"connected"

    servers.wait_until(synced, f"the replica of port {replica.port} is in step with its master")


@contextmanager
def redis_replica(folder: Path, master: RedisProcess) -> Iterator[RedisProcess]:
    """A read-only replica of a running master, in step with it when the block begins."""
    with redis_process(folder, options=["--replicaof", HOST, str(master.port)]) as replica:
        wait_until_synced(replica)
        yield replica


class SlotRange(NamedTuple):
    """Some slots and the ports of the nodes that serve them, the master first."""

    first: int
    last: int
    ports: tuple[int, ...]


@dataclass(frozen=True)
class RedisCluster:
    """Three masters, and behind them in `nodes` their replicas if there are any; roles as they were at the start."""

    nodes: tuple[RedisProcess, ...]

    @property
    def running(self) -> list[RedisProcess]:
        return [node for node in self.nodes if node.is_running]

    @property
    def url(self) -> str:
        """Of a node that runs; the client finds the others."""
        return self.running[0].url

    def master_of(self, key: str) -> RedisProcess:
        """The node that serves the key now."""
        serving = self._serving(key)
        if not serving:
            raise servers.ServerError(f"no node serves {key!r}")
        return serving[0]

    def replicas_of(self, key: str) -> list[RedisProcess]:
        """The nodes that stand by for the key now."""
        return self._serving(key)[1:]

    def wait_until_ready(self, replicas: int = 0) -> None:
        """Until all running nodes agree who serves which slot, and none is left over; each with so many replicas."""

        def ready() -> bool:
            views = [slot_ranges(node) for node in self.running if b"cluster_state:ok" in (info(node) or b"")]
            masters = [{(entry.first, entry.last, entry.ports[0]) for entry in view} for view in views]
            agreed = len(views) == len(self.running) and all(view == masters[0] for view in masters)
            return agreed and all(len(entry.ports) > replicas for view in views for entry in view)

        def info(node: RedisProcess) -> Any:
            return ask(node, "CLUSTER", "INFO")

        servers.wait_until(ready, "all nodes of the cluster agree and serve every slot")

    def wait_until_taken_over(self, key: str, killed: RedisProcess) -> RedisProcess:
        """Until another node than the killed one serves the key and all agree about it; gives that node."""

        def taken_over() -> bool:
            serving = self._serving(key)
            return bool(serving) and serving[0] is not killed

        servers.wait_until(taken_over, f"another node took over {key!r}")
        self.wait_until_ready()
        return self.master_of(key)

    def _serving(self, key: str) -> list[RedisProcess]:
        node = self.running[0]
        slot = ask(node, "CLUSTER", "KEYSLOT", key)
        ports = [port for entry in slot_ranges(node) if entry.first <= slot <= entry.last for port in entry.ports]
        return [next(node for node in self.nodes if node.port == port) for port in ports]


def slot_ranges(node: RedisProcess) -> list[SlotRange]:
    """Who serves what, as this node sees it; empty while it does not answer."""
    answer = ask(node, "CLUSTER", "SLOTS") or []
    return [SlotRange(first, last, tuple(server[1] for server in nodes)) for first, last, *nodes in answer]


@contextmanager
def redis_cluster(folder: Path, *, replicas: int = 0) -> Iterator[RedisCluster]:
    """A cluster of three masters, each with so many replicas; all slots are served when the block begins."""
    program = redis_program()
    with ExitStack() as started:
        bus_ports: dict[int, int] = {}
        nodes = []
        for number in range(MASTERS * (1 + replicas)):
            home = folder / f"node-{number}"
            home.mkdir(parents=True)

            def make(port: int, home: Path = home) -> RedisProcess:
                bus_ports[port] = fixed_port()  # Redis's own choice, 10000 above the port, might be taken
                cluster = ["--cluster-enabled", "yes", "--cluster-port", str(bus_ports[port])]
                cluster += ["--cluster-node-timeout", str(NODE_TIMEOUT_MS)]
                options = ["--port", str(port), *common_options(home), *cluster]
                return RedisProcess([program], options, url=f"redis://{HOST}:{port}/0", port=port, folder=home)

            node = first_start(make)
            started.callback(node.close)
            nodes.append(node)
        _join(nodes, bus_ports)
        for node in nodes[MASTERS:]:
            wait_until_synced(node)
        cluster = RedisCluster(tuple(nodes))
        cluster.wait_until_ready(replicas)
        yield cluster


def _join(nodes: Sequence[RedisProcess], bus_ports: Mapping[int, int]) -> None:
    """What `redis-cli --cluster create` does, which pip's Valkey comes without."""

    def tell(node: RedisProcess, *command: str | int) -> Any:
        with node.client() as client:
            return client.execute_command("CLUSTER", *command)

    for number, node in enumerate(nodes):
        tell(node, "SET-CONFIG-EPOCH", number + 1)
    for number, node in enumerate(nodes[:MASTERS]):
        tell(node, "ADDSLOTSRANGE", SLOTS * number // MASTERS, SLOTS * (number + 1) // MASTERS - 1)
    for node in nodes[1:]:
        tell(nodes[0], "MEET", HOST, node.port, bus_ports[node.port])
    known = f"cluster_known_nodes:{len(nodes)}\r\n".encode()
    servers.wait_until(
        lambda: all(known in (ask(node, "CLUSTER", "INFO") or b"") for node in nodes), "all nodes know each other"
    )
    for number, node in enumerate(nodes[MASTERS:]):
        tell(node, "REPLICATE", tell(nodes[number % MASTERS], "MYID").decode())


@dataclass(frozen=True)
class RedisSentinel:
    """One Sentinel over a master and a replica, with these roles at the start; it decides alone (quorum 1)."""

    sentinel: RedisProcess
    master: RedisProcess
    replica: RedisProcess
    service_name: str = SERVICE_NAME

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """What `redis.Sentinel` is given."""
        return [(HOST, self.sentinel.port)]

    def wait_until_promoted(self, process: RedisProcess) -> None:
        """Until Sentinel sends clients to this server and the server finds itself a master."""
        index_reader: Any = redis.Sentinel(self.addresses, socket_timeout=1)  # type: ignore[no-untyped-call]

        def promoted() -> bool:
            # Asked for the address alone, Sentinel names the new master before it has done with the old one.
            with suppress(MasterNotFoundError):
                return index_reader.discover_master(self.service_name) == (HOST, process.port) and is_master(process)
            return False

        servers.wait_until(promoted, f"Sentinel names port {process.port} as the master")


@contextmanager
def redis_sentinel(folder: Path) -> Iterator[RedisSentinel]:
    """A master, its replica, and a Sentinel that lets the replica take over some 2 seconds after the master's death."""
    program = redis_program()
    homes = [folder / name for name in ("master", "replica", "sentinel")]
    for home in homes:
        home.mkdir(parents=True)
    with redis_process(homes[0]) as master, redis_replica(homes[1], master) as replica:

        def make(port: int) -> RedisProcess:
            configuration = homes[2] / "sentinel.conf"  # Sentinel writes into it what it learns
            configuration.write_text(
                f"bind {HOST}\nport {port}\ndir {homes[2]}\n"
                f"sentinel monitor {SERVICE_NAME} {HOST} {master.port} 1\n"
                f"sentinel down-after-milliseconds {SERVICE_NAME} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {SERVICE_NAME} {FAILOVER_TIMEOUT_MS}\n"
            )
            url = f"redis://{HOST}:{port}"
            return RedisProcess([program, str(configuration), "--sentinel"], [], url=url, port=port, folder=homes[2])

        sentinel = first_start(make)
        try:
            ask(sentinel, "SENTINEL", "DEBUG", *PERIODS_MS)
            servers.wait_until(lambda: _hears_a_replica(sentinel), "Sentinel hears the replica")
            yield RedisSentinel(sentinel, master, replica)
        finally:
            sentinel.close()


def _hears_a_replica(sentinel: RedisProcess) -> bool:
    client: Any = sentinel.client()
    with client:
        return any(not replica["is_disconnected"] for replica in client.sentinel_slaves(SERVICE_NAME))
