"""What is put together of cached values and loaded ones is of one moment, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import (
    DEFAULT,
    GLOBAL,
    AchConfig,
    CalculationRule,
    ClientConfig,
    Settings,
    Store,
    ValidationRule,
)
from bluestar_store.cache.in_flight import Loaded
from bluestar_store.cache.local import LocalCache
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.models.config import CLIENT_CONFIG
from bluestar_store.protocols import ANY, MISSING, BeforeAttempt, CacheKey, Update, Write
from bluestar_store.testing.fault_engine import FaultEngine
from tests.cache.stores import stores, until

Read = Callable[[Store, str], set[str | None]]


@pytest.fixture
def engine() -> FaultEngine:
    return FaultEngine(MemoryEngine())


@pytest.fixture
def store(engine: FaultEngine) -> Iterator[Store]:
    with Store(Settings(persistence_mode="memory"), engine) as store:
        store.create_tables()
        write(store, "old", PLAN)
        yield store


PLAN, OTHER = "ACME", "OTHER"


def write(store: Store, text: str, plan_id: str) -> None:
    with store.unit_of_work() as uow:
        for level in (GLOBAL, plan_id):
            uow.validation_rules.put(ValidationRule(category="SSN", plan_id=level, number=len(level), message=text))
            uow.calculation_rules.put(CalculationRule(plan_id=level, calc_type=level, description=text))


def category(store: Store, plan_id: str) -> set[str | None]:
    return {rule.message for rule in store.validation_rules.for_category("SSN", plan_id)}


def rules(store: Store, plan_id: str) -> set[str | None]:
    return {rule.description for rule in store.calculation_rules.all(plan_id).values()}


@pytest.mark.parametrize("read", [category, rules])
def test_what_was_invalidated_between_the_first_look_and_the_last_is_read_again(
    store: Store, engine: FaultEngine, read: Read
) -> None:
    read(store, OTHER)  # GLOBAL's are in the cache, the plan's are not
    with ThreadPoolExecutor(1) as pool, engine.faults.hold("query") as held:
        reading = pool.submit(read, store, PLAN)
        held.reached.wait()
        write(store, "new", PLAN)
        held.release()
        assert reading.result() == {"new"}


def test_a_fallback_is_not_put_together_of_two_moments(store: Store, engine: FaultEngine) -> None:
    store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", description="GLOBAL's, old"))
    own = store.calculation_rules.put(CalculationRule(plan_id=PLAN, calc_type="match", description="own"))
    store.calculation_rules.get(OTHER, "match")
    with ThreadPoolExecutor(1) as pool, engine.faults.hold("get") as held:
        reading = pool.submit(store.calculation_rules.get, PLAN, "match")
        held.reached.wait()
        with store.unit_of_work() as uow:
            uow.calculation_rules.delete(own)
            uow.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", description="GLOBAL's, new"))
        held.release()
        assert reading.result().description == "GLOBAL's, new"


@pytest.mark.parametrize("read", [category, rules])
def test_what_comes_from_the_cache_in_part_is_loaded_once(store: Store, engine: FaultEngine, read: Read) -> None:
    read(store, OTHER)
    engine.faults.forget()
    assert read(store, PLAN) == {"old"}
    assert engine.faults.counts["query"] == 1
    engine.faults.forget()
    assert read(store, PLAN) == {"old"}
    assert not engine.faults.counts


def test_a_process_that_keeps_nothing_takes_a_rule_with_its_fallback_from_redis(redis_url: str) -> None:
    settings = Settings(persistence_mode="memory", redis_url=redis_url, redis_timeout_ms=2000, cache_max_entries=0)
    with Store.open(settings) as store:
        store.create_tables()
        store.calculation_rules.put(CalculationRule(plan_id="GLOBAL", calc_type="match", max_pct=Decimal(6)))
        for _ in range(2):
            assert store.calculation_rules.get("ACME", "match").max_pct == 6
        loads = store.cache.stats().loads
        assert store.calculation_rules.get("ACME", "match").max_pct == 6
        assert store.cache.stats().loads == loads


class Interrupting(MemoryEngine):
    """Does something once the next write is committed, before whoever wrote it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.then: list[Callable[[], object]] = []

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See Engine."""
        super().write(*writes, before_attempt=before_attempt)
        while self.then:
            self.then.pop(0)()


def client(store: Store, plan_id: str) -> str | None:
    return store.client_configs.get(plan_id, "Weekly").custodian


def account(store: Store, plan_id: str) -> str | None:
    return store.ach_configs.get(plan_id, "Weekly").bank_id


@pytest.mark.parametrize("read", [client, account])
@pytest.mark.parametrize("masked", [False, True])
def test_a_writer_that_is_not_heard_yet_leaves_no_mixture_with_what_is_in_memory(
    redis_url: str, read: Callable[[Store, str], str | None], masked: bool
) -> None:
    """Also of what never lies in Redis: bank accounts, and items with an attribute that is shown masked."""
    engine = Interrupting()
    with stores(engine, 2, redis_url) as (writer, reader):
        cache = reader.cache._cache
        unheard, cache._on_message = list[Any](), lambda received: unheard.append(received)  # type: ignore[method-assign]
        own = ClientConfig(plan_id=PLAN, pay_freq="Weekly", custodian="own")
        own_account = AchConfig(plan_id=PLAN, pay_freq="Weekly", bank_id="own")

        def change(uow: Store, text: str) -> None:
            uow.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq="Weekly", custodian=text))
            uow.ach_configs.put(AchConfig(plan_id=DEFAULT, pay_freq="Weekly", bank_id=text))

        change(writer, "old")
        own, own_account = writer.client_configs.put(own), writer.ach_configs.put(own_account)
        if masked:
            table, key = writer.tables.name(CLIENT_CONFIG), CLIENT_CONFIG.keys.build(CLIENT_CONFIG.identity(own))
            for place in (key, key.__class__(key.pk.replace(PLAN, DEFAULT), key.sk)):
                engine.write(Update(table, place, {"routing_number": {"S": "011000015"}}, expect=ANY))
            own = writer.client_configs.get(PLAN, "Weekly", fresh=True)
        read(reader, OTHER)
        until(lambda: reader.cache.stats().channel, "the channel is there")
        assert read(reader, OTHER) == "old"  # what is inherited is in memory
        found: list[str | None] = []
        engine.then.append(lambda: found.extend(read(reader, plan_id) for plan_id in (PLAN, PLAN)))
        with writer.unit_of_work() as uow:
            uow.client_configs.delete(own)
            uow.ach_configs.delete(own_account)
            change(uow, "new")
        assert found == ["new", "new"]
        until(lambda: unheard, "the messages come, and nobody hears them")


class Interrupted(str):
    """Part of a cache key at whose look-up something else happens first: as when another thread gets its turn."""

    __slots__ = ("first",)
    first: Callable[[], object]

    def __hash__(self) -> int:
        self.first()
        return super().__hash__()


class Plain:
    """What is inherited is what was found."""

    def get(self, own: CacheKey) -> None:
        return None

    def derive(self, own: CacheKey, value: object) -> object:
        return value


OWN, GLOBALS = ("rule", "ACME"), ("rule", "GLOBAL")


def cached_pair(own: object) -> LocalCache:
    local, moment = LocalCache(10, 10**6, time.monotonic), object()
    until = time.monotonic() + 100
    loads = local.begin_anew([OWN, GLOBALS])
    local.finish(loads, {OWN: Loaded(own, moment, until), GLOBALS: Loaded("global", moment, until)}, 100)
    return local


def test_an_absence_that_is_invalidated_between_two_lookups_is_none() -> None:
    local, other = cached_pair(None), Interrupted("GLOBAL")
    other.first = lambda: None
    assert local.peek_first(("rule",), ("ACME",), (other,), Plain()) == "global"
    other.first = lambda: local.drop([OWN])
    assert local.peek_first(("rule",), ("ACME",), (other,), Plain()) is MISSING


def test_a_value_that_is_invalidated_between_two_lookups_is_not_combined() -> None:
    local, other = cached_pair("own"), Interrupted("GLOBAL")
    other.first = lambda: None
    assert local.peek_all([OWN, ("rule", other)], lambda value: False) == ["own", "global"]
    other.first = lambda: local.drop([OWN])
    assert local.peek_all([OWN, ("rule", other)], lambda value: False) is None
