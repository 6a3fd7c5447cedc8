"""The tests of an agent team's own persistence module, as such teams write them; only the import was changed."""

from __future__ import annotations

import json
import unittest
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock, patch

import boto3
import fakeredis
import pytest
import redis
from moto import mock_aws

from bluestar_store.persistence import (
    CACHE_TTL,
    TABLE_DEFINITIONS,
    CacheError,
    DynamoDBRulesStore,
    ICacheBackend,
    IRulesStore,
    MemoryCacheBackend,
    RedisCacheBackend,
    RuleNotFoundError,
    create_tables,
    seed_pipeline_data,
)

SUFFIX = "-test"
REGION = "us-east-1"
MATCH = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "formula": "ee_deferral_pct * compensation", "max_pct": Decimal(6)}


def resource() -> Any:
    return boto3.resource("dynamodb", region_name=REGION)


@mock_aws
class TestDynamoDBRulesStore(unittest.TestCase):
    def setUp(self) -> None:
        self.ddb = resource()
        create_tables(self.ddb, suffix=SUFFIX)
        self.store = DynamoDBRulesStore(table_suffix=SUFFIX, region=REGION)

    def put(self, table: str, **item: Any) -> None:
        self.ddb.Table(f"bluestar-{table}{SUFFIX}").put_item(Item=item)

    def test_implements_interface(self) -> None:
        assert isinstance(self.store, IRulesStore)

    def test_positional_arguments(self) -> None:
        self.put("irs-limits", PK="YEAR#2026", SK="LIMITS", max_401k=24500)
        assert DynamoDBRulesStore(SUFFIX, REGION, None, None).get_irs_limits(2026)["max_401k"] == 24500
        assert DynamoDBRulesStore(SUFFIX).get_irs_limits(2026)["max_401k"] == 24500

    def test_get_client_config(self) -> None:
        self.put("agent-config", PK="CLIENT#PLAN001_BiWeeklyFri", SK="CONFIG", custodian="Fidelity", deadline_hour=14)
        config = self.store.get_client_config("PLAN001", "BiWeeklyFri")
        assert config["custodian"] == "Fidelity"
        assert config["deadline_hour"] == 14
        assert type(config["deadline_hour"]) is int
        assert self.store.get_client_config(plan_id="PLAN001", pay_freq="Weekly") == {}

    def test_get_ach_config(self) -> None:
        self.put("agent-config", PK="CLIENT#PLAN001_Weekly", SK="ACH", ach_method="NACHA", bank_id="021000021")
        assert self.store.get_ach_config("PLAN001", "Weekly")["bank_id"] == "021000021"
        assert self.store.get_ach_config("PLAN002", "Weekly") == {}

    def test_get_validation_rules(self) -> None:
        for number in (2, 1, 10):
            self.put("validation-rules", PK="CATEGORY#SSN", SK=f"RULE#{number:03d}", field="ssn", enabled=number != 2)
        rules = self.store.get_validation_rules("SSN")
        assert [rule["SK"] for rule in rules] == ["RULE#001", "RULE#002", "RULE#010"]
        assert self.store.get_validation_rules("UNKNOWN") == []

    def test_calculation_rule_client_specific(self) -> None:
        self.put("calculation-rules", **MATCH)
        self.put("calculation-rules", PK="CLIENT#PLAN001", SK="CALC#match", max_pct=Decimal("4.5"))
        rule = self.store.get_calculation_rule("PLAN001", "match")
        assert rule == {"PK": "CLIENT#PLAN001", "SK": "CALC#match", "max_pct": 4.5}
        assert type(rule["max_pct"]) is float

    def test_calculation_rule_global_fallback(self) -> None:
        self.put("calculation-rules", **MATCH)
        rule = self.store.get_calculation_rule("PLAN001", "match")
        assert rule["PK"] == "CLIENT#GLOBAL"
        assert type(rule["max_pct"]) is int

    def test_calculation_rule_not_found(self) -> None:
        with pytest.raises(RuleNotFoundError):
            self.store.get_calculation_rule("PLAN001", "nope")

    def test_pipeline_steps_sorted_by_step_order(self) -> None:
        for key, order in (("STEP#0001", 300), ("STEP#0002", 100), ("STEP#0003", 200)):
            self.put("processing-pipeline", PK="CLIENT#PLAN001_Weekly", SK=key, stepOrder=order, enabled=True)
        steps = self.store.get_pipeline_steps("PLAN001", "Weekly")
        assert [step["stepOrder"] for step in steps] == [100, 200, 300]
        assert self.store.get_pipeline_steps("PLAN999", "Weekly") == []

    def test_pipeline_by_frequency_then_order(self) -> None:
        for freq in ("Weekly", "BiWeeklyFri"):
            for key, order in (("STEP#0100", 200), ("STEP#0200", 100)):
                self.put("processing-pipeline", PK=f"CLIENT#PLAN001_{freq}", SK=key, stepOrder=order, freq=freq)
        found = [(step["freq"], step["stepOrder"]) for step in self.store.get_pipeline("PLAN001")]
        assert found == [("BiWeeklyFri", 100), ("BiWeeklyFri", 200), ("Weekly", 100), ("Weekly", 200)]
        assert len(self.store.get_pipeline("PLAN001", "Weekly")) == 2
        assert len(self.store.get_pipeline("PLAN001", pay_freq=None)) == 4

    def test_client_validation_rules(self) -> None:
        self.put("validation-rules", PK="CATEGORY#SSN", SK="RULE#001", field="ssn", pattern="global")
        self.put("validation-rules", PK="CATEGORY#SSN#CLIENT#PLAN001", SK="RULE#001", field="ssn", pattern="own")
        self.put("validation-rules", PK="CATEGORY#AGE", SK="RULE#001", field="age")
        rules = self.store.get_client_validation_rules("PLAN001", "ssn")
        assert [rule["pattern"] for rule in rules] == ["own"]
        rules = self.store.get_client_validation_rules(client_id="PLAN002", field="ssn")
        assert [rule["pattern"] for rule in rules] == ["global"]

    def test_plan_holds(self) -> None:
        self.put("batch-state", PK="PLAN#PLAN001", SK="HOLD#h1", reason="Missing data", created="2024-01-15")
        assert [hold["reason"] for hold in self.store.get_plan_holds("PLAN001")] == ["Missing data"]
        assert self.store.get_plan_holds("PLAN002") == []

    def test_irs_limits(self) -> None:
        self.put("irs-limits", PK="YEAR#2024", SK="LIMITS", max_401k=Decimal("23000"), rate=Decimal("0.062"))
        limits = self.store.get_irs_limits(2024)
        assert limits["max_401k"] == 23000
        assert limits["rate"] == 0.062
        assert self.store.get_irs_limits(1999) == {}

    def test_vendor_schema(self) -> None:
        self.put("vendor-schema-mapping", PK="VENDOR#ADP", SK="SCHEMA#v", mapping={"SSN": "ssn"})
        self.put("vendor-schema-mapping", PK="VENDOR#ADP", SK="SCHEMA#p", plan_id="PLAN001", mapping={"Soc": "ssn"})
        assert self.store.get_vendor_schema("ADP", "PLAN001", "Weekly")["mapping"] == {"Soc": "ssn"}
        assert self.store.get_vendor_schema("ADP", "PLAN002", "Weekly")["mapping"] == {"SSN": "ssn"}
        assert self.store.get_vendor_schema("PAYCHEX", "PLAN001", "Weekly") == {}

    def test_vendor_schema_in_its_old_place(self) -> None:
        self.put("validation-rules", PK="VENDOR#ADP_PLAN001_Weekly", SK="SCHEMA", columns=["SSN", "Gross"])
        assert self.store.get_vendor_schema("ADP", "PLAN001", "Weekly")["columns"] == ["SSN", "Gross"]
        self.ddb.Table(f"bluestar-vendor-schema-mapping{SUFFIX}").delete()
        assert self.store.get_vendor_schema("ADP", "PLAN001", "Weekly")["columns"] == ["SSN", "Gross"]

    def test_a_missing_vendor_table_is_no_schema(self) -> None:
        self.ddb.Table(f"bluestar-vendor-schema-mapping{SUFFIX}").delete()
        assert self.store.get_vendor_schema("ADP", "PLAN001", "Weekly") == {}

    def test_items_of_any_shape(self) -> None:
        self.put(
            "agent-config",
            PK="CLIENT#PLAN001_Weekly",
            SK="CONFIG",
            custodian=None,
            deadline_hour="five",
            codes={"A", "B"},
            amounts={Decimal("1.5"), Decimal(2)},
            logo=b"\x89PNG",
            nested={"tiers": [{"pct": Decimal("0.5")}, {"pct": Decimal(1)}], "empty": {}},
            tiny=Decimal("0.0000001"),
            long=Decimal("12345678901234567890.123456789"),
        )
        config = self.store.get_client_config("PLAN001", "Weekly")
        assert config["custodian"] is None
        assert config["deadline_hour"] == "five"
        assert config["codes"] == {"A", "B"}
        assert config["amounts"] == {1.5, 2}
        assert config["logo"] == b"\x89PNG"
        assert config["nested"] == {"tiers": [{"pct": 0.5}, {"pct": 1}], "empty": {}}
        assert config["tiny"] == 1e-7
        assert config["long"] == 12345678901234567890.123456789
        self.put("agent-config", PK="CLIENT#PLAN002_Weekly", SK="CONFIG")
        assert self.store.get_client_config("PLAN002", "Weekly") == {"PK": "CLIENT#PLAN002_Weekly", "SK": "CONFIG"}

    def test_cache_miss_then_hit_does_not_touch_dynamodb(self) -> None:
        self.put("calculation-rules", **MATCH)
        with patch("bluestar_store.persistence.redis.Redis", fakeredis.FakeRedis):
            cached = DynamoDBRulesStore(SUFFIX, REGION, cache=RedisCacheBackend())
        first = cached.get_calculation_rule("PLAN001", "match")
        self.ddb.Table(f"bluestar-calculation-rules{SUFFIX}").delete()
        assert cached.get_calculation_rule("PLAN001", "match") == first
        assert type(cached.get_calculation_rule("PLAN001", "match")["max_pct"]) is int

    def test_cache_none_reads_every_time(self) -> None:
        self.put("calculation-rules", **MATCH)
        store = DynamoDBRulesStore(SUFFIX, REGION, cache=None)
        assert store.get_calculation_rule("PLAN001", "match")["max_pct"] == 6
        self.put("calculation-rules", **MATCH | {"max_pct": Decimal(5)})
        assert store.get_calculation_rule("PLAN001", "match")["max_pct"] == 5

    def test_cache_key_ttl_and_json(self) -> None:
        self.put("calculation-rules", **MATCH | {"max_pct": Decimal("6.5")})
        cache = MagicMock(spec=ICacheBackend)
        cache.get.return_value = None
        rule = DynamoDBRulesStore(SUFFIX, REGION, cache=cache).get_calculation_rule("PLAN001", "match")
        cache.get.assert_called_once_with("calc_rule:PLAN001:match")
        (key, ttl, value), _ = cache.setex.call_args
        assert (key, ttl) == ("calc_rule:PLAN001:match", 300)
        assert CACHE_TTL == 300
        assert json.loads(value) == rule

    def test_cache_hit_is_what_the_cache_holds(self) -> None:
        cache = MagicMock()
        cache.get.return_value = '{"formula": "cached", "max_pct": 3}'
        rule = DynamoDBRulesStore(SUFFIX, REGION, cache=cache).get_calculation_rule("PLAN001", "match")
        assert rule == {"formula": "cached", "max_pct": 3}
        cache.setex.assert_not_called()

    def test_cache_failure_does_not_fail_the_read(self) -> None:
        self.put("calculation-rules", **MATCH)
        for error in (CacheError("down"), redis.ConnectionError("down"), RuntimeError("down")):
            cache = MagicMock()
            cache.get.side_effect = error
            cache.setex.side_effect = error
            store = DynamoDBRulesStore(SUFFIX, REGION, cache=cache)
            assert store.get_calculation_rule("PLAN001", "match")["max_pct"] == 6

    def test_a_redis_that_is_down_does_not_fail_the_read(self) -> None:
        self.put("calculation-rules", **MATCH)
        with patch("redis.Redis") as client:
            client.return_value.get.side_effect = redis.ConnectionError("refused")
            store = DynamoDBRulesStore(SUFFIX, REGION, cache=RedisCacheBackend())
        assert store.get_calculation_rule("PLAN001", "match")["max_pct"] == 6

    def test_a_mock_of_redis_that_nobody_set_up_is_a_miss(self) -> None:
        self.put("calculation-rules", **MATCH)
        with patch("redis.Redis"):
            store = DynamoDBRulesStore(SUFFIX, REGION, cache=RedisCacheBackend())
        assert store.get_calculation_rule("PLAN001", "match")["max_pct"] == 6


@mock_aws
class TestSeedScript(unittest.TestCase):
    def test_creates_eight_tables(self) -> None:
        ddb = resource()
        create_tables(ddb)
        assert len(list(ddb.tables.all())) == len(TABLE_DEFINITIONS) == 8

    def test_definitions_can_be_used_by_hand(self) -> None:
        ddb = resource()
        for definition in TABLE_DEFINITIONS:
            ddb.create_table(**{**definition, "TableName": definition["TableName"] + SUFFIX})
        assert seed_pipeline_data(ddb, SUFFIX)

    def test_seed_is_26_steps_and_idempotent(self) -> None:
        ddb = resource()
        create_tables(ddb, SUFFIX)
        create_tables(ddb, SUFFIX)
        seed_pipeline_data(ddb, suffix=SUFFIX)
        seed_pipeline_data(ddb, suffix=SUFFIX)
        steps = ddb.Table(f"bluestar-processing-pipeline{SUFFIX}").scan()["Items"]
        assert len(steps) == 26
        store = DynamoDBRulesStore(SUFFIX, REGION)
        steps = store.get_pipeline_steps("DEFAULT", "BiWeeklyFri")
        assert len(steps) == 26
        assert [step["stepOrder"] for step in steps] == sorted(step["stepOrder"] for step in steps)
        assert all(step["subroutineName"] and step["agent"] and step["enabled"] in (True, False) for step in steps)
        assert store.get_pipeline_steps("PLAN001", "BiWeeklyFri") == []
        assert store.get_validation_rules("SSN")
        assert store.get_calculation_rule("PLAN001", "match")["PK"] == "CLIENT#GLOBAL"
        assert store.get_irs_limits(2026)["max_401k"] == 24500


class TestRedisCacheBackend:
    @pytest.mark.parametrize("kept", [b"value", "value", bytearray(b"value")])
    def test_get_decodes(self, kept: Any) -> None:
        with patch("redis.Redis") as client:
            client.return_value.get.return_value = kept
            assert RedisCacheBackend().get("key") == "value"

    def test_get_missing(self) -> None:
        with patch("redis.Redis") as client:
            client.return_value.get.return_value = None
            assert RedisCacheBackend().get("key") is None

    @pytest.mark.parametrize("target", ["redis.Redis", "bluestar_store.persistence.redis.Redis"])
    @pytest.mark.parametrize("autospec", [False, True])
    def test_setex_and_delete(self, target: str, autospec: bool) -> None:
        with patch(target, autospec=autospec) as client:
            backend = RedisCacheBackend(host="cache", port=6380, db=3)
            backend.setex("key", 300, "value")
            backend.delete("key")
        assert client.call_args.kwargs.items() >= {"host": "cache", "port": 6380, "db": 3}.items()
        client.return_value.setex.assert_called_once_with("key", 300, "value")
        client.return_value.delete.assert_called_once_with("key")

    def test_the_whole_module_can_be_patched(self) -> None:
        with patch("bluestar_store.persistence.redis") as module:
            module.Redis.return_value.get.return_value = b"value"
            assert RedisCacheBackend("cache", 6380, 3).get("key") == "value"
        assert module.Redis.call_args.kwargs["host"] == "cache"

    @pytest.mark.parametrize(
        "error",
        [
            redis.ConnectionError("down"),
            redis.TimeoutError("slow"),
            redis.ResponseError("WRONGTYPE"),
            redis.AuthenticationError("who"),
            OSError("down"),
        ],
    )
    def test_every_failure_is_a_cache_error(self, error: Exception) -> None:
        client = MagicMock()
        client.get.side_effect = client.setex.side_effect = client.delete.side_effect = error
        with patch("redis.Redis", return_value=client):
            backend = RedisCacheBackend()
        with pytest.raises(CacheError):
            backend.get("key")
        with pytest.raises(CacheError):
            backend.setex("key", 300, "value")
        with pytest.raises(CacheError):
            backend.delete("key")

    def test_roundtrip_on_fakeredis(self) -> None:
        with patch("bluestar_store.persistence.redis.Redis", fakeredis.FakeRedis):
            backend = RedisCacheBackend()
        backend.setex("key", 300, "value")
        assert backend.get("key") == "value"
        backend.delete("key")
        assert backend.get("key") is None


class TestMemoryCacheBackend:
    def test_ttl(self) -> None:
        now = [0.0]
        backend = MemoryCacheBackend(clock=lambda: now[0])
        backend.setex("key", 10, "value")
        now[0] = 9.9
        assert backend.get("key") == "value"
        now[0] = 10.1
        assert backend.get("key") is None

    def test_ttl_by_the_monotonic_clock(self) -> None:
        with patch("time.monotonic") as clock:
            clock.return_value = 100.0
            backend = MemoryCacheBackend()
            backend.setex("key", 10, "value")
            clock.return_value = 111.0
            assert backend.get("key") is None
