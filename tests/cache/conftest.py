"""Servers for the cache's tests. What a test may kill is its own; what is shared is left in order, keys prefixed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import redis_servers, redis_topologies, servers
from tests import redis_tls as tls
from tests.counting import percentages_may_count as percentages_may_count
from tests.redis_proxy import RedisProxy
from tests.redis_servers import RedisProcess
from tests.redis_tls import RedisTls
from tests.redis_topologies import RedisCluster, RedisSentinel


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    """An empty Redis of the test's own, which may be suspended, killed and started again; it saves nothing."""
    with redis_servers.redis_process(_folder(tmp_path, "redis")) as process:
        yield process


@pytest.fixture
def saving_redis_process(tmp_path: Path) -> Iterator[RedisProcess]:
    """The same with snapshots: `stop`, or the command SAVE, keeps what a start finds again."""
    with redis_servers.redis_process(_folder(tmp_path, "redis"), save=True) as process:
        yield process


@pytest.fixture
def redis_proxy(redis_process: RedisProcess) -> Iterator[RedisProxy]:
    """A proxy before `redis_process`: counts, and misbehaves when told."""
    with RedisProxy(redis_process.url) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def _valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("valkey")
    with redis_servers.redis_process(folder, program=redis_servers.valkey_program()) as process:
        yield process.url


@pytest.fixture(scope="session", params=["redis", "valkey"])
def any_redis(request: pytest.FixtureRequest) -> str:
    """The URL of a Redis, then of a Valkey, each shared by this worker's tests: prefix your keys, flush nothing."""
    if request.param == "redis" and redis_servers.is_valkey(redis_servers.redis_program()):
        servers.unavailable("Redis's own redis-server is not on PATH: Valkey stands in for it in the other tests")
    url: str = request.getfixturevalue("redis_url" if request.param == "redis" else "_valkey_server")
    return url


@pytest.fixture
def redis_unix() -> Iterator[RedisProcess]:
    """A Redis of the test's own on a Unix socket alone."""
    with redis_servers.redis_unix() as process:
        yield process


@pytest.fixture
def redis_tls(tmp_path: Path) -> Iterator[RedisTls]:
    """A Redis of the test's own behind TLS and a password."""
    with tls.redis_tls(_folder(tmp_path, "redis-tls")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters, shared by all tests of this worker: kill none of them."""
    with redis_topologies.redis_cluster(tmp_path_factory.mktemp("redis-cluster")) as cluster:
        yield cluster


@pytest.fixture
def redis_failover_cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    """Three masters with a replica each, of the test's own: takes 3 seconds to start and 3 to fail over."""
    with redis_topologies.redis_cluster(tmp_path / "redis-cluster", replicas=1) as cluster:
        yield cluster


@pytest.fixture
def redis_replica(redis_process: RedisProcess, tmp_path: Path) -> Iterator[RedisProcess]:
    """A replica of `redis_process`, in step with it."""
    with redis_topologies.redis_replica(_folder(tmp_path, "redis-replica"), redis_process) as replica:
        yield replica


@pytest.fixture
def redis_sentinel(tmp_path: Path) -> Iterator[RedisSentinel]:
    """A Sentinel over a master and a replica, of the test's own."""
    with redis_topologies.redis_sentinel(tmp_path / "redis-sentinel") as sentinel:
        yield sentinel


def _folder(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder
