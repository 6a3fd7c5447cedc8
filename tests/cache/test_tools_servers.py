"""The Redis servers of the cache's tests do what those tests take for granted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import redis

from tests import redis_servers, redis_topologies, servers
from tests.redis_servers import RedisProcess, impatient_client
from tests.redis_tls import RedisTls
from tests.redis_topologies import RedisCluster, RedisSentinel


def test_a_suspended_server_answers_nothing_and_carries_out_afterwards_what_it_was_sent(
    redis_process: RedisProcess,
) -> None:
    with redis_process.client(timeout_seconds=0.1) as client:
        client.ping()  # the connection is open before
        redis_process.suspend()
        with pytest.raises(redis.TimeoutError):
            client.set("late", "1")
    redis_process.resume()
    with redis_process.client() as client:
        servers.wait_until(lambda: client.get("late") == b"1", "the late write is there")


def test_a_killed_server_refuses_and_comes_back_empty_at_the_same_address(redis_process: RedisProcess) -> None:
    with redis_process.client() as client:
        client.set("a", "1")
        first_pid = redis_process.pid
        redis_process.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        redis_process.start()
        assert redis_process.pid != first_pid
        assert client.get("a") is None


def test_a_server_that_saves_comes_back_with_its_last_snapshot(saving_redis_process: RedisProcess) -> None:
    with saving_redis_process.client() as client:
        client.set("a", "1")
        saving_redis_process.stop()  # writes a snapshot
        saving_redis_process.start()
        assert client.get("a") == b"1"
        client.set("a", "2")
        saving_redis_process.kill()  # writes none
        saving_redis_process.start()
        assert client.get("a") == b"1"


def test_no_server_outlives_its_block(tmp_path: Path) -> None:
    with redis_servers.redis_process(tmp_path) as process:
        pid = process.pid
        process.suspend()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_missing_server_skips_the_test_and_fails_it_where_servers_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BLUESTAR_TEST_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="redis-server is not on PATH"):
        redis_servers.redis_program()
    monkeypatch.setenv("BLUESTAR_TEST_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="redis-server is not on PATH"):
        redis_servers.redis_program()


def test_redis_and_valkey_answer(any_redis: str, request: pytest.FixtureRequest) -> None:
    with impatient_client(any_redis) as client:
        assert ("valkey_version" in client.info("server")) == ("valkey" in request.node.callspec.id)


def test_a_unix_socket_answers(redis_unix: RedisProcess) -> None:
    with redis_unix.client() as client:
        assert client.ping()


def test_tls_needs_the_ca_and_the_password(redis_tls: RedisTls) -> None:
    with impatient_client(redis_tls.url) as client:
        assert client.ping()
    with impatient_client(redis_tls.url_without_ca) as client, pytest.raises(redis.ConnectionError, match="CERTIF"):
        client.ping()
    with impatient_client(redis_tls.url_without_user) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_a_user_may_be_forbidden_a_command(redis_tls: RedisTls) -> None:
    redis_tls.set_user("-publish")
    with impatient_client(redis_tls.url) as client:
        assert client.set("a", "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.publish("channel", "message")


def test_a_replica_follows_its_master_and_takes_no_writes(
    redis_process: RedisProcess, redis_replica: RedisProcess
) -> None:
    with redis_process.client() as master, redis_replica.client() as replica:
        master.set("a", "1")
        servers.wait_until(lambda: replica.get("a") == b"1", "the write reached the replica")
        with pytest.raises(redis.ReadOnlyError):
            replica.set("a", "2")


def test_a_cluster_serves_every_slot_from_three_masters(redis_cluster: RedisCluster) -> None:
    keys = [f"tools-{number}" for number in range(30)]
    assert {redis_cluster.master_of(key) for key in keys} == set(redis_cluster.nodes)
    with redis.RedisCluster.from_url(redis_cluster.url) as client:
        for key in keys:
            client.set(key, key)
        assert [client.get(key) for key in keys] == [key.encode() for key in keys]


@pytest.mark.slow
def test_a_replica_takes_over_from_a_killed_master_of_a_cluster(redis_failover_cluster: RedisCluster) -> None:
    master = redis_failover_cluster.master_of("a")
    (replica,) = redis_failover_cluster.replicas_of("a")
    master.kill()
    assert redis_failover_cluster.wait_until_taken_over("a", master) is replica
    with redis.RedisCluster.from_url(redis_failover_cluster.url) as client:
        assert client.set("a", "1")
    master.start()
    redis_topologies.wait_until_synced(master)
    redis_failover_cluster.wait_until_ready(replicas=1)
    assert redis_failover_cluster.replicas_of("a") == [master]


@pytest.mark.slow
def test_sentinel_promotes_the_replica_of_a_killed_master(redis_sentinel: RedisSentinel) -> None:
    index_reader: Any = redis.Sentinel(redis_sentinel.addresses)  # type: ignore[no-untyped-call]
    assert index_reader.discover_master(redis_sentinel.service_name)[1] == redis_sentinel.master.port
    redis_sentinel.master.kill()
    redis_sentinel.wait_until_promoted(redis_sentinel.replica)
    with index_reader.master_for(redis_sentinel.service_name) as client:
        assert client.set("a", "1")
    redis_sentinel.master.start()
    redis_topologies.wait_until_synced(redis_sentinel.master)
