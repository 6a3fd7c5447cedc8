"""Agent code written against the Protocols runs unchanged in memory, on files and on moto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest

from bluestar_store import CalculationRule, RuleNotFoundError, Settings, Store, seeding
from bluestar_store.files import FileStore, open_files
from bluestar_store.persistence import (
    DynamoDBRulesStore,
    EngineRulesStore,
    ICacheBackend,
    IRulesStore,
    MemoryCacheBackend,
    MemoryRulesStore,
    RedisCacheBackend,
)
from bluestar_store.testing import FaultCache, RedisForTests
from tests.persistence.test_protocols import OldRules

RULE = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6}


# ------------------------------------------------------------------------ an agent, who knows the Protocols and nothing


def most_that_is_matched(rules: IRulesStore, cache: ICacheBackend, plan_id: str, pay: float) -> float:
    """What an employer matches at most, remembered for a minute."""
    known = cache.get(f"most:{plan_id}:{pay}")
    if known is not None:
        return float(known)
    most = round(pay * float(rules.get_calculation_rule(plan_id, "match")["max_pct"]) / 100, 2)
    cache.setex(f"most:{plan_id}:{pay}", 60, str(most))
    return most


def settle(files: FileStore, name: str) -> list[str]:
    """Move a file from `in/` to `done/` and leave a receipt; what is there afterwards."""
    size = len(files.read(f"in/{name}"))
    files.move(f"in/{name}", f"done/{name}")
    files.write(f"done/{name}.receipt", f"{size} bytes", "text/plain")
    return files.list_files("done/")


def capped(store: Store, plan_id: str) -> CalculationRule:
    """A rule of the plan's own, at half of what applied before."""
    rule = store.calculation_rules.get(plan_id, "match")
    half = (rule.max_pct or Decimal(0)) / 2
    return store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match", max_pct=half))


# ----------------------------------------------------------------------------------------------------------- its worlds


def rules_in_memory(request: pytest.FixtureRequest) -> IRulesStore:
    return MemoryRulesStore({"calculation-rules": [RULE]})


def rules_in_files(request: pytest.FixtureRequest) -> IRulesStore:
    store = stored_in_files(request)
    return EngineRulesStore(store.engine, store.tables)


def rules_on_moto(request: pytest.FixtureRequest) -> IRulesStore:
    request.getfixturevalue("bluestar_dynamo_store")
    return DynamoDBRulesStore()


def old_rules(request: pytest.FixtureRequest) -> IRulesStore:
    return OldRules()


def stored_in_files(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path")
    store = Store.open(Settings(persistence_mode="file", file_persistence_dir=folder / "store"))
    store.create_tables()
    seeding.load(store, seeding.baseline())
    request.addfinalizer(store.close)
    return store


def cache_in_memory(request: pytest.FixtureRequest) -> ICacheBackend:
    return MemoryCacheBackend()


def cache_with_faults(request: pytest.FixtureRequest) -> ICacheBackend:
    cache: FaultCache = request.getfixturevalue("bluestar_cache")
    return cache


def cache_in_redis(request: pytest.FixtureRequest) -> ICacheBackend:
    server: RedisForTests = request.getfixturevalue("bluestar_redis")
    return RedisCacheBackend(server.host, server.port)


RULES: list[Callable[[pytest.FixtureRequest], IRulesStore]] = [
    rules_in_memory,
    rules_in_files,
    rules_on_moto,
    old_rules,
]
CACHES: list[Callable[[pytest.FixtureRequest], ICacheBackend]] = [cache_in_memory, cache_with_faults, cache_in_redis]


@pytest.mark.parametrize("make_cache", CACHES)
@pytest.mark.parametrize("make_rules", RULES)
def test_rules_and_caches_can_be_swapped(
    make_rules: Callable[[pytest.FixtureRequest], IRulesStore],
    make_cache: Callable[[pytest.FixtureRequest], ICacheBackend],
    request: pytest.FixtureRequest,
) -> None:
    rules, cache = make_rules(request), make_cache(request)
    assert isinstance(rules, IRulesStore)
    assert isinstance(cache, ICacheBackend)
    assert most_that_is_matched(rules, cache, "ACME", 50_000) == 3_000
    assert cache.get("most:ACME:50000") == "3000.0"
    assert most_that_is_matched(OldRules(), cache, "ACME", 50_000) == 3_000
    assert rules.get_client_config("ACME", "Weekly") == {}
    assert rules.get_pipeline_steps("ACME", "Weekly") == []


@pytest.mark.parametrize("make_rules", RULES[:3])
def test_what_is_missing_is_the_same_error_in_every_store(
    make_rules: Callable[[pytest.FixtureRequest], IRulesStore], request: pytest.FixtureRequest
) -> None:
    with pytest.raises(RuleNotFoundError):
        make_rules(request).get_calculation_rule("ACME", "no such")


@pytest.fixture(params=["memory", "folder", "moto"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileStore]:
    """A file store of each kind, by its URL alone."""
    url = {"memory": "memory://", "folder": (tmp_path / "files").as_uri(), "moto": "s3://payroll/tests"}[request.param]
    if request.param == "moto":
        request.getfixturevalue("bluestar_dynamo_store")  # moto's S3 is there as well
        client: Any = boto3.client("s3")
        client.create_bucket(Bucket="payroll")
    found = open_files(url)
    yield found
    found.close()


def test_file_stores_can_be_swapped(files: FileStore) -> None:
    files.write("in/pay.csv", "ssn,pay\n")
    assert settle(files, "pay.csv") == ["done/pay.csv", "done/pay.csv.receipt"]
    assert files.read("done/pay.csv.receipt") == b"8 bytes"
    assert files.list_files("in/") == []


@pytest.fixture(params=["bluestar_store", "file", "bluestar_dynamo_store"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "file":
        return stored_in_files(request)
    found: Store = request.getfixturevalue(request.param)
    return found


def test_stores_can_be_swapped(store: Store) -> None:
    assert capped(store, "ACME").max_pct == 3
    assert capped(store, "ACME").max_pct == Decimal("1.5")
    found = store.calculation_rules.get("ACME", "match", fresh=True)
    assert (found.max_pct, found.version) == (Decimal("1.5"), 2)
