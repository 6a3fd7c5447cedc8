"""The Redis of the fixtures, fake and real: all that the library's cache asks of it, outages, and time that passes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from bluestar_store import CacheError, CalculationRule, ConfigurationError, Settings, Store
from bluestar_store.cache.redis.stored import BLOCK, FILL, FORGET, RELEASE
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.persistence import RedisCacheBackend
from bluestar_store.testing import AssertReads, FrozenClock, RedisForTests, redis_server
from bluestar_store.testing.redis_server import redis_for_tests
from tests import servers
from tests.cache.stores import until


@pytest.fixture(scope="session", params=["fake", "server"])
def _bluestar_redis_server(request: pytest.FixtureRequest) -> Iterator[RedisForTests]:
    """Each kind in turn, in the place of the plugin's choice."""
    if request.param == "server" and shutil.which("redis-server") is None:
        servers.unavailable("redis-server is not on PATH")
    with redis_for_tests(request.param) as server:
        yield server


def test_it_is_empty_when_a_test_begins_and_answers_at_its_address(bluestar_redis: RedisForTests) -> None:
    assert bluestar_redis.client.keys("*") == []
    with redis.Redis.from_url(bluestar_redis.url, decode_responses=True) as client:  # speaks RESP3
        client.set("key", "value")
        client.hset("hash", mapping={"a": "1"})
        assert client.hgetall("hash") == {"a": "1"}
    assert bluestar_redis.client.get("key") == b"value"


def test_a_second_test_does_not_see_it(bluestar_redis: RedisForTests) -> None:
    assert bluestar_redis.client.keys("*") == []


def test_it_has_what_the_librarys_cache_asks_for(bluestar_redis: RedisForTests) -> None:
    client: Any = bluestar_redis.client
    assert len(client.info("server")["run_id"]) > 20
    assert client.set("key", "L1", nx=True, get=True, px=10_000) is None
    assert client.set("key", "L2", nx=True, get=True, px=10_000) == b"L1"
    assert 9_000 < client.pttl("key") <= 10_000
    assert client.eval(FILL, 1, "key", "L2", "V", 100) == 0
    assert client.eval(FILL, 1, "key", "L1", "V*2\r\n$4\r\nINFO\r\n", 1000, 1000) == 1000
    assert client.get("key") == b"V*2\r\n$4\r\nINFO\r\n"
    assert client.eval(BLOCK, 1, "key", "abc", 5000) == 1
    assert client.get("key").startswith(b"Tabc:")
    assert client.eval(FORGET, 1, "key") == 0
    assert client.eval(RELEASE, 1, "key", "abc") == 1
    assert client.get("key") is None
    client.rpush("list", "x")
    assert client.eval(FILL, 1, "list", "L1", "V", 100) == 0
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        client.get("list")
    assert client.scan(0, "*", 500) == (0, [b"list"])


def test_an_error_does_not_end_the_connection(bluestar_redis: RedisForTests) -> None:
    pipe: Any
    with bluestar_redis.client.pipeline(transaction=False) as pipe:
        pipe.rpush("list", "x").get("list").set("key", "1").get("key")
        answers = pipe.execute(raise_on_error=False)
    assert isinstance(answers[1], redis.ResponseError)
    assert answers[3] == b"1"


def test_messages_are_heard(bluestar_redis: RedisForTests) -> None:
    client: Any = bluestar_redis.client
    with client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe("channel")
        until(lambda: client.publish("channel", "hello") == 1, "somebody listens")
        assert next(listener.listen())["data"] == b"hello"


def test_stores_share_it_and_hear_each_other(bluestar_store: Store, bluestar_redis: RedisForTests) -> None:
    rules = bluestar_store.calculation_rules
    with Store(bluestar_store.settings, bluestar_store.engine) as other:
        other.cache._cache.peers = lambda: [other.cache._cache]  # type: ignore[method-assign]  # as in another process
        rules.get("ACME", "match")
        other.calculation_rules.get("ACME", "match")
        assert other.cache.stats().hits_redis == 2
        until(lambda: other.cache.stats().channel, "the channel is there")
        other.calculation_rules.get("ACME", "match")
        rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="new"))
        until(lambda: other.calculation_rules.get("ACME", "match").formula == "new", "the other one hears of it")
        assert bluestar_store.cache.stats().redis == other.cache.stats().redis == "closed"


def test_round_trips_to_it_are_counted_and_told(
    bluestar_store: Store, bluestar_redis: RedisForTests, assert_reads: AssertReads
) -> None:
    with assert_reads(engine=1, redis=2):
        bluestar_store.calculation_rules.get("ACME", "match")
    with assert_reads(engine=0, redis=0):
        bluestar_store.calculation_rules.get("ACME", "match")
    bluestar_store.cache._cache.local.flush()
    with assert_reads(engine=0, redis=1):
        bluestar_store.calculation_rules.get("ACME", "match")
    with pytest.raises(AssertionError) as failed, assert_reads(redis=1):
        bluestar_store.irs_limits.get(2026)
    assert str(failed.value).splitlines() == [
        "round trips to Redis: 1 expected, 2 made:",
        "  SET irs-limits 2026, PTTL irs-limits 2026",
        "  EVAL irs-limits 2026",
    ]


def test_in_an_outage_reads_go_on_and_afterwards_it_is_used_again(
    bluestar_store: Store, bluestar_redis: RedisForTests
) -> None:
    bluestar_store.irs_limits.get(2026)
    port = bluestar_redis.port
    backend = RedisCacheBackend(bluestar_redis.host, bluestar_redis.port)
    with bluestar_redis.outage():
        assert bluestar_store.irs_limits.get(2026, fresh=True).year == 2026
        assert bluestar_store.cache.stats().redis == "open"
        with pytest.raises(CacheError):
            backend.get("key")
        with pytest.raises(redis.RedisError):
            bluestar_redis.client.ping()
    assert bluestar_redis.port == port
    assert bluestar_redis.client.ping()
    assert backend.get("key") is None
    until(lambda: bluestar_store.cache.stats().redis == "closed", "the Store has noticed")
    backend.close()


def test_its_keys_expire_by_the_frozen_clock(bluestar_redis: RedisForTests, bluestar_clock: FrozenClock) -> None:
    client = bluestar_redis.client
    client.set("short", "1", ex=60)
    client.set("long", "1", ex=600)
    client.set("ever", "1")
    bluestar_clock.advance(61)
    assert sorted(client.keys("*")) == [b"ever", b"long"]
    assert 530 <= client.ttl("long") <= 539
    assert client.ttl("ever") == -1


def test_time_may_pass_in_an_outage(bluestar_redis: RedisForTests, bluestar_clock: FrozenClock) -> None:
    with bluestar_redis.outage():
        bluestar_clock.advance(61)
    assert bluestar_redis.client.ping()


def test_the_second_tier_expires_with_the_first(
    bluestar_store: Store, bluestar_redis: RedisForTests, bluestar_clock: FrozenClock, assert_reads: AssertReads
) -> None:
    bluestar_store.irs_limits.get(2026)
    bluestar_clock.advance(301)
    with assert_reads(engine=1):
        bluestar_store.irs_limits.get(2026)


def test_a_store_of_ones_own_takes_its_url(bluestar_redis: RedisForTests) -> None:
    settings = Settings(persistence_mode="memory", redis_url=bluestar_redis.url, redis_timeout_ms=5000)
    with Store(settings, MemoryEngine()) as store:
        store.create_tables()
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        store.calculation_rules.get("ACME", "match")
        assert store.cache.held() == {"calculation-rule": 2}  # the plan's, and that GLOBAL has none


def test_another_kind_and_a_missing_program_are_configuration_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="fake or server, not 'valkey'"):
        redis_for_tests("valkey")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigurationError, match="redis-server is not on PATH"):
        redis_for_tests("server")
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'bluestar-store\[testing\]'"):
        redis_for_tests("fake")


def test_a_program_that_does_not_come_up_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with pytest.raises(ConfigurationError, match="does not answer"):
        redis_server.RealServer(shutil.which("false") or "false").start()
    assert time.monotonic() - begun < 10
