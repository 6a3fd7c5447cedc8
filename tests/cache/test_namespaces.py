"""Which second tier belongs to which tables: that of the very tables, which an engine may have to ask for."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

import pytest
import redis

from bluestar_store import (
    AccessDeniedError,
    CalculationRule,
    ConfigurationError,
    Settings,
    Store,
    TableLayout,
    UnavailableError,
)
from bluestar_store.cache.redis.messages import Namespace, read_message
from bluestar_store.engines.dynamo.connection import Made
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.opening import open_engine
from bluestar_store.protocols import Engine
from bluestar_store.store import _namespace, tables_of
from bluestar_store.testing import FaultEngine, Signal
from tests.cache.stores import rule, until
from tests.redis_proxy import RedisProxy

CACHE_KEY = ("calculation-rule", "ACME", "match")


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the shared Redis, beside the library."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


class TellingEngine(MemoryEngine):
    """Like DynamoDB's: its `data_id` says nothing, and its tables have to be asked for."""

    def __init__(self, identity: str = "one") -> None:
        super().__init__()
        self.identity, self.asked = identity, 0
        self.error: Exception | None = None
        self.held: Signal | None = None

    @property
    def data_id(self) -> str:
        return "dynamo"

    def table_id(self, table: str) -> str:
        self.asked += 1
        if self.held is not None:
            self.held.wait()
        if self.error is not None:
            raise self.error
        return self.identity


@contextmanager
def opened(url: str, *engines: Engine, **settings: Any) -> Iterator[list[Store]]:
    """A Store over each engine, all with the same names, each as if in a process of its own."""
    options = {"table_suffix": f"-{uuid.uuid4().hex[:12]}", "redis_timeout_ms": 1000} | settings
    with ExitStack() as stack:
        stores = []
        for engine in engines:
            store = Store(Settings(persistence_mode="memory", redis_url=url, **options), engine)
            stores.append(stack.enter_context(store))
            cache = store.cache._cache
            cache.peers = lambda cache=cache: [cache]  # type: ignore[misc, method-assign]
            store.create_tables()
        yield stores


def percent(store: Store, plan: str = "ACME") -> int:
    return int(store.calculation_rules.get(plan, "match").max_pct or 0)


def has_channel(store: Store) -> bool:
    return store.cache.stats().channel


def test_two_stores_of_other_tables_never_meet_in_one_redis(redis_url: str) -> None:
    with opened(redis_url, TellingEngine("one"), TellingEngine("two")) as (one, two):
        one.calculation_rules.put(rule("ACME", 5))
        two.calculation_rules.put(rule("ACME", 6))
        for _ in range(2):
            for store, wanted in ((one, 5), (two, 6)):
                assert percent(store) == wanted
                until(lambda store=store: has_channel(store), "the channel is there")  # type: ignore[misc]
                store.cache._cache.local.flush()
        heard = two.cache.stats().invalidations_in
        one.calculation_rules.put(rule("ACME", 7))
        assert percent(two) == 6
        assert two.cache.stats().invalidations_in == heard


def test_both_words_for_a_table_each_mean_one_layout_and_one_tier_as_the_release_before_calls_it() -> None:
    settings = [Settings(persistence_mode="memory", table_layout=TableLayout(word)) for word in ("per_table", "eight")]
    assert settings[0] == settings[1]
    assert TableLayout.EIGHT is settings[0].table_layout
    engine = MemoryEngine()
    assert {_namespace(one, engine) for one in settings} == {f"{engine.data_id}:bluestar-::eight"}
    with pytest.raises(ConfigurationError, match="'per_table' or 'single'"):
        Settings.model_validate({"table_layout": "nine"})


def test_two_stores_of_the_same_tables_share_what_they_read(redis_url: str) -> None:
    engine = FaultEngine(TellingEngine())
    with opened(redis_url, engine, engine) as (one, other):
        one.calculation_rules.put(rule("ACME", 5))
        for store in (one, other):
            percent(store)
            until(lambda store=store: has_channel(store), "the channel is there")  # type: ignore[misc]
        assert percent(one) == 5
        engine.faults.forget()
        assert percent(other) == 5
        assert engine.faults.counts == {}
        one.calculation_rules.put(rule("ACME", 6))
        until(lambda: percent(other) == 6, "the other one hears of it")


def test_the_first_read_does_not_wait_for_the_name_of_its_tables(redis_url: str) -> None:
    engine = TellingEngine()
    engine.held = Signal()
    with opened(redis_url, engine) as (store,):
        with pytest.raises(LookupError):
            percent(store)
        assert store.cache.stats().redis == "open"
        engine.held.set()
        until(lambda: has_channel(store), "it is known")
        assert store.cache.stats().redis == "closed"
        assert engine.asked == 1


def test_a_write_waits_for_it_and_is_heard(redis_url: str) -> None:
    engine = TellingEngine()
    with opened(redis_url, engine, engine) as (writer, reader):
        with pytest.raises(LookupError):
            percent(reader)
        until(lambda: has_channel(reader), "the channel is there")
        with pytest.raises(LookupError):
            percent(reader)
        writer.calculation_rules.put(rule("ACME", 5))
        until(lambda: reader.cache.stats().invalidations_in == 2, "the write is heard")
        assert percent(reader) == 5


def test_without_permission_there_is_no_second_tier_and_stats_say_so(
    redis_proxy: RedisProxy, caplog: pytest.LogCaptureFixture
) -> None:
    engine = TellingEngine()
    engine.error = AccessDeniedError("not authorized to perform: dynamodb:DescribeTable")
    with caplog.at_level(logging.WARNING, "bluestar_store.cache"), opened(redis_proxy.url, engine) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        for _ in range(3):
            assert percent(store) == 5
        found = store.cache.stats()
        assert (found.redis, found.channel) == ("off", False)
        assert "dynamodb:DescribeTable" in str(found.redis_error)
        assert len([message for message in caplog.messages if "DescribeTable" in message]) == 1
        assert store.cache.explain(CACHE_KEY).tier == "process"
        expires = store.cache.explain(CACHE_KEY).expires_in_seconds
        assert expires is not None
        assert expires <= store.settings.cache_degraded_ttl_seconds  # nobody is heard


def test_whoever_cannot_name_the_tables_is_heard_all_the_same(redis_url: str) -> None:
    engine, denied = TellingEngine(), TellingEngine()
    denied._items = engine._items
    denied.error = AccessDeniedError("not authorized to perform: dynamodb:DescribeTable")
    with opened(redis_url, engine, denied) as (reader, writer):
        reader.calculation_rules.put(rule("ACME", 5))
        for _ in range(2):
            percent(reader)
            until(lambda: has_channel(reader), "the channel is there")
        writer.calculation_rules.put(rule("ACME", 6))
        until(lambda: percent(reader) == 6, "the write is heard")
        reader.cache._cache.local.flush()
        assert percent(reader) == 6


def test_what_passes_is_asked_again(redis_url: str) -> None:
    engine = TellingEngine()
    engine.error = UnavailableError("a moment")
    with opened(redis_url, engine) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        assert percent(store) == 5
        assert store.cache.stats().redis == "open"
        engine.error = None
        until(lambda: has_channel(store), "it is asked again")
        assert store.cache.stats().redis == "closed"


def test_the_release_before_hears_of_writes_and_is_heard(redis_url: str, redis_client: redis.Redis) -> None:
    """Its names, its messages, and no more than it reads of them."""
    engine = FaultEngine(TellingEngine())
    with opened(redis_url, engine) as (store,), redis_client.pubsub() as heard:  # type: ignore[no-untyped-call]
        older = Namespace(store.cache._cache.namespace)
        heard.subscribe(older.channel)
        heard.get_message(timeout=5)
        store.calculation_rules.put(rule("ACME", 5))
        told = []
        for _ in range(2):
            found = heard.get_message(timeout=5)
            message = read_message(found["data"])
            assert message is not None
            told.append(message)
        assert [CACHE_KEY in message.cache_keys for message in told] == [True, True]
        for _ in range(2):
            percent(store)
            until(lambda: has_channel(store), "the channel is there")
        percent(store)
        stored = store.calculation_rules.get("ACME", "match")
        assert stored.origin is not None
        item = {**stored.origin.item, "max_pct": {"N": "9"}}
        engine.inner.put_many(store.tables.name(store.calculation_rules.mapper), [item])  # as 0.1.0 writes
        redis_client.publish(older.channel, older.changed("0.1.0", [CACHE_KEY, (f"{CACHE_KEY[0]}*", "ACME")]))
        until(lambda: percent(store) == 9, "the older release is heard")
        store.cache._cache.local.flush()
        assert percent(store) == 9


def test_a_write_bars_its_items_for_the_release_before(redis_url: str, redis_client: redis.Redis) -> None:
    engine = FaultEngine(TellingEngine())
    with opened(redis_url, engine) as (store,), engine.faults.hold("write") as hold:
        thread = threading.Thread(target=lambda: store.calculation_rules.put(rule("ACME", 5)), daemon=True)
        thread.start()
        hold.reached.wait()
        run_id = redis_client.info("server")["run_id"].encode()
        key = Namespace(store.cache._cache.namespace).redis_key(CACHE_KEY, run_id)
        assert str(redis_client.get(key)).startswith("b'T")
        hold.release()
        thread.join(10)
        assert redis_client.get(key) is None


# ------------------------------------------------------------------------------------------------------------- DynamoDB


@contextmanager
def on_dynamo(url: str, redis_url: str, suffix: str) -> Iterator[Store]:
    settings = Settings(
        persistence_mode="dynamo",
        dynamodb_endpoint_url=url,
        aws_region="us-east-1",
        redis_url=redis_url,
        redis_timeout_ms=1000,
        table_suffix=suffix,
    )
    with Store(settings, open_engine(settings, tables_of(settings))) as store:
        yield store


def test_a_table_that_was_made_again_has_a_tier_of_its_own(dynamodb_local_url: str, redis_url: str) -> None:
    suffix = f"-{uuid.uuid4().hex[:12]}"
    names = []
    for value in (5, None):
        with on_dynamo(dynamodb_local_url, redis_url, suffix) as store:
            store.create_tables()
            if value is not None:
                store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(value)))
                for _ in range(2):
                    assert percent(store) == value
                    until(lambda store=store: has_channel(store), "the channel is there")  # type: ignore[misc]
                assert store.cache.held()["calculation-rule"] > 0
            else:
                for _ in range(2):
                    with pytest.raises(LookupError):
                        percent(store)
                    until(lambda store=store: has_channel(store), "the channel is there")  # type: ignore[misc]
            remote = store.cache._cache.remote
            assert remote is not None
            names.append(remote.client.namespace.name)
            store.engine.delete_tables([spec.name for spec in store.tables.specs()])
    assert len(set(names)) == 2


class Client:
    """What is asked of botocore's client."""

    def __init__(self, endpoint_url: str) -> None:
        self.meta = type("Meta", (), {"endpoint_url": endpoint_url})


@pytest.mark.parametrize(
    ("endpoint", "foreign"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com", ""),
        ("https://123456789012.ddb.eu-central-1.amazonaws.com", ""),
        ("https://dynamodb.cn-north-1.amazonaws.com.cn", ""),
        ("https://dynamodb.eu-central-1.api.aws", ""),
        ("https://vpce-1-2.dynamodb.eu-central-1.vpce.amazonaws.com", ""),
        ("http://localhost:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://Dynamo:8001", "dynamo:8001"),
        ("https://dynamo", "dynamo:https"),
        ("https://amazonaws.com.evil", "amazonaws.com.evil:https"),
    ],
)
def test_an_endpoint_is_named_where_it_is_not_aws_s_own(
    endpoint: str, foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(persistence_mode="dynamo", aws_region="us-east-1", dynamodb_endpoint_url="http://unused:1")
    connection: Any = open_engine(settings, tables_of(settings)).connection  # type: ignore[attr-defined]
    monkeypatch.setattr(connection, "_made", lambda: Made(None, Client(endpoint), None))
    assert connection.foreign_endpoint == foreign


def test_a_single_table_that_the_library_makes_again_is_forgotten_everywhere(redis_url: str) -> None:
    engine = TellingEngine()
    with opened(redis_url, engine, engine) as (one, other):
        one.calculation_rules.put(rule("ACME", 5))
        for store in (one, other):
            percent(store)
            until(lambda store=store: has_channel(store), "the channel is there")  # type: ignore[misc]
            assert percent(store) == 5
        engine.delete_tables([one.tables.name(one.calculation_rules.mapper)])
        assert len(one.create_tables()) == 1
        with pytest.raises(LookupError):
            percent(one)
        until(lambda: other.cache.explain(CACHE_KEY).tier != "process", "the other one hears of it")
        with pytest.raises(LookupError):
            percent(other)
