"""The Protocols: what satisfies them, for isinstance and for mypy (which checks this file)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store import persistence
from bluestar_store.persistence import (
    DynamoDBRulesStore,
    EngineRulesStore,
    IBatchStore,
    ICacheBackend,
    IFileStore,
    IRulesStore,
    ISQLClient,
    MemoryCacheBackend,
    MemoryFileStore,
    MemoryRulesStore,
    RedisCacheBackend,
    S3FileStore,
    SQLClient,
    create_persistence,
    create_tables,
    seed_pipeline_data,
)

RULES: list[type[IRulesStore]] = [EngineRulesStore, DynamoDBRulesStore, MemoryRulesStore]
CACHES: list[type[ICacheBackend]] = [MemoryCacheBackend, RedisCacheBackend]

EIGHT = """get_client_config get_validation_rules get_calculation_rule get_pipeline_steps get_plan_holds get_irs_limits
get_ach_config get_vendor_schema"""


class OldRules:
    """An implementation of before the library: eight methods, and nothing of ours."""

    def get_client_config(self, plan_id: str, pay_freq: str) -> dict[str, Any]:
        return {}

    def get_validation_rules(self, category: str) -> list[dict[str, Any]]:
        return []

    def get_calculation_rule(self, plan_id: str, calc_type: str) -> dict[str, Any]:
        return {"max_pct": 6}

    def get_pipeline_steps(self, plan_id: str, pay_freq: str) -> list[dict[str, Any]]:
        return []

    def get_plan_holds(self, plan_id: str) -> list[dict[str, Any]]:
        return []

    def get_irs_limits(self, year: int) -> dict[str, Any]:
        return {}

    def get_ach_config(self, plan_id: str, pay_freq: str) -> dict[str, Any]:
        return {}

    def get_vendor_schema(self, vendor_id: str, plan_id: str, pay_freq: str) -> dict[str, Any]:
        return {}


class OldBatches:
    def get_pipeline(self, plan_id: str, pay_freq: str | None = None) -> list[dict[str, Any]]:
        return []

    def get_client_validation_rules(self, client_id: str, field: str) -> list[dict[str, Any]]:
        return []

    def save_batch_state(self, batch_id: str, state: dict[str, Any]) -> None: ...

    def get_batch_state(self, batch_id: str) -> dict[str, Any]:
        return {}

    def save_processing_result(self, batch_id: str, step: str, result: dict[str, Any]) -> None: ...

    def append_audit_entry(self, entry: dict[str, Any]) -> None: ...


def an_agent(rules: IRulesStore) -> float:
    return float(rules.get_calculation_rule("ACME", "match")["max_pct"])


def methods(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def test_an_old_implementation_of_eight_methods_is_a_rules_store() -> None:
    old: IRulesStore = OldRules()
    assert isinstance(old, IRulesStore)
    assert an_agent(old) == 6


def test_agent_code_runs_unchanged_on_another_implementation() -> None:
    rule = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6}
    assert an_agent(MemoryRulesStore({"calculation-rules": [rule]})) == 6


@pytest.mark.parametrize("implementation", [*RULES, OldRules], ids=lambda found: found.__name__)
def test_every_rules_store_is_one_when_it_runs(implementation: type) -> None:
    assert issubclass(implementation, IRulesStore)


def test_a_batch_store_is_one_when_it_runs() -> None:
    batches: IBatchStore = OldBatches()
    assert isinstance(batches, IBatchStore)
    for implementation in RULES:
        assert issubclass(implementation, IBatchStore)
    assert not isinstance(OldRules(), IBatchStore)


@pytest.mark.parametrize("implementation", CACHES, ids=lambda found: found.__name__)
def test_every_cache_backend_is_one_when_it_runs(implementation: type) -> None:
    assert issubclass(implementation, ICacheBackend)


def test_the_protocols_have_the_methods_that_agents_know() -> None:
    assert methods(IRulesStore) == set(EIGHT.split())
    assert methods(ICacheBackend) == {"get", "setex", "delete"}
    assert methods(IBatchStore) == methods(OldBatches)


BINARY = "application/octet-stream"
SIGNATURES: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (IRulesStore.get_client_config, {"plan_id": ..., "pay_freq": ...}),
    (IRulesStore.get_validation_rules, {"category": ...}),
    (IRulesStore.get_calculation_rule, {"plan_id": ..., "calc_type": ...}),
    (IRulesStore.get_pipeline_steps, {"plan_id": ..., "pay_freq": ...}),
    (IRulesStore.get_plan_holds, {"plan_id": ...}),
    (IRulesStore.get_irs_limits, {"year": ...}),
    (IRulesStore.get_ach_config, {"plan_id": ..., "pay_freq": ...}),
    (IRulesStore.get_vendor_schema, {"vendor_id": ..., "plan_id": ..., "pay_freq": ...}),
    (IBatchStore.get_pipeline, {"plan_id": ..., "pay_freq": None}),
    (IBatchStore.get_client_validation_rules, {"client_id": ..., "field": ...}),
    (IBatchStore.save_batch_state, {"batch_id": ..., "state": ...}),
    (IBatchStore.get_batch_state, {"batch_id": ...}),
    (IBatchStore.save_processing_result, {"batch_id": ..., "step": ..., "result": ...}),
    (IBatchStore.append_audit_entry, {"entry": ...}),
    (DynamoDBRulesStore, {"table_suffix": "", "region": "us-east-1", "endpoint_url": None, "cache": None}),
    (ICacheBackend.get, {"key": ...}),
    (ICacheBackend.setex, {"key": ..., "ttl": ..., "value": ...}),
    (ICacheBackend.delete, {"key": ...}),
    (RedisCacheBackend, {"host": "localhost", "port": 6379, "db": 0}),
    (IFileStore.read, {"path": ...}),
    (IFileStore.write, {"path": ..., "data": ..., "content_type": BINARY}),
    (IFileStore.move, {"src": ..., "dst": ...}),
    (IFileStore.list_files, {"prefix": ...}),
    (S3FileStore, {"bucket": ..., "region": "us-east-1", "endpoint_url": None}),
    (MemoryFileStore, {}),
    (create_persistence, {"settings": None}),
    (create_tables, {"ddb": ..., "suffix": ""}),
    (seed_pipeline_data, {"ddb": ..., "suffix": ""}),
    (ISQLClient.execute, {"statement": ..., "parameters": None}),
    (ISQLClient.fetch_all, {"statement": ..., "parameters": None}),
    (ISQLClient.transaction, {}),
    (SQLClient, {"url": ...}),
]
"""Parameters that can be given by position, in order, with their defaults."""


@pytest.mark.parametrize(("called", "expected"), SIGNATURES, ids=lambda found: getattr(found, "__qualname__", ""))
def test_the_signatures_are_those_that_agents_know(called: Callable[..., Any], expected: dict[str, Any]) -> None:
    found = {
        name: ... if parameter.default is inspect.Parameter.empty else parameter.default
        for name, parameter in inspect.signature(called).parameters.items()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and name != "self"
    }
    assert found == expected
    assert list(found) == list(expected)


def test_implementations_have_the_parameters_of_their_protocols() -> None:
    pairs: list[tuple[type, type]] = [
        *((one, protocol) for one in RULES for protocol in (IRulesStore, IBatchStore)),
        *((one, ICacheBackend) for one in CACHES),
        *((one, IFileStore) for one in (S3FileStore, MemoryFileStore)),
        (SQLClient, ISQLClient),
    ]
    for implementation, protocol in pairs:
        assert issubclass(implementation, protocol)
        for method in methods(protocol):
            promised = list(inspect.signature(getattr(protocol, method)).parameters)
            assert list(inspect.signature(getattr(implementation, method)).parameters)[: len(promised)] == promised


def test_every_name_of_the_module_is_there_and_documented() -> None:
    assert sorted(persistence.__all__, key=lambda name: (not name.isupper(), name)) == persistence.__all__
    for name in persistence.__all__:
        found = getattr(persistence, name)
        if isinstance(found, type):
            assert found.__doc__
            public = (one for one in vars(found).items() if not one[0].startswith("_") and callable(one[1]))
            assert [method for method, function in public if not function.__doc__] == []
