"""Redis loses what it was told, a writer dies, a process is stopped: what bounds the age of what is answered then."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import redis

from bluestar_store import Settings, Store
from bluestar_store.cache import limits as cache_limits
from bluestar_store.cache.in_flight import MAX_KEYS_WRITTEN, InFlightWrites
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.redis.publisher import WITNESS_KEY, InvalidationPublisher
from bluestar_store.cache.redis.stored import StoredValue
from bluestar_store.cache.redis.tier import RedisTier
from bluestar_store.clock import SystemClock
from bluestar_store.engines.dynamo import transactions
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import FaultEngine, FrozenClock
from tests.cache.stores import one_store, rule, stores, until
from tests.cache.test_processes import working
from tests.redis_servers import RedisProcess

DEGRADED_SECONDS = 0.6
CACHE_KEY = ("calculation-rule", "ACME", "match")


def percent(store: Store) -> int:
    return int(store.calculation_rules.get("ACME", "match").max_pct or 0)


def remote_of(store: Store) -> RedisTier:
    remote = store.cache._cache.remote
    assert remote is not None
    return remote


@contextmanager
def dying_writer(
    redis_process: RedisProcess, lose: Callable[[RedisProcess], None]
) -> Iterator[tuple[Sequence[Store], FaultEngine]]:
    """Readers, during whose block a write is under way whose tombstone is lost, but which they have heard of.

    It commits after the block, and nobody hears of that: the writer's process dies.
    """
    engine = FaultEngine(MemoryEngine())
    options: dict[str, Any] = {"cache_degraded_ttl_seconds": DEGRADED_SECONDS, "table_suffix": "-dying"}
    with stores(engine, 2, redis_process.url, young_redis=True, redis_timeout_ms=1000, **options) as (writer, *others):
        writer.calculation_rules.put(rule("ACME", 5))
        for store in (writer, *others):
            percent(store)
            until(lambda store=store: store.cache.stats().channel, "the channel is there")  # type: ignore[misc]
        heard = [store.cache.stats().invalidations_in for store in others]
        with (
            patch.object(remote_of(writer).publisher, "remove_tombstones"),
            patch.object(writer.cache._cache, "_end_write"),
            engine.faults.hold("write") as hold,
        ):
            thread = threading.Thread(target=lambda: writer.calculation_rules.put(rule("ACME", 6)), daemon=True)
            thread.start()
            hold.reached.wait()
            until(
                lambda: all(o.cache.stats().invalidations_in > n for o, n in zip(others, heard, strict=True)),
                "it is heard",
            )
            lose(redis_process)
            yield others, engine
            hold.release()
            thread.join(10)


def flush(server: RedisProcess) -> None:
    server.client().flushall()


def restart(server: RedisProcess) -> None:
    server.kill()
    server.start()


def evict(server: RedisProcess) -> None:
    client = server.client()
    client.config_set("maxmemory-policy", "allkeys-random")
    client.config_set("maxmemory", "1")
    with suppress(redis.ResponseError):  # there is no room for this one either
        client.set("anything", "x")
    assert client.info("stats")["evicted_keys"] > 0
    client.config_set("maxmemory", "0")


LOSSES = {"flush": flush, "restart": restart, "eviction": evict}


@pytest.mark.parametrize("loss", LOSSES)
def test_who_heard_of_a_write_keeps_nothing_of_it_though_redis_lost_its_tombstone(
    redis_process: RedisProcess, loss: str
) -> None:
    with dying_writer(redis_process, LOSSES[loss]) as ((reader,), engine):
        until(lambda: reader.cache.stats().redis == "closed" and reader.cache.stats().channel, "Redis is in the path")
        for _ in range(3):
            assert percent(reader) == 5
        assert reader.cache.explain(CACHE_KEY).tier == "nowhere"
    assert percent(reader) == 6
    assert engine.faults.counts["write"] >= 1


@pytest.mark.parametrize("loss", LOSSES)
def test_who_comes_after_redis_lost_a_tombstone_keeps_shortly_what_it_reads(
    redis_process: RedisProcess, loss: str
) -> None:
    with dying_writer(redis_process, LOSSES[loss]) as (_, engine):
        options: dict[str, Any] = {"table_suffix": "-dying", "cache_degraded_ttl_seconds": DEGRADED_SECONDS}
        with stores(engine, 1, redis_process.url, young_redis=True, redis_timeout_ms=1000, **options) as (late,):
            assert percent(late) == 5
            found = late.cache.explain(CACHE_KEY)
            assert found.expires_in_seconds is not None
            assert found.expires_in_seconds <= max(DEGRADED_SECONDS, remote_of(late).publisher.retained_seconds())


def aged(server: RedisProcess, store: Store, seconds: int) -> None:
    """As if the server had kept all it was told for so long."""
    remote, client = remote_of(store), server.client()
    remote.publisher.witness()
    key = remote.client.namespace.redis_key(WITNESS_KEY, client.info("server")["run_id"].encode())
    content = client.get(key)
    assert isinstance(content, bytes)
    mark, _, since = content.rpartition(b" ")
    client.set(key, b"%b %d" % (mark, int(since) - 1000 * seconds), ex=60)
    remote.publisher.witness()
    assert remote.publisher.retained_seconds() >= seconds


def test_who_comes_late_keeps_long_what_it_reads_of_a_server_that_has_lost_nothing(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url, young_redis=True, redis_timeout_ms=1000) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        aged(redis_process, store, 3600)
        assert percent(store) == 5
        assert (store.cache.explain(CACHE_KEY).expires_in_seconds or 0) > 250


@pytest.mark.parametrize("loss", [flush, evict])
def test_a_loss_counts_before_the_next_heartbeat_tells_of_it(
    redis_process: RedisProcess, loss: Callable[[RedisProcess], None]
) -> None:
    options: dict[str, Any] = {"cache_degraded_ttl_seconds": DEGRADED_SECONDS, "redis_timeout_ms": 1000}
    with one_store(redis_process.url, young_redis=True, **options) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        until(lambda: store.cache.stats().channel or percent(store) == 0, "the channel is there")
        aged(redis_process, store, 3600)
        with patch.object(InvalidationPublisher, "witness"):  # no heartbeat comes in between
            loss(redis_process)
            store.cache._cache.local.flush()
            assert percent(store) == 5
            found = store.cache.explain(CACHE_KEY)
            assert found.tier == "process"
            assert (found.expires_in_seconds or 0) <= DEGRADED_SECONDS + remote_of(store).listening_seconds()
            store.cache._cache.local.flush()
            held = remote_of(store).inspect(CACHE_KEY)
            assert isinstance(held, StoredValue)
            assert held.remaining_ms <= 1000 * (DEGRADED_SECONDS + remote_of(store).listening_seconds())


def test_a_server_that_has_kept_all_it_was_told_is_believed_for_the_whole_ttl(redis_process: RedisProcess) -> None:
    clock = FrozenClock()
    with one_store(redis_process.url, clock=clock, young_redis=True, redis_timeout_ms=1000) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        for seconds, least, most in ((0, 0, 5), (60, 50, 61), (600, 250, 300)):
            clock.advance(seconds)
            store.cache._cache.local.flush()
            store.cache.clear()
            assert percent(store) == 5
            expires = store.cache.explain(CACHE_KEY).expires_in_seconds
            assert expires is not None
            assert least <= expires <= most


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_seen(redis_process: RedisProcess, loss: str) -> None:
    with one_store(redis_process.url, young_redis=True, redis_timeout_ms=1000) as (store, _):
        remote = remote_of(store)
        remote.publisher.witness()
        time.sleep(0.3)
        remote.publisher.witness()
        assert remote.publisher.retained_seconds() >= 0.3
        LOSSES[loss](redis_process)
        remote.publisher.witness()
        assert remote.publisher.retained_seconds() < 0.3


# ----------------------------------------------------------------------------------------------------------- tombstones


@pytest.mark.parametrize("conflict_attempts", [1, 2, 3, 12, 100])
@pytest.mark.parametrize("max_attempts", [1, 2, 4, 20])
@pytest.mark.parametrize("timeout", [0.1, 5, 3600])
def test_a_tombstone_outlives_the_longest_commit(conflict_attempts: int, max_attempts: int, timeout: float) -> None:
    found = CacheLimits.of(
        Settings(
            persistence_mode="memory",
            conflict_attempts=conflict_attempts,
            max_attempts=max_attempts,
            connect_timeout_seconds=timeout,
            read_timeout_seconds=timeout,
        )
    )
    pauses = sum(min(2**n, 20) for n in range(max_attempts - 1))  # botocore's standard mode
    transaction = transactions.ASKS * (max_attempts * 2 * timeout + pauses) + (transactions.ASKS - 1) * 2
    assert found.block_seconds > conflict_attempts * (transaction + 2)
    assert found.block_seconds / 2 > transaction


def test_the_cache_knows_how_often_an_engine_asks() -> None:
    assert cache_limits.ASKS == transactions.ASKS


@pytest.mark.parametrize(("part", "again"), [(0.4, False), (0.6, True)])
def test_a_writer_renews_its_tombstones_before_it_sends_when_half_their_time_is_over(
    redis_url: str, part: float, again: bool
) -> None:
    clock = FrozenClock()
    with one_store(redis_url, clock=clock) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        notes: list[str | None] = []
        assert isinstance(engine.inner, MemoryEngine)
        commit = engine.inner._commit

        def committing(images: Any) -> None:
            notes.append(store.cache.explain(CACHE_KEY).note)
            commit(images)

        with patch.object(engine.inner, "_commit", committing), engine.faults.hold("write") as hold:
            thread = threading.Thread(target=lambda: store.calculation_rules.put(rule("ACME", 6)), daemon=True)
            thread.start()
            hold.reached.wait()
            store.cache._cache.remote.client.run([CACHE_KEY], lambda _, key: ("DEL", key(CACHE_KEY)))  # type: ignore[union-attr]
            clock.advance(part * store.cache._cache.limits.block_seconds)
            hold.release()
            thread.join(10)
        assert notes[0] == ("it is being written" if again else "nothing in Redis")  # a late commit is told once more


def test_writes_of_different_writers_cover_a_key_until_each_ends_or_is_over() -> None:
    clock = FrozenClock()
    writes = InFlightWrites(clock.monotonic)
    writes.begin([CACHE_KEY], b"one", 10)
    writes.begin([CACHE_KEY], b"two", 20, announced=True)
    writes.end([CACHE_KEY], b"one")
    assert writes.cover(CACHE_KEY)
    writes.end_announced(clock.monotonic())
    assert writes.cover(CACHE_KEY)
    writes.end_announced(clock.monotonic() + 1)
    assert not writes.cover(CACHE_KEY)
    writes.begin([CACHE_KEY], b"one", 10)
    clock.advance(10)
    assert not writes.cover(CACHE_KEY)


def test_more_writes_than_can_be_kept_cover_every_key() -> None:
    clock = FrozenClock()
    writes = InFlightWrites(clock.monotonic)
    writes.begin([("rule", number) for number in range(MAX_KEYS_WRITTEN + 1)], b"one", 10)
    assert writes.cover(("another",))
    clock.advance(10)
    assert not writes.cover(("another",))


# --------------------------------------------------------------------------------------------------------------- stops


def test_a_process_that_was_stopped_asks_before_it_answers_from_memory(tmp_path: Path, redis_url: str) -> None:
    options: dict[str, Any] = {
        "persistence_mode": "file",
        "file_persistence_dir": str(tmp_path / "data"),
        "redis_url": redis_url,
        "redis_timeout_ms": 20_000,
        "table_suffix": f"-{os.getpid()}-stopped",
    }
    stop = CacheLimits.of(Settings(**options)).trust_seconds + 0.1
    with working(options, 2) as (writer, reader):
        writer.ask("write", "ACME", 1)
        until(lambda: reader.ask("read", "ACME") == 1, "the write is heard")
        for value in range(2, 5):
            reader.ask("read", "ACME")
            reader.process.send_signal(signal.SIGSTOP)
            writer.ask("write", "ACME", value)
            time.sleep(stop)
            reader.tell("read", "ACME")
            reader.process.send_signal(signal.SIGCONT)
            assert reader.answer() == value


def test_what_is_in_memory_is_not_given_before_a_heartbeat_after_a_pause(redis_url: str) -> None:
    clock = FrozenClock()
    with one_store(redis_url, clock=clock) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        percent(store)
        until(lambda: store.cache.stats().channel, "the channel is there")
        percent(store)
        engine.faults.forget()
        before = store.cache.stats()
        remote = remote_of(store)
        with patch.object(remote.publisher, "send_heartbeat"):
            clock.advance(store.cache._cache.limits.trust_seconds + 0.01)
            assert percent(store) == 5
            after = store.cache.stats()
            assert after.hits_redis == before.hits_redis + 1
            assert after.hits_local == before.hits_local
        until(lambda: percent(store) and store.cache.stats().hits_local > before.hits_local, "memory is trusted again")
        assert engine.faults.counts == {}


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has this clock")
def test_a_caches_times_count_what_the_computer_slept() -> None:
    assert abs(SystemClock().monotonic() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1


def test_a_value_in_redis_is_not_taken_while_a_write_is_known_whose_tombstone_is_lost(redis_url: str) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 3, redis_url) as (writer, reader, unaware):
        writer.calculation_rules.put(rule("ACME", 5))
        for store in (writer, reader, unaware):
            percent(store)
            until(lambda store=store: store.cache.stats().channel, "the channel is there")  # type: ignore[misc]
        with engine.faults.hold("write") as hold:
            thread = threading.Thread(target=lambda: writer.calculation_rules.put(rule("ACME", 6)), daemon=True)
            thread.start()
            hold.reached.wait()
            for store in (reader, unaware):
                until(lambda store=store: store.cache._cache.local.writes.cover(CACHE_KEY), "the write is heard")  # type: ignore[misc]
            remote_of(writer).client.run([CACHE_KEY], lambda _, key: ("DEL", key(CACHE_KEY)))
            unaware.cache._cache.local.writes.reset()  # as one that was opened later
            assert percent(unaware) == 5
            assert unaware.cache.explain(CACHE_KEY).tier == "process"
            loads = reader.cache.stats().loads
            for _ in range(2):
                assert percent(reader) == 5
            assert reader.cache.stats().loads == loads + 2
            hold.release()
            thread.join(10)
        until(lambda: percent(reader) == 6, "the end of the write is heard")
