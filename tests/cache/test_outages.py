"""Redis fails in every way it can: reads go on, nothing old comes back, and the tier returns by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import Store, UnavailableError
from bluestar_store.cache.redis.stored import FORMAT
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import FaultEngine
from tests.cache.stores import one_store, rule, stores, until
from tests.redis_proxy import RedisProxy
from tests.redis_servers import RedisProcess

Both = tuple[Store, FaultEngine]
TIMES: dict[str, Any] = {"redis_timeout_ms": 1000, "cache_heartbeat_seconds": 0.5}
"""Long enough for a healthy Redis on a busy machine, where these tests count outages; short enough to wait for."""


@pytest.fixture
def behind(redis_proxy: RedisProxy) -> Iterator[Both]:
    """A Store whose Redis can be made to fail."""
    with one_store(redis_proxy.url, **TIMES) as both:
        yield both


def is_closed(store: Store) -> bool:
    return store.cache.stats().redis == "closed" and store.cache.stats().channel


def forget_here(store: Store) -> None:
    """As if another process of the same environment came to read."""
    store.cache._cache.local.flush()


def changed(store: Store, max_pct: int) -> None:
    current = store.calculation_rules.get("ACME", "match", fresh=True)
    store.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(max_pct)}))


def cut(proxy: RedisProxy) -> None:
    proxy.refuse()
    proxy.cut()


FAULTS: dict[str, Callable[[RedisProxy], None]] = {
    "refused": RedisProxy.refuse,
    "hung": RedisProxy.hang,
    "garbage": RedisProxy.garbage,
    "cut": cut,
    "silent": RedisProxy.drop_replies,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_reads_and_writes_go_on_without_redis_and_with_it_again(
    behind: Both, redis_proxy: RedisProxy, fault: str
) -> None:
    store, engine = behind
    store.calculation_rules.put(rule("ACME", 5))
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    FAULTS[fault](redis_proxy)
    forget_here(store)
    for _ in range(3):
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
    changed(store, 4)
    assert store.calculation_rules.get("ACME", "match").max_pct == 4
    assert store.cache.stats().outages == 1
    redis_proxy.pass_on()
    until(lambda: is_closed(store), "Redis is back in the path")
    assert store.cache.stats().pending == 0
    forget_here(store)
    engine.faults.forget()
    assert store.calculation_rules.get("ACME", "match").max_pct == 4
    forget_here(store)
    assert store.calculation_rules.get("ACME", "match").max_pct == 4
    assert engine.faults.counts == {"get": 1}


def test_one_read_waits_for_a_hung_redis_and_the_next_ones_do_not_ask_it(behind: Both, redis_proxy: RedisProxy) -> None:
    store, _ = behind
    store.calculation_rules.put(rule("ACME", 5))
    store.calculation_rules.get("ACME", "match")
    redis_proxy.hang()
    forget_here(store)
    store.calculation_rules.get("ACME", "match")
    until(lambda: not store.cache.stats().channel, "the channel is missed")
    assert store.cache.stats().redis == "open"
    asked = store.cache.stats().outages
    for plan in ("A", "B", "C"):
        with pytest.raises(LookupError):
            store.calculation_rules.get(plan, "match")
    assert store.cache.stats().outages == asked == 1


def test_what_is_read_while_redis_is_out_lives_shortly(behind: Both, redis_proxy: RedisProxy) -> None:
    store, _ = behind
    store.calculation_rules.put(rule("ACME", 5))
    store.calculation_rules.get("ACME", "match")
    redis_proxy.refuse()
    redis_proxy.cut()
    until(lambda: not store.cache.stats().channel, "the channel is missed")
    store.calculation_rules.get("ACME", "match")
    found = store.cache.explain(("calculation-rule", "ACME", "match"))
    assert found.tier == "process"
    assert found.expires_in_seconds is not None
    assert found.expires_in_seconds <= 5


def test_a_silent_channel_is_noticed_and_the_first_tier_emptied(behind: Both, redis_proxy: RedisProxy) -> None:
    store, _ = behind
    store.calculation_rules.put(rule("ACME", 5))
    store.calculation_rules.get("ACME", "match")
    before = store.cache.stats()
    assert before.channel
    assert before.entries == 2
    redis_proxy.mute_pubsub()
    until(lambda: not store.cache.stats().channel, "the silence is noticed")
    assert store.cache.stats().entries == 0
    assert store.cache.stats().redis == "closed"
    redis_proxy.pass_on()
    redis_proxy.cut(pubsub_only=True)
    until(lambda: store.cache.stats().channel, "the channel is back")


def test_what_could_not_be_announced_is_announced_before_the_tier_is_used_again(redis_proxy: RedisProxy) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_proxy.url, **TIMES) as (writer, reader):
        straight = reader.cache._cache.remote
        assert straight is not None
        writer.calculation_rules.put(rule("ACME", 5))
        assert reader.calculation_rules.get("ACME", "match").max_pct == 5
        redis_proxy.drop_replies("EVAL", times=1)
        changed(writer, 4)
        until(lambda: is_closed(writer), "the writer reached Redis again")
        assert writer.cache.stats().pending == 0
        until(lambda: reader.calculation_rules.get("ACME", "match").max_pct == 4, "the reader is told")


@pytest.mark.parametrize("lost", ["SET", "EVAL"])
def test_a_lost_reply_keeps_nothing_that_may_be_old(behind: Both, redis_proxy: RedisProxy, lost: str) -> None:
    store, _ = behind
    store.calculation_rules.put(rule("ACME", 5))
    redis_proxy.drop_replies(lost, times=1)
    assert store.calculation_rules.get("ACME", "match").max_pct == 5
    until(lambda: is_closed(store), "Redis is back in the path")
    changed(store, 4)
    assert store.calculation_rules.get("ACME", "match").max_pct == 4
    forget_here(store)
    assert store.calculation_rules.get("ACME", "match").max_pct == 4


def test_a_lease_that_a_hung_server_grants_after_all_keeps_nobody_waiting(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url, **TIMES) as (store, engine):
        for plan in ("ACME", "OMEGA"):
            store.calculation_rules.put(rule(plan, 5))
        store.calculation_rules.get("ACME", "match")
        redis_process.suspend()
        assert store.calculation_rules.get("OMEGA", "match").max_pct == 5
        redis_process.resume()
        until(lambda: is_closed(store), "Redis is back in the path")
        forget_here(store)
        engine.faults.forget()
        assert store.calculation_rules.get("OMEGA", "match").max_pct == 5
        assert store.cache.stats().lease_waits == 0
        assert engine.faults.counts == {"get": 1}
        forget_here(store)
        assert store.calculation_rules.get("OMEGA", "match").max_pct == 5
        assert engine.faults.counts == {"get": 1}


def test_a_flushed_redis_is_just_empty(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        redis_process.client().flushall()
        forget_here(store)
        engine.faults.forget()
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert engine.faults.counts == {"get": 1}
        assert store.cache.stats().outages == 0


def test_a_full_redis_is_left_alone_until_there_is_room(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url, **TIMES) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        redis_process.client().config_set("maxmemory", "1")
        forget_here(store)
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        changed(store, 4)
        assert store.calculation_rules.get("ACME", "match").max_pct == 4
        assert store.cache.stats().redis == "open"
        assert store.cache.stats().redis_error == "refused: OutOfMemoryError"
        redis_process.client().config_set("maxmemory", "0")
        until(lambda: is_closed(store), "Redis is back in the path")


def test_a_server_restarted_from_an_old_snapshot_brings_no_old_value_back(saving_redis_process: RedisProcess) -> None:
    server = saving_redis_process
    with one_store(server.url, **TIMES) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        server.client().save()
        changed(store, 4)
        server.kill()
        forget_here(store)
        assert store.calculation_rules.get("ACME", "match").max_pct == 4
        server.start()
        assert server.client().dbsize() > 0
        until(lambda: is_closed(store), "Redis is back in the path")
        forget_here(store)
        engine.faults.forget()
        assert store.calculation_rules.get("ACME", "match").max_pct == 4
        assert engine.faults.counts == {"get": 1}


def test_a_value_from_before_an_outage_is_not_believed_after_it(redis_proxy: RedisProxy) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_proxy.url, **TIMES) as (one, other):
        one.calculation_rules.put(rule("ACME", 5))
        other.calculation_rules.get("ACME", "match")
        redis_proxy.refuse()
        redis_proxy.cut()
        for store in (one, other):
            until(lambda store=store: not store.cache.stats().channel, "the outage is noticed")  # type: ignore[misc]
            forget_here(store)
        changed(one, 4)
        one.cache._cache.remote.publisher.pending.take()  # type: ignore[union-attr]  # its process died with what it had to tell
        with pytest.raises(LookupError):
            other.calculation_rules.get("NOBODY", "match")
        redis_proxy.pass_on()
        until(lambda: is_closed(other), "Redis is back in the path")
        assert other.calculation_rules.get("ACME", "match").max_pct == 4


TOKEN = b"a" * 16


@pytest.mark.parametrize(
    "content", [b"", b"X", b"V", b"Vshort", b"L", b"V%b9300000\n{}" % TOKEN, b"V%b%b300\nno" % (TOKEN, FORMAT)]
)
def test_what_is_no_value_of_this_version_is_removed_and_counted(redis_process: RedisProcess, content: bytes) -> None:
    with one_store(redis_process.url) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        client = redis_process.client()
        (key,) = client.keys('*"calculation-rule","ACME"*')
        client.set(key, content, px=100_000)
        forget_here(store)
        for _ in range(2):
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
            forget_here(store)
        assert store.cache.stats().undecodable == 1
        engine.faults.forget()
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert engine.faults.counts == {}


def test_the_value_of_another_key_is_not_taken_for_this_one(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.put(rule("OMEGA", 9))
        store.calculation_rules.get("OMEGA", "match")
        store.calculation_rules.get("ACME", "match")
        client = redis_process.client()
        ((acme,), (omega,)) = (client.keys(f'*"calculation-rule","{plan}"*') for plan in ("ACME", "OMEGA"))
        client.restore(acme, 100_000, client.dump(omega), replace=True)  # type: ignore[arg-type]  # one type for sync and async
        forget_here(store)
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert store.cache.stats().undecodable == 1


def test_a_write_whose_outcome_is_unknown_keeps_its_item_out_of_both_tiers(redis_process: RedisProcess) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_process.url) as (one, other):
        stored = one.calculation_rules.put(rule("ACME", 5))
        assert other.calculation_rules.get("ACME", "match").max_pct == 5
        engine.faults.fail("write", UnavailableError, times=1)
        with pytest.raises(UnavailableError):
            one.calculation_rules.put(stored.model_copy(update={"max_pct": Decimal(4)}))
        cache_key = ("calculation-rule", "ACME", "match")
        until(lambda: other.cache.explain(cache_key).tier != "process", "the other one is told")
        engine.faults.forget()
        for store in (one, other, one, other):
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert engine.faults.counts == {"get": 4}
        assert one.cache.explain(cache_key).note == "it is being written"
        # Another write that is known to have taken place does not remove the tombstone of the first one.
        one.calculation_rules.put(stored.model_copy(update={"max_pct": Decimal(3)}))
        assert one.calculation_rules.get("ACME", "match").max_pct == 3
        assert one.cache.explain(cache_key).note == "it is being written"
