"""Agent code, typed or old, runs unchanged on what the fixtures give, on files and on moto."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bluestar_store import CalculationRule, Settings, Store, seeding
from bluestar_store.persistence import EngineRulesStore, ICacheBackend, MemoryCacheBackend, RedisCacheBackend
from bluestar_store.testing import FaultCache, RedisForTests
from tests.persistence.test_swap import EXPECTED, an_agent, fill


def capped(store: Store, plan_id: str) -> CalculationRule:
    """A rule of the plan's own, at half of what applied before."""
    rule = store.calculation_rules.get(plan_id, "match")
    half = (rule.max_pct or Decimal(0)) / 2
    return store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match", max_pct=half))


@pytest.fixture(params=["bluestar_store", "file", "bluestar_dynamo_store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A Store with the baseline in it, of each kind."""
    if request.param != "file":
        yield request.getfixturevalue(request.param)
        return
    files_url = (tmp_path / "files").as_uri()
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store", files_url=files_url)
    with Store.open(settings) as store:
        store.create_tables()
        seeding.load(store, seeding.baseline())
        yield store


@pytest.fixture(params=["memory", "faults", "redis"])
def cache(request: pytest.FixtureRequest) -> ICacheBackend:
    """A cache backend of each kind."""
    if request.param == "memory":
        return MemoryCacheBackend()
    if request.param == "faults":
        faulty: FaultCache = request.getfixturevalue("bluestar_cache")
        return faulty
    server: RedisForTests = request.getfixturevalue("bluestar_redis")
    return RedisCacheBackend(server.host, server.port)


def test_a_typed_agent_runs_on_every_store(store: Store) -> None:
    assert capped(store, "ACME").max_pct == 3
    assert capped(store, "ACME").max_pct == Decimal("1.5")
    found = store.calculation_rules.get("ACME", "match", fresh=True)
    assert (found.max_pct, found.version) == (Decimal("1.5"), 2)


def test_an_agent_of_old_modules_runs_on_every_store_and_cache(store: Store, cache: ICacheBackend) -> None:
    rules = EngineRulesStore(store.engine, store.tables)
    fill(rules)
    for path in ("in/hours.csv", "in/seen.csv"):
        store.files.write(path, "7,100.25\n8,50.25\n", "text/csv")
    cache.setex("seen:in/seen.csv", 60, "yes")
    report = {"vesting": None} | an_agent(rules, cache, store.files)  # a rule that the baseline has
    assert report == EXPECTED
