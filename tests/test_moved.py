"""What lay elsewhere in release 0.1.0 is still found there, for one release."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from bluestar_store import CalculationRule, Settings, Store, extending, seeding
from bluestar_store.checks import fields
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import FORMULA
from bluestar_store.moved_modules import MOVED
from bluestar_store.rulesets import comparing, loading


@pytest.mark.parametrize("old", MOVED)
def test_a_module_is_found_by_its_old_name_and_warns(old: str) -> None:
    module = import_module(f"bluestar_store.{MOVED[old]}")
    import_module("bluestar_store")
    with pytest.warns(DeprecationWarning, match=f"is bluestar_store.{MOVED[old]} now"):
        assert _imported_anew(f"bluestar_store.{old}") is module


def _imported_anew(name: str) -> object:

    sys.modules.pop(name, None)
    return import_module(name)


def test_an_unknown_module_is_still_an_import_error() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"bluestar_store\.models\.nothing"):
        import_module("bluestar_store.models.nothing")


def test_a_renamed_name_warns_and_is_what_it_is_now() -> None:
    with pytest.warns(DeprecationWarning, match="mapper:Mapper|Mapper now"):
        assert extending.Kind is Mapper
    with Store.open(Settings(persistence_mode="memory")) as store:
        with pytest.warns(DeprecationWarning, match="`kind` is `mapper` now"):
            found = store.calculation_rules.kind
        assert found is store.calculation_rules.mapper
        assert found.entity is CalculationRule


def test_renamed_methods_warn_their_caller_and_do_what_they_do_now() -> None:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        with pytest.warns(DeprecationWarning, match="`remains` is `stored_steps` now") as warned:
            assert store.pipelines.remains("ACME", "Weekly") == store.pipelines.stored_steps("ACME", "Weekly") == ()
        assert warned[0].filename == __file__
        with pytest.warns(DeprecationWarning, match="`one_for_all` is `bulk_entry` now") as warned:
            block = store.audit.one_for_all("B1", action="load", details={})
        assert warned[0].filename == __file__
        with block:
            store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        assert [entry.action for entry in store.audit.entries("B1")] == ["load"]


def test_the_check_of_formulas_is_with_the_rules_whose_limits_it_knows() -> None:
    with pytest.warns(DeprecationWarning, match="calculation.FORMULA now"):
        assert fields.FORMULA is FORMULA


def test_modules_that_are_called_like_a_function_of_seeding_are_found_and_leave_it_alone() -> None:
    load, compare = (import_module(f"bluestar_store.seeding.{name}") for name in ("load", "compare"))
    assert (load, compare) == (loading, comparing)
    assert (seeding.load, seeding.compare) == (loading.load, comparing.compare)
    with pytest.warns(DeprecationWarning, match="is bluestar_store.rulesets.loading.apply_difference now"):
        assert load.settle is loading.apply_difference


@pytest.mark.parametrize(
    ("module", "old", "now"),
    [
        ("repositories.audit", "Audit", "AuditRepository"),
        ("repositories.batches", "Batches", "BatchRepository"),
        ("repositories.calculation_rules", "CalculationRules", "CalculationRuleRepository"),
        ("repositories.holds", "Holds", "PlanHoldRepository"),
        ("repositories.irs_limits", "IrsLimitsByYear", "IrsLimitsRepository"),
        ("repositories.pipelines", "Pipelines", "PipelineRepository"),
        ("repositories.steps", "Claims", "StepClaimRepository"),
        ("repositories.steps", "Results", "StepResultRepository"),
        ("repositories.validation_rules", "ValidationRules", "ValidationRuleRepository"),
        ("repositories.vendor_schemas", "VendorSchemas", "VendorSchemaRepository"),
        ("aio.repositories", "AsyncIrsLimitsByYear", "AsyncIrsLimits"),
    ],
)
def test_a_repository_has_the_name_of_its_class_of_the_last_release(module: str, old: str, now: str) -> None:
    home = import_module(f"bluestar_store.{module}")
    with pytest.warns(DeprecationWarning, match=rf"{old} is bluestar_store\.{module}\.{now} now"):
        assert getattr(home, old) is getattr(home, now)
