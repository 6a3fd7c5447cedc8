"""Redis as it is run: on a socket, behind TLS and a user, as a cluster, behind Sentinel. Valkey is in test_units.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import Settings, Store
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.testing import FaultEngine
from tests.cache.stores import rule, stores, until
from tests.redis_servers import RedisProcess
from tests.redis_tls import PASSWORD, RedisTls
from tests.redis_topologies import RedisCluster, RedisSentinel

NEEDED = (
    "reset on ~bluestar:* &bluestar:* +auth +select +info +ping +set +get +getrange +del +pttl +time +eval +scan "
    "+publish +subscribe"
)
"""The commands that docs/cache.md gives for a user of its own."""


@contextmanager
def two(url: str, **settings: Any) -> Iterator[tuple[Store, Store, FaultEngine]]:
    """Two Stores that share a Redis, which on a busy machine may take its time."""
    engine = FaultEngine(MemoryEngine())
    options: dict[str, Any] = {"cache_heartbeat_seconds": 0.1, "redis_timeout_ms": 20_000} | settings
    with stores(engine, 2, url, **options) as (one, other):
        yield one, other, engine


def check_shared(one: Store, other: Store, engine: FaultEngine) -> None:
    """What one reads the other finds in Redis, and what one writes the other hears of."""
    stored = one.calculation_rules.put(rule("ACME", 5))
    one.calculation_rules.put(rule("GLOBAL", 6))
    for plan, wanted in (("ACME", 5), ("OMEGA", 6), ("ZETA", 6)):
        assert one.calculation_rules.get(plan, "match").max_pct == wanted
    engine.faults.forget()
    for plan, wanted in (("ACME", 5), ("OMEGA", 6), ("ZETA", 6)):
        assert other.calculation_rules.get(plan, "match").max_pct == wanted
    assert engine.faults.counts == {}
    one.calculation_rules.put(stored.model_copy(update={"max_pct": Decimal(4)}))
    until(lambda: other.calculation_rules.get("ACME", "match").max_pct == 4, "the other one hears of it")
    for store in (one, other):
        found = store.cache.stats()
        assert (found.redis, found.channel, found.outages) == ("closed", True, 0), found


def test_a_unix_socket(redis_unix: RedisProcess) -> None:
    with two(redis_unix.url) as found:
        check_shared(*found)


def test_tls_with_a_user_that_may_do_no_more_than_it_needs(redis_tls: RedisTls) -> None:
    redis_tls.set_user(*NEEDED.split(), f">{PASSWORD}")
    with two(redis_tls.url) as found:
        check_shared(*found)
        assert found[0].cache.clear() > 0


@pytest.mark.parametrize("missing", ["-eval", "-info", "-publish", "-set"])
def test_a_user_that_may_do_less_costs_the_tier_and_no_read(redis_tls: RedisTls, missing: str) -> None:
    redis_tls.set_user(*NEEDED.split(), missing, f">{PASSWORD}")
    with two(redis_tls.url) as (one, _, _):
        one.calculation_rules.put(rule("ACME", 5))
        assert one.calculation_rules.get("ACME", "match").max_pct == 5
        found = one.cache.stats()
        assert found.redis == "open"
        assert found.redis_error is not None
        assert PASSWORD not in found.redis_error


def test_no_error_and_no_repr_shows_the_password(redis_tls: RedisTls) -> None:
    wrong = redis_tls.url.replace(PASSWORD, "hunter2")
    with two(wrong) as (one, _, _):
        one.calculation_rules.put(rule("ACME", 5))
        assert one.calculation_rules.get("ACME", "match").max_pct == 5
        for text in (repr(one), str(one.cache.stats()), repr(one.settings)):
            assert "hunter2" not in text
        assert "AuthenticationError" in str(one.cache.stats().redis_error) or one.cache.stats().redis == "open"


def test_a_cluster(redis_cluster: RedisCluster) -> None:
    with two(redis_cluster.url, redis_mode="cluster") as (one, other, engine):
        check_shared(one, other, engine)
        for number in range(50):
            one.calculation_rules.put(rule(f"P{number}", number))
            one.calculation_rules.get(f"P{number}", "match")
        one.calculation_rules.put(rule("ACME", 3))
        until(lambda: other.calculation_rules.get("ACME", "match").max_pct == 3, "all before the last write is heard")
        engine.faults.forget()
        for number in range(50):
            assert other.calculation_rules.get(f"P{number}", "match").max_pct == number
        assert engine.faults.counts == {}
        assert one.cache.held()["calculation-rule"] >= 50
        assert one.cache.clear() >= 50
        assert one.cache.held() == {}


@pytest.mark.slow
def test_a_cluster_that_loses_a_master_costs_no_read_and_brings_no_old_value_back(
    redis_failover_cluster: RedisCluster,
) -> None:
    cluster = redis_failover_cluster
    with two(cluster.url, redis_mode="cluster") as (one, other, _):
        check_shared(one, other, FaultEngine(MemoryEngine()))
        cache_key = ("calculation-rule", "ACME", "match")
        key = one.cache._cache.remote.client.namespace.slot_key(cache_key).decode()  # type: ignore[union-attr]
        killed = cluster.master_of(key)
        killed.kill()
        for store in (one, other):
            assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 4
        current = one.calculation_rules.get("ACME", "match", fresh=True)
        one.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(3)}))
        assert one.calculation_rules.get("ACME", "match").max_pct == 3
        cluster.wait_until_taken_over(key, killed)
        for store in (one, other):
            until(lambda store=store: store.cache.stats().redis == "closed", "the cluster is back")  # type: ignore[misc]
            until(lambda store=store: store.cache.stats().channel, "the channel is back")  # type: ignore[misc]
        for store in (one, other):
            assert store.calculation_rules.get("ACME", "match").max_pct == 3
            until(lambda store=store: store.cache.stats().pending == 0, "what Redis did not hear of is made good")  # type: ignore[misc]


@pytest.mark.slow
def test_a_promoted_replica_brings_no_old_value_back(redis_sentinel: RedisSentinel) -> None:
    (host, port), *_ = redis_sentinel.addresses
    options = {"redis_mode": "sentinel", "redis_sentinel_service": redis_sentinel.service_name}
    with two(f"redis://{host}:{port}", **options) as (one, other, engine):
        check_shared(one, other, engine)
        for store in (one, other):
            store.calculation_rules.get("ACME", "match")
        redis_sentinel.master.kill()
        current = one.calculation_rules.get("ACME", "match", fresh=True)
        one.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(3)}))
        redis_sentinel.wait_until_promoted(redis_sentinel.replica)
        for store in (one, other):
            until(lambda store=store: store.cache.stats().redis == "closed", "the new master is found")  # type: ignore[misc]
            until(lambda store=store: store.cache.stats().channel, "the channel is back")  # type: ignore[misc]
            assert store.calculation_rules.get("ACME", "match").max_pct == 3
        assert redis_sentinel.replica.client().dbsize() > 0


@pytest.mark.parametrize("url", ["redis://h:notaport", "unix://", "redis://a:1,b:2"])
def test_a_url_that_cannot_be_read_is_refused_when_the_store_is_opened(url: str) -> None:
    from bluestar_store import ConfigurationError

    with pytest.raises(ConfigurationError, match="BLUESTAR_REDIS_URL"):
        Store.open(Settings(persistence_mode="memory", redis_url=url))
