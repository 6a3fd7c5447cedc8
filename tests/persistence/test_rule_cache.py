"""Calculation rules through a cache of the caller's."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from bluestar_store.errors import CacheError, RuleNotFoundError
from bluestar_store.keys import Key
from bluestar_store.persistence import (
    CACHE_TTL,
    DynamoDBRulesStore,
    EngineRulesStore,
    ICacheBackend,
    MemoryCacheBackend,
    MemoryRulesStore,
    RedisCacheBackend,
)
from bluestar_store.protocols import Item

RULE = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6.5, "tiers": [{"years": 2}]}


class DictBackend:
    """Keeps texts and says what it was asked."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.seconds: dict[str, int] = {}

    def get(self, key: str) -> str | None:
        return self.texts.get(key)

    def setex(self, key: str, ttl: int, value: str) -> None:
        self.texts[key], self.seconds[key] = value, ttl

    def delete(self, key: str) -> None:
        self.texts.pop(key, None)


def test_a_rule_with_an_account_number_of_another_programs_is_not_kept() -> None:
    backend = DictBackend()
    store = MemoryRulesStore({"calculation-rules": [RULE | {"payee": {"acct": "998877665541"}}]}, backend)
    for _ in range(2):
        assert store.get_calculation_rule("ACME", "match")["payee"]["acct"] == "998877665541"
    assert backend.texts == {}


class FailingBackend(DictBackend):
    """Fails at the named calls."""

    def __init__(self, error: Exception, *calls: str) -> None:
        super().__init__()
        self.error, self.calls, self.asked = error, calls, 0

    def get(self, key: str) -> str | None:
        if "get" in self.calls:
            raise self.error
        return super().get(key)

    def setex(self, key: str, ttl: int, value: str) -> None:
        self.asked += 1
        if "setex" in self.calls:
            raise self.error
        super().setex(key, ttl, value)


def store_with(cache: ICacheBackend | None, *rules: dict[str, Any]) -> MemoryRulesStore:
    return MemoryRulesStore({"calculation-rules": rules or [RULE]}, cache=cache)


def refuse_reads(store: EngineRulesStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(table: str, keys: list[Key], *, consistent: bool = False) -> dict[Key, Item]:
        pytest.fail("the engine was asked")

    monkeypatch.setattr(store.sessions.current().engine, "get", get)


def test_a_rule_is_kept_as_json_for_300_seconds() -> None:
    cache = DictBackend()
    assert store_with(cache).get_calculation_rule("ACME", "match") == RULE
    assert {key: json.loads(text) for key, text in cache.texts.items()} == {"calc_rule:ACME:match": RULE}
    assert cache.seconds == {"calc_rule:ACME:match": CACHE_TTL} == {"calc_rule:ACME:match": 300}


def test_a_hit_does_not_touch_the_engine_and_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(MemoryCacheBackend())
    first = store.get_calculation_rule("ACME", "match")
    refuse_reads(store, monkeypatch)
    first["tiers"].append("changed by the caller")
    assert store.get_calculation_rule("ACME", "match") == RULE


def test_a_hit_in_redis_does_not_touch_dynamodb(moto_tables: Any, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import fakeredis

    monkeypatch.setattr("bluestar_store.persistence.redis.Redis", fakeredis.FakeRedis)
    table = moto_tables.Table(f"bluestar-calculation-rules{suffix}")
    table.put_item(Item={"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6})
    store = DynamoDBRulesStore(suffix, cache=RedisCacheBackend())
    found = store.get_calculation_rule("ACME", "match")
    table.delete()
    assert store.get_calculation_rule("ACME", "match") == found


def test_without_a_cache_every_read_asks() -> None:
    store = store_with(None)
    store.get_calculation_rule("ACME", "match")
    store.put("calculation-rules", RULE | {"PK": "CLIENT#ACME", "max_pct": 4})
    assert store.get_calculation_rule("ACME", "match")["max_pct"] == 4


def test_only_calculation_rules_are_cached() -> None:
    cache = DictBackend()
    store = store_with(cache)
    store.put("irs-limits", {"PK": "YEAR#2026", "SK": "LIMITS"})
    store.get_irs_limits(2026)
    store.get_pipeline_steps("ACME", "Weekly")
    assert cache.texts == {}


def test_a_missing_rule_is_not_kept() -> None:
    cache = DictBackend()
    store = store_with(cache)
    with pytest.raises(RuleNotFoundError):
        store.get_calculation_rule("ACME", "vesting")
    assert cache.texts == {}


@pytest.mark.parametrize("error", [CacheError("out"), OSError("out"), ValueError("secret")], ids=repr)
@pytest.mark.parametrize("calls", [("get",), ("setex",), ("get", "setex")], ids="+".join)
def test_a_cache_that_fails_does_not_fail_the_read(
    error: Exception, calls: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    cache = FailingBackend(error, *calls)
    with caplog.at_level(logging.WARNING):
        assert store_with(cache).get_calculation_rule("ACME", "match") == RULE
    assert type(error).__name__ in caplog.text
    assert "secret" not in caplog.text
    assert cache.asked == (0 if "get" in calls else 1)  # one that fails is not asked again in the same read


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "[" * 100_000, "\x00"], ids=lambda text: text[:3])
def test_what_is_kept_and_is_no_rule_counts_as_missing(text: str) -> None:
    cache = DictBackend()
    cache.texts["calc_rule:ACME:match"] = text
    assert store_with(cache).get_calculation_rule("ACME", "match") == RULE
    assert json.loads(cache.texts["calc_rule:ACME:match"]) == RULE


def test_a_rule_that_json_cannot_hold_is_read_each_time() -> None:
    cache = DictBackend()
    rule = RULE | {"codes": {"A", "B"}, "raw": b"\x00"}
    store = store_with(cache, rule)
    assert [store.get_calculation_rule("ACME", "match") for _ in range(2)] == [rule, rule]
    assert cache.texts == {}


def test_two_rules_never_share_a_key_of_the_cache() -> None:
    one, other = RULE | {"PK": "CLIENT#A:B", "SK": "CALC#C"}, RULE | {"PK": "CLIENT#A", "SK": "CALC#B:C"}
    store = store_with(MemoryCacheBackend(), one, other)
    assert store.get_calculation_rule("A:B", "C") == one
    assert store.get_calculation_rule("A", "B:C") == other
