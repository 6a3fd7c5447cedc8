"""A Redis that keeps nothing and still delivers messages; and who can tell when not even those go out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import redis

from bluestar_store import Store
from bluestar_store.cache.redis.publisher import InvalidationPublisher
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import FaultEngine
from tests.cache.stores import one_store, rule, stores, until
from tests.redis_proxy import RedisProxy
from tests.redis_servers import RedisProcess
from tests.redis_topologies import RedisCluster, ask, redis_cluster, slot_ranges

TIMES: dict[str, Any] = {"redis_timeout_ms": 1000}
CACHE_KEY = ("calculation-rule", "ACME", "match")


def full(client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


REFUSALS: dict[str, Callable[[redis.Redis], object]] = {
    "full": full,
    "demoted": lambda client: client.replicaof("127.0.0.1", 1),
    "too-few-replicas": lambda client: client.config_set("min-replicas-to-write", "1"),
}


def welcome(client: redis.Redis) -> None:
    """Take writes again."""
    client.config_set("maxmemory", "0")
    client.config_set("min-replicas-to-write", "0")
    client.replicaof("NO", "ONE")


def percent(store: Store) -> int:
    return int(store.calculation_rules.get("ACME", "match").max_pct or 0)


def change(store: Store, max_pct: int) -> None:
    current = store.calculation_rules.get("ACME", "match", fresh=True)
    store.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(max_pct)}))


@contextmanager
def two(url: str, **settings: Any) -> Iterator[tuple[Store, Store, FaultEngine]]:
    """A writer and a reader that has the rule in its memory, with their channels up."""
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, url, **TIMES, **settings) as (writer, reader):
        writer.calculation_rules.put(rule("ACME", 5))
        for store in (writer, reader):
            assert percent(store) == 5
            until(lambda store=store: store.cache.stats().channel, "the channel is there")  # type: ignore[misc]
            assert percent(store) == 5
        yield writer, reader, engine


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_write_is_heard_where_redis_keeps_nothing(
    redis_process: RedisProcess, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = redis_process.client()
    with two(redis_process.url) as (writer, reader, _), caplog.at_level(logging.WARNING, "bluestar_store.cache"):
        REFUSALS[refusal](client)
        for value in (6, 7):
            change(writer, value)
            until(lambda value=value: percent(reader) == value, "the write is heard")  # type: ignore[misc]
        found = writer.cache.stats()
        assert found.redis == "open"
        assert found.pending > 0
        assert (found.unwritten, found.unannounced) == (4, 0)
        assert len(caplog.messages) == 1
        assert "by message alone" in caplog.messages[0]
        welcome(client)
        for store in (writer, reader):
            until(lambda store=store: store.cache.stats().redis == "closed", "Redis is back")  # type: ignore[misc]
            until(lambda store=store: store.cache.stats().pending == 0, "all is told")  # type: ignore[misc]
            assert percent(store) == 7
    client.close()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_others_forget_before_the_commit_where_redis_keeps_nothing(redis_process: RedisProcess, refusal: str) -> None:
    client = redis_process.client()
    with two(redis_process.url) as (writer, reader, engine):
        REFUSALS[refusal](client)
        with engine.faults.hold("write") as hold:
            thread = threading.Thread(target=change, args=(writer, 6), daemon=True)
            thread.start()
            hold.reached.wait()
            until(lambda: reader.cache.explain(CACHE_KEY).tier != "process", "the write is heard of")
            assert percent(reader) == 5
            assert reader.cache.explain(CACHE_KEY).tier != "process"  # what is read during a write is not kept
            hold.release()
            thread.join(10)
        until(lambda: percent(reader) == 6, "the write is heard")
    client.close()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_what_redis_kept_from_before_is_not_believed_when_it_keeps_again_though_the_writer_died(
    redis_process: RedisProcess, refusal: str
) -> None:
    client = redis_process.client()
    with two(redis_process.url) as (writer, reader, engine):
        assert writer.cache._cache.remote is not None
        assert reader.cache._cache.remote is not None
        recover = writer.cache._cache.remote.publisher.recover
        writer.cache._cache.remote.publisher.recover = lambda: False  # type: ignore[method-assign]  # it tells nobody later
        REFUSALS[refusal](client)
        change(writer, 6)
        until(lambda: percent(reader) == 6, "the write is heard")
        welcome(client)
        until(lambda: reader.cache.stats().redis == "closed", "Redis is back for the reader")
        for _ in range(3):
            reader.cache._cache.local.flush()
            assert percent(reader) == 6
        with stores(engine, 1, redis_process.url, **TIMES, table_suffix=writer.settings.table_suffix) as (late,):
            until(lambda: percent(late) == 6, "who comes later does not find it either")
        writer.cache._cache.remote.publisher.recover = recover  # type: ignore[method-assign]
        writer.cache._cache.remote.publisher.pending.take()
    client.close()


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_message_says_that_redis_keeps_what_was_there_before(redis_process: RedisProcess, refusal: str) -> None:
    """Who did not ask Redis while it refused knows that only by the message."""
    client = redis_process.client()
    with two(redis_process.url) as (writer, reader, _), patch.object(InvalidationPublisher, "check_writable"):
        assert writer.cache._cache.remote is not None
        with patch.object(writer.cache._cache.remote.publisher, "recover", return_value=False):  # it tells nobody later
            before = reader.cache.stats().invalidations_in
            REFUSALS[refusal](client)
            writer.calculation_rules.put(rule("ACME", 6))  # reads nothing before, and so is the first to be refused
            welcome(client)
            until(lambda: reader.cache.stats().invalidations_in == before + 3, "all of the write is heard")
            for _ in range(3):
                assert percent(reader) == 6
                reader.cache._cache.local.flush()
        writer.cache._cache.remote.publisher.pending.take()
    client.close()


def test_a_process_that_only_reads_finds_out_that_redis_keeps_nothing(redis_process: RedisProcess) -> None:
    client = redis_process.client()
    with two(redis_process.url) as (_, reader, _):
        full(client)
        until(lambda: reader.cache.stats().redis == "open", "a heartbeat is refused")
        assert reader.cache.stats().channel
        assert percent(reader) == 5
    client.close()


def test_a_server_that_delivers_nothing_is_not_trusted_though_it_answers(redis_process: RedisProcess) -> None:
    client = redis_process.client()
    with two(redis_process.url, cache_ttl_seconds=100) as (writer, reader, _):
        client.client_pause(60_000, all=False)  # PUBLISH waits, too; PING and GET do not
        change(writer, 6)
        assert writer.cache.stats().unannounced == 2
        until(lambda: percent(reader) == 6, "the reader asks")
        until(lambda: not reader.cache.stats().channel, "a channel on which nothing is heard is none")
        client.client_unpause()
        until(lambda: writer.cache.stats().pending == 0, "all is told")
    client.close()


def test_who_can_tell_nobody_says_so(
    redis_proxy: RedisProxy, redis_process: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    with one_store(redis_proxy.url, **TIMES) as (store, _), caplog.at_level(logging.WARNING, "bluestar_store.cache"):
        store.calculation_rules.put(rule("ACME", 5))
        percent(store)
        store.cache.listen(lambda name, amount: told.append(name))
        redis_proxy.refuse()
        redis_proxy.cut()
        change(store, 6)
        change(store, 7)
        found = store.cache.stats()
        assert (found.unannounced, found.unwritten) == (4, 0)
        assert found.pending == 2 * len({"item", "partition"})
        assert told.count("unannounced") == 4
        assert len(caplog.messages) == 1
        assert "cannot be told of a write" in caplog.messages[0]
        redis_proxy.pass_on()
        until(lambda: store.cache.stats().pending == 0, "all is told")


# ------------------------------------------------------------------------------------------------------------ clusters


def slot_of(store: Store, cluster: RedisCluster) -> int:
    remote = store.cache._cache.remote
    assert remote is not None
    return int(ask(cluster.running[0], "CLUSTER", "KEYSLOT", remote.client.namespace.slot_key(CACHE_KEY).decode()))


def test_a_slot_that_is_being_moved_is_followed(redis_cluster: RedisCluster) -> None:
    with two(redis_cluster.url, redis_mode="cluster") as (writer, reader, engine):
        slot = slot_of(writer, redis_cluster)
        source = next(
            n
            for n in redis_cluster.nodes
            if any(e.first <= slot <= e.last and e.ports[0] == n.port for e in slot_ranges(n))
        )
        target = next(node for node in redis_cluster.nodes if node is not source)
        ids = {node: ask(node, "CLUSTER", "MYID").decode() for node in redis_cluster.nodes}
        ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        try:
            change(writer, 6)
            until(lambda: percent(reader) == 6, "the write is heard")
            for key in ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 100):
                ask(source, "MIGRATE", "127.0.0.1", target.port, key, 0, 1000)
            change(writer, 7)
            until(lambda: percent(reader) == 7, "the write is heard")
            writer.cache._cache.local.flush()
            assert percent(writer) == 7
        finally:
            for node in (target, source, *redis_cluster.nodes):
                ask(node, "CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        change(writer, 8)
        until(lambda: percent(reader) == 8, "the write is heard")
        for _ in range(2):
            reader.cache._cache.local.flush()
            engine.faults.forget()
            assert percent(reader) == 8
        assert engine.faults.counts == {}
        for store in (writer, reader):
            assert store.cache.stats().outages == 0, store.cache.stats()


@pytest.mark.parametrize("dead", ["of the key", "asked first"])
def test_the_message_goes_out_where_a_master_is_dead(tmp_path: Path, dead: str) -> None:
    with (
        redis_cluster(tmp_path / "cluster") as cluster,
        two(cluster.url, redis_mode="cluster", cache_ttl_seconds=100, cache_degraded_ttl_seconds=60) as (
            writer,
            reader,
            _,
        ),
    ):
        remote = writer.cache._cache.remote
        assert remote is not None
        if dead == "of the key":
            cluster.master_of(remote.client.namespace.slot_key(CACHE_KEY).decode()).kill()
        else:
            first = next(iter(remote.client.topology.servers()))
            port = first._pool.connection_kwargs["port"]
            next(node for node in cluster.running if node.port == port).kill()
        for store in (writer, reader):
            until(lambda store=store: store.cache.stats().channel, "another master passes messages on")  # type: ignore[misc]
        for value in (6, 7):
            change(writer, value)
            until(lambda value=value: percent(reader) == value, "the write is heard")  # type: ignore[misc]
