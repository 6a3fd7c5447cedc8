"""The Protocols: what satisfies them, for isinstance and for mypy (which checks this file)."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store import persistence
from bluestar_store.persistence import (
    DynamoDBRulesStore,
    EngineRulesStore,
    IBatchStore,
    ICacheBackend,
    IRulesStore,
    MemoryCacheBackend,
    MemoryRulesStore,
    RedisCacheBackend,
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
    assert not isinstance(OldRules(), IBatchStore)


@pytest.mark.parametrize("implementation", CACHES, ids=lambda found: found.__name__)
def test_every_cache_backend_is_one_when_it_runs(implementation: type) -> None:
    assert issubclass(implementation, ICacheBackend)


def test_the_protocols_have_the_methods_that_agents_know() -> None:
    assert methods(IRulesStore) == set(EIGHT.split())
    assert methods(ICacheBackend) == {"get", "setex", "delete"}
    assert methods(IBatchStore) == methods(OldBatches)


def test_every_name_of_the_module_is_there_and_documented() -> None:
    assert sorted(persistence.__all__, key=lambda name: (not name.isupper(), name)) == persistence.__all__
    for name in persistence.__all__:
        found = getattr(persistence, name)
        if isinstance(found, type):
            assert found.__doc__
            public = (one for one in vars(found).items() if not one[0].startswith("_") and callable(one[1]))
            assert [method for method, function in public if not function.__doc__] == []
