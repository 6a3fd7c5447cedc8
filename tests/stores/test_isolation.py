"""Several Stores in one process: their own tables, clients and bound Models, and nothing in common."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from bluestar_store import CalculationRule, ConfigurationError, IrsLimits, Settings, Store, TableLayout
from bluestar_store.models.calculation import CalculationRuleModel
from bluestar_store.models.limits import IrsLimitsModel
from tests import servers
from tests.stores.conftest import MakeStore

THREADS = 8
ROUNDS = 3


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints of the botocore clients that are made during the test."""
    made: list[str] = []
    original = botocore.session.Session.create_client

    def create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = original(self, *args, **kwargs)
        made.append(client.meta.endpoint_url)
        return client

    monkeypatch.setattr(botocore.session.Session, "create_client", create_client)
    return made


@pytest.fixture(scope="module")
def other_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second DynamoDB Local: another endpoint."""
    with servers.dynamodb_local(tmp_path_factory.mktemp("other-dynamodb-local")) as url:
        yield url


def work(store: Store, name: str, thread: int) -> None:
    """Write and read back under keys that every Store uses."""
    for number in range(ROUNDS):
        rule = CalculationRule(plan_id=f"P{thread}", calc_type="match", description=f"{name} {thread} {number}")
        assert store.calculation_rules.put(rule).version == number + 1
        assert store.calculation_rules.get(f"P{thread}", "match").description == rule.description
        assert store.irs_limits.get(2026).source == name


def run_all(stores: dict[str, Store]) -> None:
    for name, store in stores.items():
        store.irs_limits.put(IrsLimits(year=2026, source=name))
    with ThreadPoolExecutor(THREADS * len(stores)) as executor:
        futures = [
            executor.submit(work, store, name, thread) for name, store in stores.items() for thread in range(THREADS)
        ]
        for future in futures:
            future.result()
    for name, store in stores.items():
        assert store.plans() == tuple(f"P{thread}" for thread in range(THREADS))
        for thread in range(THREADS):
            (rule,) = store.overrides(f"P{thread}")
            assert isinstance(rule, CalculationRule)
            assert rule.description == f"{name} {thread} {ROUNDS - 1}"


@pytest.mark.slow  # a second server
def test_stores_of_different_suffix_layout_and_endpoint_do_not_touch_each_other(
    make_store: MakeStore, dynamodb_local_url: str, other_url: str, clients: list[str]
) -> None:
    stores = {
        "eight": make_store(dynamodb_endpoint_url=dynamodb_local_url),
        "single": make_store(dynamodb_endpoint_url=dynamodb_local_url, table_layout="single"),
        # The same table names on another server.
        "here": make_store(dynamodb_endpoint_url=dynamodb_local_url, table_suffix="-same"),
        "there": make_store(dynamodb_endpoint_url=other_url, table_suffix="-same"),
    }
    run_all(stores)
    assert clients == [dynamodb_local_url] * 3 + [other_url]


def test_stores_offline_do_not_touch_each_other(make_store: MakeStore, tmp_path: Path, clients: list[str]) -> None:
    stores = {
        "memory": make_store(persistence_mode="memory", table_suffix=""),
        "other": make_store(persistence_mode="memory", table_suffix=""),
        "file": make_store(persistence_mode="file", file_persistence_dir=tmp_path / "a", table_suffix=""),
        "folder": make_store(persistence_mode="file", file_persistence_dir=tmp_path / "b", table_suffix=""),
        "single": make_store(persistence_mode="file", file_persistence_dir=tmp_path / "a", table_layout="single"),
    }
    run_all(stores)
    assert clients == []


def test_eight_threads_that_make_the_first_call_at_once_make_one_client(
    make_store: MakeStore, dynamodb_local_url: str, clients: list[str]
) -> None:
    made = make_store(dynamodb_endpoint_url=dynamodb_local_url)
    clients.clear()
    with Store.open(Settings(**dict(made.settings))) as store:
        with ThreadPoolExecutor(THREADS) as executor:
            answers = list(executor.map(lambda _: store.calculation_rules.all("ACME"), range(THREADS)))
        assert [dict(answer) for answer in answers] == [{}] * THREADS
        assert clients == [dynamodb_local_url]


@pytest.mark.slow  # a second server
def test_a_model_bound_to_two_stores_reads_each_ones_items(
    make_store: MakeStore, dynamodb_local_url: str, other_url: str, clients: list[str]
) -> None:
    stores = {
        "eight": make_store(dynamodb_endpoint_url=dynamodb_local_url),
        "single": make_store(dynamodb_endpoint_url=dynamodb_local_url, table_layout="single"),
        "here": make_store(dynamodb_endpoint_url=dynamodb_local_url, table_suffix="-same"),
        "there": make_store(dynamodb_endpoint_url=other_url, table_suffix="-same"),
    }
    for name, store in stores.items():
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", description=name))
        store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal("24500.01"), source=name))
    # All bound before any is used: the later one must not take the earlier one's place.
    rules = {name: store.bind(CalculationRuleModel) for name, store in stores.items()}
    limits = {name: store.bind(IrsLimitsModel) for name, store in stores.items()}

    def read(name: str) -> None:
        for _ in range(ROUNDS):
            rule, limit = rules[name], limits[name]
            assert rule.get("CLIENT#ACME", "CALC#match").description == name
            assert [found.description for found in rule.query("CLIENT#ACME")] == [name]
            assert [found.description for found in rule.scan()] == [name]
            assert [found.PK for found in rule.by_level.query("calculation-rule")] == ["CLIENT#ACME"]
            assert limit.get("YEAR#2026", "LIMITS").max_401k == Decimal("24500.01")
            assert [found.source for found in limit.scan()] == [name]

    with ThreadPoolExecutor(len(stores) * 2) as executor:
        for future in [executor.submit(partial(read, name)) for name in stores for _ in range(2)]:
            future.result()
    stores["here"].calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type="match"))
    assert not list(rules["here"].by_level.query("calculation-rule"))
    assert len(list(rules["there"].by_level.query("calculation-rule"))) == 1
    assert len(clients) == len(stores)


def test_a_bound_model_refuses_to_write(make_store: MakeStore, dynamodb_local_url: str) -> None:
    store = make_store(dynamodb_endpoint_url=dynamodb_local_url, table_layout=TableLayout.SINGLE)
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
    model = store.bind(CalculationRuleModel)
    found = model.get("CLIENT#ACME", "CALC#match")
    for write in (found.save, found.delete, model.batch_write, model.delete_table, partial(found.update, actions=[])):
        with pytest.raises(ConfigurationError, match="repository"):
            write()
    assert store.calculation_rules.get("ACME", "match").version == 1


def test_a_model_can_be_bound_only_where_there_is_dynamodb(make_store: MakeStore) -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        make_store(persistence_mode="memory").bind(CalculationRuleModel)
