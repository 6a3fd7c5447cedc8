"""What somebody inside of Redis can make a process believe, with and without BLUESTAR_CACHE_KEY."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import redis
from redis.exceptions import NoPermissionError

from bluestar_store import (
    AchConfig,
    ClientConfig,
    ItemDecodeError,
    PipelineStep,
    Settings,
    Store,
    seeding,
)
from bluestar_store.cache import in_flight
from bluestar_store.cache.redis import stored
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import scan_pages
from tests.cache.attacks import CACHE_KEY, KEY, PLANTED, an_item, attacked, read
from tests.cache.stores import rule, stores, until
from tests.redis_servers import RedisProcess

# ------------------------------------------------------------------------------------------------------ bank accounts


def test_nothing_that_is_shown_masked_lies_in_redis_whoever_put_it_on_the_item(redis_process: RedisProcess) -> None:
    """Sensitive by its name, on items of all kinds that are cached, alone and in the company of others."""
    engine = MemoryEngine()
    with stores(engine, 2, redis_process.url) as (store, other):
        seeding.load(store, seeding.baseline())
        store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="Fid"))
        store.calculation_rules.put(rule("ACME", 5))
        for mapper in store.tables.kinds:
            table = store.tables.name(mapper)
            for page in scan_pages(engine, table):
                for item in page:
                    if mapper.cached and mapper.owns(item):
                        engine.put_many(
                            table, [{**item, "acct": {"S": PLANTED}, "pay": {"M": {"ssn": {"S": PLANTED}}}}]
                        )
        frequency = next(step.pay_freq for step in seeding.baseline().entities if isinstance(step, PipelineStep))
        with redis_process.client().monitor() as monitor:  # type: ignore[no-untyped-call]
            for one in (store, other):
                reads(one, frequency)
                one.calculation_rules.put(one.calculation_rules.get("ACME", "match"))
                reads(one, frequency)
            redis_process.client().echo("the end")
            said = list(until_the_end(monitor))
        assert "calculation-rule" in "".join(said)
        assert [command for command in said if PLANTED in command] == []
        assert other.calculation_rules.get("ACME", "match").extra["acct"] == PLANTED
        client = redis_process.client()
        assert [key for key in client.keys("*") if PLANTED.encode() in (client.get(key) or b"")] == []


def until_the_end(monitor: Any) -> Iterator[str]:
    while "the end" not in (command := str(monitor.next_command()["command"])):
        yield command


def reads(store: Store, frequency: str) -> None:
    store.calculation_rules.get("ACME", "match")
    store.calculation_rules.all("ACME")
    store.client_configs.get("ACME", "Weekly")
    store.pipelines.steps("ACME", frequency)
    store.validation_rules.for_category("SSN", plan_id="ACME")
    store.irs_limits.get(2026)
    store.plan_snapshot("ACME", frequency, 2026)


@pytest.mark.parametrize("key", [None, KEY])
def test_no_bank_account_is_ever_taken_from_redis(redis_process: RedisProcess, key: str | None) -> None:
    with attacked(redis_process, cache_key=key) as inside:
        store = inside.store
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="1111000011"))
        item = {
            "PK": {"S": "CLIENT#ACME_Weekly"},
            "SK": {"S": "ACH"},
            "account_number": {"S": "666666666"},
            "version": {"N": "1"},
        }
        inside.plant(["ach-config", "ACME", "Weekly"], item)
        store.cache._cache.local.flush()
        assert store.ach_configs.get("ACME", "Weekly").account_number == "1111000011"
        asked = inside.client.info("commandstats")["cmdstat_set"]["calls"]
        store.cache._cache.local.flush()
        store.ach_configs.get("ACME", "Weekly")
        assert inside.client.info("commandstats")["cmdstat_set"]["calls"] == asked
        assert not any(b"1111000011" in (inside.client.get(key) or b"") for key in inside.client.keys("*"))


def test_what_another_process_writes_of_a_bank_account_is_seen_at_once(redis_process: RedisProcess) -> None:
    with stores(MemoryEngine(), 2, redis_process.url) as (one, other):
        stored_config = one.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="1"))
        assert other.ach_configs.get("ACME", "Weekly").account_number == "1"
        until(lambda: other.cache.stats().channel, "the channel is there")
        assert other.ach_configs.get("ACME", "Weekly").account_number == "1"
        one.ach_configs.put(stored_config.model_copy(update={"account_number": "2"}))
        until(lambda: other.ach_configs.get("ACME", "Weekly").account_number == "2", "it is heard")


@pytest.mark.parametrize("value", [True, False])
def test_the_setting_that_let_bank_accounts_into_redis_is_warned_of_and_means_nothing(
    value: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UserWarning, match="cache_sensitive is no setting any more: bank accounts neither go to Redis"):
        settings = Settings(persistence_mode="memory", cache_sensitive=value)
    assert settings.cache_sensitive is False
    monkeypatch.setenv("BLUESTAR_CACHE_SENSITIVE", str(value))
    with pytest.warns(UserWarning, match="BLUESTAR_CACHE_SENSITIVE is no setting any more") as told:
        Settings(persistence_mode="memory")
    assert len(told) == 1


# ------------------------------------------------------------------------------------------------- what is never taken


@pytest.mark.parametrize(("lifetime_ms", "px"), [(300_000, None), (5_000, 300_000), (9_999_999, 9_999_999)])
def test_a_value_that_would_live_too_long_is_none(
    redis_process: RedisProcess, lifetime_ms: int, px: int | None
) -> None:
    with attacked(redis_process) as inside:
        inside.plant(CACHE_KEY, an_item(9), lifetime_ms=lifetime_ms, px=px)
        assert read(inside.store) == 5
        assert inside.store.cache.stats().undecodable == 1


def test_a_value_lives_no_longer_than_one_that_the_process_loads_itself(redis_process: RedisProcess) -> None:
    with attacked(redis_process, cache_ttl_seconds=10) as inside:
        inside.plant(
            CACHE_KEY, an_item(9), lifetime_ms=300_000, px=280_000
        )  # 20 seconds old: of a process with another TTL
        assert read(inside.store) == 5
        inside.plant(CACHE_KEY, an_item(9), lifetime_ms=300_000, px=296_000)
        assert read(inside.store) == 9
        explained = inside.store.cache.explain(("calculation-rule", "ACME", "match"))
        assert explained.expires_in_seconds is not None
        assert explained.expires_in_seconds <= 6


@pytest.mark.parametrize("number", ["1E+300000", "1E+999999", "9" * 200, "9" * 5000, "NaN", "\\u0031E5000"])
@pytest.mark.parametrize("name", ["version", "max_pct", "theirs"])
def test_a_number_that_dynamodb_could_not_hold_makes_a_value_none(
    redis_process: RedisProcess, name: str, number: str
) -> None:
    with attacked(redis_process) as inside:
        value: Any = inside.client.get(inside.key(*CACHE_KEY))
        head, _, payload = value.partition(b"\n")
        if name == "theirs":
            payload = payload[:-1] + b',"theirs":{"N":"%b"}}' % number.encode()
        else:
            payload = (
                re.sub(rb'"%b":\{"N":"\d+"\}' % name.encode(), b"", payload).replace(b",,", b",").replace(b",}", b"}")
            )
            payload = payload[:-1] + b',"%b":{"N":"%b"}}' % (name.encode(), number.encode())
        inside.client.set(
            inside.key(*CACHE_KEY), b"%b %d\n%b" % (head.rpartition(b" ")[0], crc32(payload), payload), px=200_000
        )
        started = time.monotonic()
        inside.store.cache._cache.local.flush()
        found = inside.store.calculation_rules.get("ACME", "match")
        assert found.max_pct == 5
        assert found.version == 1
        assert found.extra == {}
        assert time.monotonic() - started < 1


def test_what_else_is_wrong_with_a_forged_value_is_told_where_it_is_asked_for(redis_process: RedisProcess) -> None:
    with attacked(redis_process) as inside:
        value: Any = inside.client.get(inside.key(*CACHE_KEY))
        head, _, payload = value.partition(b"\n")
        for forged in (
            payload[:-1] + b',"theirs":{"Q":1}}',
            payload[:-1] + b',"theirs":{"\\u004e":"1E+999999"}}',
            payload.replace(b'"version":{"N":"1"}', b'"version":{"\\u004e":"1E+999999"}'),
            payload.replace(b'"PK":{"S":"CLIENT#ACME"}', b'"PK":{"S":"CLIENT#GLOBAL"}'),
        ):
            assert forged != payload
            inside.client.set(
                inside.key(*CACHE_KEY), b"%b %d\n%b" % (head.rpartition(b" ")[0], crc32(forged), forged), px=200_000
            )
            inside.store.cache._cache.local.flush()
            found = inside.store.calculation_rules.get("ACME", "match")
            with pytest.raises(ItemDecodeError, match="what Redis has of it cannot be read"):
                _ = found.extra
            with pytest.raises(ItemDecodeError, match="what Redis has of it cannot be read"):
                inside.store.calculation_rules.put(found)


@pytest.mark.parametrize("depth", [40, 5000])
def test_a_value_that_is_nested_too_deep_is_none(redis_process: RedisProcess, depth: int) -> None:
    with attacked(redis_process) as inside:
        text = '{"L":[' * depth + '{"N":"1E5"}' + "]}" * depth
        payload = json.dumps([CACHE_KEY, [an_item(9)]]).encode()[:-3] + b',"theirs":%b}]]' % text.encode()
        inside.client.set(
            inside.key(*CACHE_KEY), b"V%b2300000 %d\n%b" % (b"0" * 16, crc32(payload), payload), px=300_000
        )
        assert read(inside.store) == 5
        assert inside.store.cache.stats().undecodable == 1


def test_a_value_over_a_mebibyte_takes_redis_out_of_the_path_and_fails_no_read(redis_process: RedisProcess) -> None:
    with attacked(redis_process) as inside:
        inside.client.set(inside.key(*CACHE_KEY), b"V" + b"x" * 2_000_000, px=300_000)
        assert read(inside.store) == 5


@pytest.mark.parametrize("px", [None, 3_600_000])
def test_a_lease_that_is_none_of_ours_holds_nobody_up(redis_process: RedisProcess, px: int | None) -> None:
    with attacked(redis_process) as inside:
        inside.client.set(inside.key(*CACHE_KEY), stored.lease(b"f" * 16), px=px)
        started = time.monotonic()
        assert read(inside.store) == 5
        assert time.monotonic() - started < 0.4
        assert inside.store.cache.stats().lease_waits == 0


# ----------------------------------------------------------------------------------------------------------- messages

MESSAGES: list[Any] = [
    {"o": "x", "u": [CACHE_KEY], "w": "f" * 16, "b": 10**12},
    {"o": "x", "u": [CACHE_KEY], "w": "f" * 16, "b": 1e400},
    {"o": "x", "u": [CACHE_KEY], "w": "f" * 16, "b": -5},
    {"o": "x", "u": [[["nested"]]]},
    {"o": "x", "u": "text"},
    {"o": ["x"], "u": [CACHE_KEY]},
    {"o": "x", "k": {}, "f": []},
    {"o": "x", "k": None, "f": {"plan_id": {"a": 1}}},
    {"o": "x", "p": 5},
    [],
    5,
]


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("message", MESSAGES)
def test_a_forged_message_costs_a_load_and_neither_the_channel_nor_the_truth(
    redis_process: RedisProcess, message: Any, key: str | None
) -> None:
    with attacked(redis_process, cache_key=key) as inside:
        store = inside.store
        flushes = store.cache.stats().flushes
        inside.say(message)
        inside.say({"o": "x", "u": [["calculation-rule", "LAST", "match"]]})
        until(lambda: store.cache.stats().invalidations_in, "the last one is heard")
        assert store.calculation_rules.get("ACME", "match").max_pct == 5
        assert store.cache.stats().channel
        assert store.cache.stats().flushes == flushes


def test_a_bar_of_another_process_is_bounded_in_time_and_in_number(
    redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_flight, "MAX_KEYS_WRITTEN", 100)
    with attacked(redis_process) as inside:
        cache = inside.store.cache._cache
        for number in range(300):
            inside.say({"o": "x", "u": [CACHE_KEY], "w": f"{number:016x}", "b": 10**12})
            inside.say({"o": "x", "u": [], "f": {}, "w": f"a{number:015x}", "b": 10**12})
        until(lambda: cache.counters.counts()["invalidations_in"] == 600, "all are heard")
        standing = cache.local.writes
        assert sum(map(len, standing._ends.values())) + len(standing._announced) <= 202
        assert standing._all_until <= cache.clock() + max(cache.limits.block_seconds, 3600)
        assert standing.cover(tuple(CACHE_KEY))


def test_who_has_no_key_lifts_no_bar_that_a_signed_message_put(redis_process: RedisProcess) -> None:
    engine = MemoryEngine()
    with (
        attacked(redis_process, engine, cache_key=KEY) as inside,
        stores(engine, 1, redis_process.url, cache_key=KEY, table_suffix=inside.store.settings.table_suffix) as (
            writer,
        ),
    ):
        writes = inside.store.cache._cache.local.writes
        cache_key = ("calculation-rule", "ACME", "match")
        remote = writer.cache._cache.attach()
        remote.publisher.put_tombstones([cache_key], b"f" * 16, 60)
        until(lambda: writes.cover(cache_key), "the write is heard of")
        inside.say({"o": "x", "u": [CACHE_KEY], "w": "f" * 16})
        until(lambda: inside.store.cache.stats().unsigned, "the forged message is heard")
        assert writes.cover(cache_key)
        remote.publisher.remove_tombstones([cache_key], b"f" * 16)
        until(lambda: not writes.cover(cache_key), "the writer's own is heard")
        assert inside.store.cache.stats().unsigned == 1


def test_a_forged_heartbeat_keeps_no_process_answering_from_memory(redis_process: RedisProcess) -> None:
    with attacked(redis_process, cache_key=KEY) as inside:
        cache = inside.store.cache._cache
        listener, remote = cache._listener, cache.remote
        assert listener is not None
        assert remote is not None
        trusted = cache.local.trusted_until
        remote.publisher.send_heartbeat = lambda nonce: None  # type: ignore[method-assign]  # what it says is withheld
        until(lambda: listener._unanswered, "it waits for a heartbeat")
        for nonce in list(listener._unanswered):
            inside.client.publish(
                remote.client.namespace.own_channel(remote.publisher.origin),
                remote.client.namespace.heartbeat("x", nonce),
            )
        until(lambda: cache.local.trusted_until <= cache.clock() or not cache._channel, "it notices")
        assert cache.local.trusted_until <= trusted + 1 or not cache._channel


def test_the_users_that_the_docs_show_keep_environments_apart(redis_process: RedisProcess) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cache.md").read_text()
    users = [line.split()[1:] for line in page.splitlines() if line.startswith("user ") and "default" not in line]
    assert [name for name, *_ in users] == ["prod", "dev"]
    client = redis_process.client()
    for user in users:
        client.execute_command("ACL", "SETUSER", *user)  # type: ignore[no-untyped-call]
    address = redis_process.url.partition("://")[2]
    found = {}
    with ExitStack() as stack:
        for name, *_ in users:
            url, suffix = f"redis://{name}:PASSWORD@{address}", f"-{name}"
            (store,) = stack.enter_context(stores(MemoryEngine(), 1, url, table_suffix=suffix))
            store.calculation_rules.put(rule("ACME", 5))
            assert read(store) == 5
            until(lambda store=store: store.cache.stats().channel, "the channel is there")  # type: ignore[misc]
            assert read(store) == 5
            assert store.cache.stats().hits_redis
            assert store.cache.stats().outages == 0
            assert store.cache.clear()
            remote = store.cache._cache.attach()
            found[name] = remote.client.namespace, redis.Redis.from_url(url)
        for name, (_, theirs) in found.items():
            for other, (space, _) in found.items():
                key = space.redis_key(("calculation-rule", "ACME", "match"), client.info("server")["run_id"].encode())
                if other == name:
                    theirs.get(key)
                    theirs.publish(space.channel, "?")
                else:
                    with pytest.raises(NoPermissionError):
                        theirs.get(key)
                    with pytest.raises(NoPermissionError):
                        theirs.publish(space.channel, "?")
                    listening = theirs.pubsub()  # type: ignore[no-untyped-call]
                    with listening, pytest.raises(NoPermissionError):
                        _ = listening.psubscribe("*"), listening.get_message(timeout=5)
            theirs.close()
