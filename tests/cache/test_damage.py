"""What is wrong with Redis, its URL or the answer of a write: it costs the tier, and neither a read nor the truth."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zlib import crc32

import pytest

from bluestar_store import (
    AccessDeniedError,
    CacheError,
    CalculationRule,
    ConfigurationError,
    EngineError,
    Settings,
    Store,
    ThrottledError,
)
from bluestar_store.cache.redis import messages
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Put
from bluestar_store.testing import FaultEngine
from tests.cache.stores import one_store, rule, stores, until
from tests.redis_proxy import RedisProxy
from tests.redis_servers import RedisProcess

CACHE_KEY = ("calculation-rule", "ACME", "match")


@pytest.mark.parametrize("option", ["?foo=bar", "?timeout=20", "?socket_timeout=soon"])
def test_a_url_with_an_option_that_nobody_knows_is_refused_when_the_store_is_opened(option: str) -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_REDIS_URL"):
        Store.open(Settings(persistence_mode="memory", redis_url=f"redis://localhost/0{option}"))


def test_sentinel_needs_the_name_of_the_master() -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_REDIS_SENTINEL_SERVICE"):
        Store.open(Settings(persistence_mode="memory", redis_url="redis://localhost", redis_mode="sentinel"))


def test_an_option_of_the_url_that_would_change_replies_does_not(redis_url: str) -> None:
    with one_store(f"{redis_url}?decode_responses=true") as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert store.cache.stats().redis == "closed"


GARBAGE: list[Callable[[dict[str, Any]], Any]] = [
    lambda item: {**item, "note": {"N": "x"}},
    lambda item: {**item, "note": {"S": 5}},
    lambda item: {**item, "note": {"SS": [1]}},
    lambda item: {**item, "note": {"L": [{"N": ""}]}},
    lambda item: {**item, "note": {"M": {"a": 1}}},
    lambda item: {**item, "note": {}},
    lambda item: {**item, "plan_id": None},
    lambda item: {**item, "version": {"N": "Infinity"}},
    lambda item: {**item, "max_pct": {"N": "much"}},
    lambda item: {"PK": item["PK"]},
    lambda item: [],
    lambda item: "text",
]


def kept(store: Store, redis_process: RedisProcess) -> tuple[CalculationRule, Any, Any]:
    """A rule that is in Redis, as it was stored; a client of that Redis, and the rule's key."""
    stored = store.calculation_rules.put(rule("ACME", 5))
    store.calculation_rules.get("ACME", "match")
    client = redis_process.client()
    (key,) = client.keys('*"calculation-rule","ACME"*')
    return stored, client, key


def damaged(item: dict[str, Any], garble: Callable[[dict[str, Any]], Any]) -> bytes:
    """The value of an item that is not as usual, and cannot be read either."""
    del item["#"]
    return json.dumps([CACHE_KEY, [garble(item)]]).encode()


@pytest.mark.parametrize("checksum", ["of what was there", "of what is there"])
@pytest.mark.parametrize("garble", GARBAGE)
def test_whatever_is_in_a_value_it_fails_no_read_and_keeps_nobody_waiting(
    redis_process: RedisProcess, garble: Callable[[dict[str, Any]], Any], checksum: str
) -> None:
    with one_store(redis_process.url) as (store, _):
        _, client, key = kept(store, redis_process)
        content: Any = client.get(key)
        head, _, payload = content.partition(b"\n")
        garbled = damaged(json.loads(payload), garble)
        if checksum == "of what is there":
            head = b"%b %d" % (head.partition(b" ")[0], crc32(garbled))
        client.set(key, head + b"\n" + garbled, px=100_000)
        for _ in range(2):
            store.cache._cache.local.flush()
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert store.cache.stats().undecodable == 1


def test_a_value_of_which_one_bit_is_lost_is_loaded_again(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, _):
        _, client, key = kept(store, redis_process)
        content: Any = client.get(key)
        assert b'"max_pct":{"N":"5"}' in content
        client.set(key, content.replace(b'{"N":"5"}', b'{"N":"4"}'), px=100_000)
        store.cache._cache.local.flush()
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert store.cache.stats().undecodable == 1


def test_a_value_that_another_form_of_the_entity_wrote_is_read_as_ever(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, engine):
        _, client, key = kept(store, redis_process)
        content: Any = client.get(key)
        head, _, payload = content.partition(b"\n")
        payload = payload.replace(store.calculation_rules.mapper.reading.form.encode(), b"0" * 16)
        client.set(key, b"%b %d\n%b" % (head.partition(b" ")[0], crc32(payload), payload), px=100_000)
        store.cache._cache.local.flush()
        engine.faults.forget()
        read = store.calculation_rules.get("ACME", "match")
        assert read.max_pct == 5
        assert read.version == 1
        assert engine.faults.counts == {}


def test_a_key_of_another_type_is_replaced(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, engine):
        stored, client, key = kept(store, redis_process)
        for act in (
            lambda: store.calculation_rules.put(stored.model_copy(update={"max_pct": Decimal(4)})),
            lambda: None,
        ):
            client.delete(key)
            client.lpush(key, "theirs")
            act()
            for _ in range(2):
                store.cache._cache.local.flush()
                assert store.calculation_rules.get("ACME", "match").max_pct == 4
            engine.faults.forget()
            store.cache._cache.local.flush()
            assert store.calculation_rules.get("ACME", "match").max_pct == 4
            assert engine.faults.counts == {}
        assert store.cache.stats().outages == 0


@pytest.mark.parametrize("error", [ThrottledError, AccessDeniedError, EngineError])
def test_an_error_after_a_try_without_an_answer_counts_as_written(
    redis_process: RedisProcess, error: type[EngineError]
) -> None:
    with one_store(redis_process.url) as (store, engine):
        stored = store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        engine.faults.fail("write", error, times=1)
        with pytest.raises(error):
            store.calculation_rules.put(stored.model_copy(update={"max_pct": Decimal(4)}))
        assert store.cache.explain(CACHE_KEY).note == "it is being written"
        engine.faults.forget()
        for _ in range(2):
            store.calculation_rules.get("ACME", "match")
        assert engine.faults.counts == {"get": 2}


def test_more_than_can_be_kept_makes_everything_forgotten(
    redis_proxy: RedisProxy, redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_PENDING", 3)
    engine = FaultEngine(MemoryEngine())
    with (
        stores(engine, 1, redis_proxy.url, redis_timeout_ms=200, cache_heartbeat_seconds=0.1) as (writer,),
        stores(engine, 1, redis_process.url, table_suffix=writer.settings.table_suffix) as (reader,),
    ):
        for number in range(5):
            writer.calculation_rules.put(rule(f"P{number}", 1))
            assert reader.calculation_rules.get(f"P{number}", "match").max_pct == 1
        redis_proxy.refuse()
        redis_proxy.cut()
        until(lambda: writer.cache.stats().redis == "open" or not writer.cache.stats().channel, "it is noticed")
        for number in range(5):
            current = writer.calculation_rules.get(f"P{number}", "match", fresh=True)
            writer.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(2)}))
        assert reader.calculation_rules.get("P0", "match").max_pct == 1  # it cannot know yet
        redis_proxy.pass_on()
        until(lambda: writer.cache.stats().redis == "closed", "Redis is back in the path")
        for number in range(5):
            until(lambda n=number: reader.calculation_rules.get(f"P{n}", "match").max_pct == 2, "told")  # type: ignore[misc]


def test_what_a_fresh_read_saw_is_not_undone_by_what_was_kept_before(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url) as (store, engine):
        stored = store.calculation_rules.put(rule("ACME", 5))
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert stored.origin is not None
        table = store.tables.name(store.calculation_rules.mapper)
        engine.inner.write(Put(table, {**stored.origin.item, "max_pct": {"N": "9"}}))
        client = redis_process.client()
        (key,) = client.keys('*"calculation-rule","ACME"*')
        client.set(key, "garbage")  # so that the fresh read cannot fill
        assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 9
        assert store.calculation_rules.get("ACME", "match").max_pct == 9


def test_stores_that_come_and_go_disturb_no_write() -> None:
    with one_store() as (store, _):
        stop = threading.Event()

        def come_and_go() -> None:
            while not stop.is_set():
                Store(store.settings, store.engine).close()

        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        for thread in threads:
            thread.start()
        del store.cache._cache.peers
        try:
            for number in range(300):
                store.calculation_rules.put(rule(f"P{number}", 1))
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def test_a_listener_may_write(redis_process: RedisProcess) -> None:
    with one_store(redis_process.url, redis_timeout_ms=200) as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        told: list[str] = []

        def listener(name: str, amount: int) -> None:
            if name == "outages":
                told.append(name)
                store.calculation_rules.put(rule("OTHER", 1))

        store.cache.listen(listener)
        redis_process.kill()
        store.calculation_rules.put(rule("ACME", 4))
        until(lambda: told, "the outage is told")


def test_an_invalidation_that_could_match_nothing_is_refused_and_a_partition_goes_with_its_items(
    redis_url: str,
) -> None:
    with one_store(redis_url) as (store, engine):
        stored = store.calculation_rules.put(rule("ACME", 5))
        assert store.calculation_rules.all("ACME")["match"].max_pct == 5
        for kind, fields in (("calculation_rule", {}), (None, {"plan": "ACME"}), ("irs-limits", {"plan_id": "A"})):
            with pytest.raises(ValueError, match="there is no"):
                store.cache.invalidate(kind, fields)
        assert stored.origin is not None
        table = store.tables.name(store.calculation_rules.mapper)
        engine.inner.write(Put(table, {**stored.origin.item, "max_pct": {"N": "1"}}))
        store.cache.invalidate("calculation-rule", {"calc_type": "match"})
        assert store.calculation_rules.all("ACME")["match"].max_pct == 1
        store.irs_limits.mapper.keys.build({"year": 2026})
        assert store.cache.invalidate("irs-limits", {"year": "2026"}) == 0


def test_a_year_that_is_no_whole_number_is_refused_also_when_the_year_is_known() -> None:
    from bluestar_store import InvalidKeyError, IrsLimits

    with one_store() as (store, _):
        store.irs_limits.put(IrsLimits(year=2026))
        store.irs_limits.get(2026)
        with pytest.raises(InvalidKeyError):
            store.irs_limits.get(2026.0)  # type: ignore[arg-type]  # the point of the test


def test_clearing_says_so_when_redis_is_out() -> None:
    with one_store("redis://127.0.0.1:1", redis_timeout_ms=100) as (store, _), pytest.raises(CacheError):
        store.cache.clear()


def test_what_a_caller_does_to_an_item_changes_nothing_that_others_read() -> None:
    with one_store() as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        found = store.calculation_rules.get("ACME", "match")
        assert found.origin is not None
        found.origin.item["max_pct"]["N"] = "99"
        again = store.calculation_rules.get("ACME", "match")
        assert again.origin is not None
        assert again.origin.item["max_pct"] == {"N": "5"}
