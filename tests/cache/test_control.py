"""What people see of the cache, and what they make it forget."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import redis
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from bluestar_store import AchConfig, CacheError, CalculationRule, IrsLimits, UnavailableError
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Put
from bluestar_store.telemetry import instrument
from bluestar_store.testing import FaultEngine, FrozenClock
from bluestar_store.warming import warm
from tests.cache.stores import one_store, rule, stores, until
from tests.redis_servers import RedisProcess

CACHE_KEY = ("calculation-rule", "ACME", "match")


def behind_its_back(engine: FaultEngine, stored: CalculationRule, max_pct: int, table: str) -> None:
    assert stored.origin is not None
    engine.inner.write(Put(table, {**stored.origin.item, "max_pct": {"N": str(max_pct)}}))


def test_the_counts_say_what_happened(redis_url: str) -> None:
    with one_store(redis_url) as (store, _):
        store.calculation_rules.put(rule("GLOBAL", 6))
        for _ in range(3):
            store.calculation_rules.get("ACME", "match")
        store.cache._cache.local.flush()
        store.calculation_rules.get("ACME", "match")
        found = store.cache.stats()
        assert (found.hits_local, found.hits_redis, found.misses, found.loads, found.absences) == (4, 2, 2, 1, 1)
        assert (found.redis, found.channel, found.entries, found.pending) == ("closed", True, 2, 0)
        assert found.invalidations_out == 2
        assert found.bytes > 1000


def test_listeners_are_told_and_one_that_raises_is_left_alone() -> None:
    told: list[tuple[str, int]] = []

    def broken(name: str, amount: int) -> None:
        told.append(("broken", 0))
        raise RuntimeError

    with one_store() as (store, _):
        store.cache.listen(broken)
        store.cache.listen(lambda name, amount: told.append((name, amount)))
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
    assert told == [("broken", 0), ("misses", 2), ("loads", 1), ("absences", 1)]


def test_opentelemetry_collects_the_counts() -> None:
    reader = InMemoryMetricReader()
    with one_store() as (store, _):
        instrument(store, MeterProvider([reader]).get_meter("test"))
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        store.calculation_rules.get("ACME", "match")
        data = reader.get_metrics_data()
        assert data is not None
        (metrics,) = (scope.metrics for resource in data.resource_metrics for scope in resource.scope_metrics)
        values: dict[str, Any] = {}
        for metric in metrics:
            points: Any = metric.data.data_points
            values[metric.name] = points[0].value
    assert values["bluestar_store.cache.hits_local"] == 1
    assert values["bluestar_store.cache.entries"] == 2
    assert values["bluestar_store.cache.redis_usable"] == 0
    assert len(values) == 23


def test_a_unit_is_explained_by_its_tier_and_its_times(redis_url: str) -> None:
    with one_store(redis_url, cache_ttl_seconds=100) as (store, _):
        assert store.cache.explain(CACHE_KEY).tier == "nowhere"
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        here = store.cache.explain(CACHE_KEY)
        assert (here.tier, here.absent) == ("process", False)
        assert here.expires_in_seconds is not None
        assert 85 < here.expires_in_seconds <= 100
        store.cache._cache.local.flush()
        there = store.cache.explain(CACHE_KEY)
        assert (there.tier, there.absent) == ("redis", False)
        assert store.cache.explain(("calculation-rule", "GLOBAL", "match")).absent
        assert store.cache.explain(("calculation-rule", "NEVER", "match")).note == "nothing in Redis"


@pytest.mark.parametrize(
    ("kind", "fields", "forgets"),
    [
        (None, {"plan_id": "ACME"}, True),
        ("calculation-rule", {"plan_id": "ACME", "calc_type": "match"}, True),
        ("calculation-rule", {"plan_id": "ACME", "calc_type": "other"}, False),
        ("validation-rule", {"plan_id": "ACME"}, False),
        (None, {"year": 2026}, False),
        (None, {}, True),
    ],
)
def test_what_matches_is_forgotten_in_every_process(
    redis_url: str, kind: str | None, fields: dict[str, object], forgets: bool
) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_url) as (one, other):
        stored = one.calculation_rules.put(rule("ACME", 5))
        table = one.tables.name(one.calculation_rules.mapper)
        for store in (one, other):
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
        behind_its_back(engine, stored, 9, table)
        one.cache.invalidate(kind, fields)
        wanted = 9 if forgets else 5
        until(lambda: other.cache.stats().invalidations_in >= 1, "the other one is told")
        for store in (one, other):
            assert store.calculation_rules.get("ACME", "match").max_pct == wanted


def test_an_absence_and_a_partition_are_forgotten_with_the_plan(redis_url: str) -> None:
    with one_store(redis_url) as (store, engine):
        store.calculation_rules.put(rule("GLOBAL", 6))
        assert store.calculation_rules.get("ACME", "match").max_pct == 6
        assert store.calculation_rules.all("ACME")["match"].max_pct == 6
        table = store.tables.name(store.calculation_rules.mapper)
        engine.inner.write(Put(table, {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}, "max_pct": {"N": "1"}}))
        store.cache.invalidate("calculation-rule", {"plan_id": "ACME", "calc_type": "match"})
        assert store.calculation_rules.get("ACME", "match").max_pct == 1
        assert store.calculation_rules.all("ACME")["match"].max_pct == 1


def test_clearing_forgets_this_environment_and_no_other(redis_url: str) -> None:
    with one_store(redis_url) as (one, _), one_store(redis_url) as (other, _):
        for store in (one, other):
            store.calculation_rules.put(rule("ACME", 5))
            store.calculation_rules.get("ACME", "match")
        assert one.cache.clear() == 2 + 2
        assert one.cache.held() == {}
        assert other.cache.held() == {"calculation-rule": 2}


def test_an_explicit_call_that_redis_does_not_hear_of_is_an_error(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url, redis_timeout_ms=200) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        redis_process.kill()
        with pytest.raises(CacheError, match="in this process only"):
            store.cache.clear()
        assert store.cache.stats().entries == 0
        with pytest.raises(CacheError, match="cannot be asked"):
            store.cache.held()


def test_bank_accounts_stay_out_of_redis(redis_process: RedisProcess) -> None:
    config = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789")
    with one_store(redis_process.url) as (store, engine):
        store.ach_configs.put(config)
        assert store.ach_configs.get("ACME", "Weekly") == config
        engine.faults.forget()
        assert store.ach_configs.get("ACME", "Weekly") == config
        assert engine.faults.counts == {}  # the process may keep it
        client = redis_process.client()
        assert not any(b"123456789" in (client.get(key) or b"") for key in client.keys("*"))
        assert store.ach_configs.put(store.ach_configs.get("ACME", "Weekly")).version == 2
        assert store.ach_configs.get("ACME", "Weekly").version == 2


def test_a_value_over_a_mebibyte_stays_in_the_process(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, engine):
        for number in range(4):
            big = rule("ACME", 5, f"t{number}").model_copy(update={"description": "x" * 300_000})
            store.calculation_rules.put(big)
        assert len(store.calculation_rules.all("ACME")) == 4
        assert store.cache.held() == {"calculation-rule*": 1}  # GLOBAL's
        engine.faults.forget()
        assert len(store.calculation_rules.all("ACME")) == 4
        assert engine.faults.counts == {}


@pytest.mark.parametrize("bound", [{"cache_max_entries": 10}, {"cache_max_bytes": 40_000}])
def test_the_process_keeps_no_more_than_it_may(bound: dict[str, Any]) -> None:
    with one_store(**bound) as (store, engine):
        for year in range(2000, 2100):
            store.irs_limits.put(IrsLimits(year=year, max_401k=Decimal(year)))
            assert store.irs_limits.get(year).max_401k == year
        found = store.cache.stats()
        assert 5 <= found.entries <= bound.get("cache_max_entries", 40)
        assert found.bytes <= bound.get("cache_max_bytes", found.bytes)
        engine.faults.forget()
        store.irs_limits.get(2099)
        assert engine.faults.counts == {}
        store.irs_limits.get(2000)
        assert engine.faults.counts == {"get": 1}


@pytest.mark.parametrize("off", [{"cache_max_entries": 0}, {"cache_max_bytes": 0}])
def test_the_first_tier_can_be_turned_off(off: dict[str, Any]) -> None:
    with one_store(**off) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        engine.faults.forget()
        for _ in range(2):
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert engine.faults.counts == {"get": 2}


def test_values_and_absences_expire(redis_url: str) -> None:
    clock = FrozenClock()
    with one_store(cache_ttl_seconds=300, cache_absence_ttl_seconds=60, clock=clock) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        engine.faults.forget()
        clock.advance(61)
        store.calculation_rules.get("ACME", "match")
        assert engine.faults.counts == {}
        clock.advance(240)
        store.calculation_rules.get("ACME", "match")
        assert len(engine.faults.calls[0].arguments["keys"]) == 2


def test_the_process_keeps_nothing_longer_than_redis(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        client = redis_process.client()
        for key in client.keys("*"):
            client.pexpire(key, 20_000)
        store.cache._cache.local.flush()
        store.calculation_rules.get("ACME", "match")
        found = store.cache.explain(CACHE_KEY)
        assert found.tier == "process"
        assert found.expires_in_seconds is not None
        assert found.expires_in_seconds <= 20


def test_an_expired_value_is_served_and_marked_when_the_engine_fails_and_the_setting_allows_it() -> None:
    clock = FrozenClock()
    with one_store(cache_stale_if_error_seconds=600, clock=clock) as (store, engine):
        store.calculation_rules.put(rule("GLOBAL", 6))
        assert not store.calculation_rules.get("ACME", "match").stale
        store.calculation_rules.all("ACME")
        engine.faults.fail("get", UnavailableError)
        engine.faults.fail("query", UnavailableError)
        clock.advance(301)
        served = store.calculation_rules.get("ACME", "match")
        assert served.max_pct == 6
        assert served.stale
        assert store.calculation_rules.all("ACME")["match"].stale
        with pytest.raises(UnavailableError):
            store.calculation_rules.get("ACME", "match", fresh=True)
        with pytest.raises(UnavailableError):
            store.calculation_rules.get("OMEGA", "other")
        clock.advance(600)
        with pytest.raises(UnavailableError):
            store.calculation_rules.get("ACME", "match")
        engine.faults.clear()
        assert not store.calculation_rules.get("ACME", "match").stale


def test_nothing_is_served_past_its_time_by_default_nor_after_it_was_invalidated() -> None:
    for seconds in (0, 600):
        clock = FrozenClock()
        with one_store(cache_stale_if_error_seconds=seconds, clock=clock) as (store, engine):
            own = store.calculation_rules.put(rule("ACME", 5))
            store.calculation_rules.get("ACME", "match")
            clock.advance(301)
            if seconds:
                store.calculation_rules.put(own.model_copy(update={"max_pct": Decimal(4)}))
            engine.faults.fail("get", UnavailableError)
            with pytest.raises(UnavailableError):
                store.calculation_rules.get("ACME", "match")


def test_an_absence_past_its_time_is_no_answer() -> None:
    clock = FrozenClock()
    with one_store(cache_stale_if_error_seconds=600, clock=clock) as (store, engine):
        with pytest.raises(LookupError):
            store.calculation_rules.get("ACME", "match")
        assert store.calculation_rules.all("ACME") == {}
        clock.advance(301)
        engine.faults.fail("get", UnavailableError)
        engine.faults.fail("query", UnavailableError)
        with pytest.raises(UnavailableError):
            store.calculation_rules.get("ACME", "match")
        with pytest.raises(UnavailableError):
            store.calculation_rules.all("ACME")


def test_a_value_in_use_is_refreshed_before_it_expires(redis_url: str) -> None:
    for url in (None, redis_url):
        engine = FaultEngine(MemoryEngine())
        clock = FrozenClock()
        with stores(engine, 1, url, clock=clock) as (store,):
            stored = store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal(1)))
            store.irs_limits.get(2026)
            store.cache._cache.local.flush()
            store.cache.clear()
            store.irs_limits.get(2026)
            assert stored.origin is not None
            engine.inner.write(
                Put(store.tables.name(store.irs_limits.mapper), {**stored.origin.item, "max_401k": {"N": "2"}})
            )
            clock.advance(250)
            engine.faults.forget()
            if url is not None:  # Redis has a clock of its own
                with redis.Redis.from_url(url) as client:
                    for key in client.keys(f"*{store.settings.table_suffix}*"):
                        client.pexpire(key, 50_000)
                local = store.cache._cache.local
                until(lambda local=local, clock=clock: local.trusted_until > clock.monotonic(), "it is trusted again")  # type: ignore[misc]
            assert store.irs_limits.get(2026).max_401k == 1
            until(lambda: store.irs_limits.get(2026).max_401k == 2, "it is refreshed")
            assert engine.faults.counts == {"get": 1}
            assert store.cache.stats().refreshes == 1


def test_warming_reads_what_agents_will_read(redis_url: str) -> None:
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 2, redis_url) as (one, other):
        one.calculation_rules.put(rule("GLOBAL", 6))
        one.calculation_rules.put(rule("ACME", 5))
        one.irs_limits.put(IrsLimits(year=2026))
        assert warm(one) > 0
        engine.faults.forget()
        other.calculation_rules.get("ACME", "match")
        other.irs_limits.get(2026)
        assert engine.faults.counts == {}
