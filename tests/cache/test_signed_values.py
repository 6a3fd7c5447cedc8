"""With BLUESTAR_CACHE_KEY only values that one of the keys signed are taken from Redis."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zlib import crc32

import pytest

from bluestar_store import (
    ConfigurationError,
    Settings,
)
from bluestar_store.cache.redis.stored import CLOCKS_APART_MS
from bluestar_store.engines.memory.engine import MemoryEngine
from tests.cache.attacks import CACHE_KEY, KEY, OLD_KEY, OTHER_KEY, Inside, an_item, attacked, read
from tests.cache.stores import one_store, rule, stores
from tests.redis_servers import RedisProcess


def test_what_one_of_the_keys_signed_is_believed_and_what_none_did_is_loaded_and_counted(
    redis_process: RedisProcess,
) -> None:
    with one_store(redis_process.url, cache_key=KEY) as (store, engine):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        engine.faults.forget()
        assert read(store) == 5
        assert engine.faults.counts == {}
        assert store.cache.stats().unsigned == 0
        inside = Inside(store, redis_process)
        inside.plant(CACHE_KEY, an_item(9))
        assert read(store) == 5
        assert store.cache.stats().unsigned == 1
        assert read(store) == 5  # what it loaded has taken the other's place
        assert store.cache.stats().unsigned == 1


@pytest.mark.parametrize(
    ("theirs", "believed"),
    [(KEY, True), (OTHER_KEY, False), (f"{OTHER_KEY},{KEY}", False), (f"{KEY},{OTHER_KEY}", True), (OLD_KEY, True)],
)
def test_a_process_believes_the_keys_it_has_whichever_of_them_signed(
    redis_process: RedisProcess, theirs: str, believed: bool
) -> None:
    engine = MemoryEngine()
    with (
        stores(engine, 1, redis_process.url, cache_key=theirs) as (writer,),
        stores(
            engine,
            1,
            redis_process.url,
            cache_key=f"{KEY}, {OLD_KEY}",
            table_suffix=writer.settings.table_suffix,
        ) as (reader,),
    ):
        writer.calculation_rules.put(rule("ACME", 5))
        assert read(writer) == 5
        assert read(reader) == 5
        assert (reader.cache.stats().unsigned == 0) is believed
        assert (reader.cache.stats().hits_redis > 0) is believed


FORGERIES: list[Callable[[bytes], bytes]] = [
    lambda value: value.replace(b'"max_pct":{"N":"5"}', b'"max_pct":{"N":"9"}'),
    lambda value: re.sub(rb"^(V.{16}3[0-9a-f]{64} )[0-9]+ ", rb"\g<1>99999999999999 ", value),
    lambda value: re.sub(rb"^(V.{16}3[0-9a-f]{64} [0-9]+ )[0-9]+ ", rb"\g<1>3600000 ", value),
    lambda value: re.sub(rb"^(V.{16}3)[0-9a-f]{64}", rb"\g<1>" + b"0" * 64, value),
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_signed_value_that_was_changed_is_none(redis_process: RedisProcess, forge: Callable[[bytes], bytes]) -> None:
    with attacked(redis_process, cache_key=KEY) as inside:
        value: Any = inside.client.get(inside.key(*CACHE_KEY))
        forged = forge(value)
        assert forged != value
        head, _, payload = forged.partition(b"\n")
        head = b"%b %d" % (head.rpartition(b" ")[0], crc32(payload))
        inside.client.set(inside.key(*CACHE_KEY), head + b"\n" + payload, px=200_000)
        assert read(inside.store) == 5
        assert inside.store.cache.stats().unsigned == 1


def test_a_signed_value_is_one_of_its_unit_and_its_environment_alone(redis_process: RedisProcess) -> None:
    with (
        attacked(redis_process, cache_key=KEY) as inside,
        attacked(redis_process, cache_key=KEY) as elsewhere,
    ):
        inside.store.calculation_rules.put(rule("OTHER", 7))
        inside.store.calculation_rules.get("OTHER", "match")
        of_another: Any = inside.client.get(inside.key("calculation-rule", "OTHER", "match"))
        renamed = of_another.replace(b"OTHER", b"ACME")
        head, _, payload = renamed.partition(b"\n")
        for value in (of_another, b"%b %d\n%b" % (head.rpartition(b" ")[0], crc32(payload), payload)):
            inside.client.set(inside.key(*CACHE_KEY), value, px=200_000)
            assert read(inside.store) == 5
        elsewhere.store.calculation_rules.put(
            elsewhere.store.calculation_rules.get("ACME", "match").model_copy(update={"max_pct": Decimal(9)})
        )
        elsewhere.store.calculation_rules.get("ACME", "match")
        inside.client.copy(elsewhere.key(*CACHE_KEY).decode(), inside.key(*CACHE_KEY).decode(), replace=True)
        assert read(inside.store) == 5
        assert inside.store.cache.stats().unsigned == 3


def test_an_old_signed_value_that_is_put_back_is_believed_no_longer_than_it_was_good(
    redis_process: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with attacked(redis_process, cache_key=KEY) as inside:
        store = inside.store
        old: Any = inside.client.get(inside.key(*CACHE_KEY))
        current = store.calculation_rules.get("ACME", "match")
        store.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(6)}))
        assert read(store) == 6
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 300 + CLOCKS_APART_MS / 1000)
        inside.client.set(inside.key(*CACHE_KEY), old, px=250_000)
        assert read(store) == 6
        assert store.cache.stats().unsigned == 2  # with GLOBAL's absence


def test_who_has_no_key_reads_what_others_signed(redis_process: RedisProcess) -> None:
    engine = MemoryEngine()
    with (
        stores(engine, 1, redis_process.url, cache_key=KEY) as (signing,),
        stores(engine, 1, redis_process.url, table_suffix=signing.settings.table_suffix) as (plain,),
    ):
        signing.calculation_rules.put(rule("ACME", 5))
        assert read(signing) == 5
        assert read(plain) == 5
        assert plain.cache.stats().hits_redis == 1
        assert plain.cache.stats().undecodable == 0


@pytest.mark.parametrize("value", ["", "short", f"{KEY},short", f"{KEY},"])
def test_a_key_that_could_be_guessed_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_CACHE_KEY: a key is 32 bytes") as raised:
        Settings(persistence_mode="memory", cache_key=value)
    assert KEY not in str(raised.value)
    assert KEY not in repr(Settings(persistence_mode="memory", cache_key=KEY))
