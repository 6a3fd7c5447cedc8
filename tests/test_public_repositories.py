"""`bluestar_store.repositories`: what a Store's attributes are, by public names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from bluestar_store import CalculationRule, Settings, Store, repositories
from bluestar_store.repositories import CalculationRuleRepository, Reader, Repository

ATTRIBUTES = {
    "ach_configs": "AchConfigRepository",
    "audit": "AuditRepository",
    "batches": "BatchRepository",
    "calculation_rules": "CalculationRuleRepository",
    "claims": "StepClaimRepository",
    "client_configs": "ClientConfigRepository",
    "holds": "PlanHoldRepository",
    "irs_limits": "IrsLimitsRepository",
    "pipelines": "PipelineRepository",
    "plan_keys": "PlanKeyRepository",
    "results": "StepResultRepository",
    "validation_rules": "ValidationRuleRepository",
    "vendor_schemas": "VendorSchemaRepository",
}


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        yield store


def test_every_repository_of_a_store_has_a_public_class(store: Store) -> None:
    found = {name: type(value) for name, value in vars(store).items() if isinstance(value, Reader)}
    assert found == {name: getattr(repositories, public) for name, public in ATTRIBUTES.items()}
    assert set(ATTRIBUTES.values()) <= set(repositories.__all__) <= set(dir(repositories))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_one_is_made_of_a_store_and_is_of_the_same_kind(store: Store, name: str) -> None:
    made = getattr(repositories, ATTRIBUTES[name])(store)
    assert made.mapper is getattr(store, name).mapper


def test_what_one_writes_the_stores_own_reads_and_within_its_unit_of_work(store: Store) -> None:
    rules: CalculationRuleRepository = CalculationRuleRepository(store)
    rule = rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="age * 2"))
    assert store.calculation_rules.get("ACME", "match") == rule
    with store.unit_of_work():
        rules.put(rule.model_copy(update={"formula": "age"}))
        assert store.calculation_rules.get("ACME", "match").formula == "age"
    assert rules.get("ACME", "match").formula == "age"


def test_subclasses_have_public_names_to_read_by(store: Store) -> None:
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
    rules = Repository(store.sessions, store.calculation_rules.mapper)
    found = rules.first(("ACME", "match"), ("GLOBAL", "match"), fresh=True)
    assert found is not None
    assert rules.partitions(("ACME",), fresh=False) == [(found,)]
    assert "calculation-rules" in str(rules.not_found("nothing"))
    assert rules._first(("ACME", "match"), fresh=True) == found  # as release 0.1.0 has it


def test_the_package_is_imported_without_what_its_names_need() -> None:
    code = (
        "import sys, bluestar_store.repositories; print({'pynamodb', 'botocore', 'redis'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"
