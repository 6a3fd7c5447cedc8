"""How agents use the library, as mypy in strict mode has to understand it. Checked, never run.

The first part is the design's own example, as far as it exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_type
from uuid import uuid4

from bluestar_store import (
    ABSENT,
    ANY,
    AchConfig,
    BatchState,
    BatchStatus,
    CalculationRule,
    ClientConfig,
    Entity,
    IrsLimits,
    PipelineStep,
    PlanHold,
    PlanSnapshot,
    RuleNotFoundError,
    Scope,
    Settings,
    StepClaim,
    StepResult,
    Store,
    ValidationRule,
    VendorSchema,
    VersionConflictError,
    __version__,
)
from bluestar_store.documents import DynamoStore, FileStore, PynamoStore, export_documents, get_store
from bluestar_store.extending import Configs, Repository
from bluestar_store.models.calculation import CalculationRuleModel
from bluestar_store.protocols import Engine, TableStatus
from tests.own_kinds import PAY_CALENDAR, PAYROLL_CONFIG, PayCalendar, PayCalendars, PayrollConfig


def what_the_readme_shows() -> None:
    store = Store.open()

    rule = store.calculation_rules.get("ACME", "match")
    assert_type(__version__, str)
    assert_type(rule, CalculationRule)
    assert_type(rule.formula, str | None)
    assert_type(rule.max_pct, Decimal | None)
    assert_type(rule.scope, Scope)
    assert_type(store.calculation_rules.get("ACME", "match", fresh=True), CalculationRule)
    assert_type(store.pipelines.steps("ACME", "BiWeeklyFri"), tuple[PipelineStep, ...])
    assert_type(store.validation_rules.for_category("SSN", plan_id="ACME"), tuple[ValidationRule, ...])
    assert_type(store.irs_limits.get(2026).max_401k, Decimal | None)


def opened_with_settings() -> None:
    with Store.open(Settings(table_suffix="-dev")) as store:
        assert_type(store, Store)
        assert_type(store.engine, Engine)
        assert_type(store.settings, Settings)
        assert_type(store.create_tables(upgrade=True), list[str])
        assert_type(store.describe_tables(), tuple[TableStatus, ...])
        assert_type(store.bind(CalculationRuleModel), type[CalculationRuleModel])


def every_question(store: Store) -> None:
    assert_type(store.calculation_rules.all("ACME"), Mapping[str, CalculationRule])
    assert_type(store.validation_rules.at_level("SSN", "ACME"), tuple[ValidationRule, ...])
    assert_type(store.irs_limits.all(), tuple[IrsLimits, ...])
    assert_type(store.client_configs.get("ACME", "Weekly"), ClientConfig)
    assert_type(store.ach_configs.get("ACME", "Weekly", fallback=False), AchConfig)
    assert_type(store.vendor_schemas.match("ADP", ["SSN", "Gross pay"]), VendorSchema)
    assert_type(store.vendor_schemas.for_plan("ADP", "ACME", "Weekly"), VendorSchema)
    assert_type(store.holds.open("ACME"), tuple[PlanHold, ...])
    assert_type(store.batches.for_plan("ACME", limit=20, cursor=None).batches, tuple[BatchState, ...])
    assert_type(store.results.get("b1", 100), StepResult)
    assert_type(store.claims.for_batch("b1"), tuple[StepClaim, ...])
    assert_type(store.plans(), tuple[str, ...])
    assert_type(store.categories(), tuple[str, ...])
    assert_type(store.vendors(), tuple[str, ...])
    assert_type(store.overrides("ACME"), tuple[Entity, ...])

    snapshot = store.plan_snapshot("ACME", "Weekly", 2026)
    assert_type(snapshot, PlanSnapshot)
    assert_type(snapshot.digest, str)
    assert_type(snapshot.client_config, ClientConfig | None)
    assert_type(snapshot.validation_rules, Mapping[str, tuple[ValidationRule, ...]])


def writing(store: Store, batch: BatchState) -> None:
    rule = CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal("4.5"))
    stored = store.calculation_rules.put(rule)
    assert_type(stored, CalculationRule)
    assert_type(stored.version, int | None)
    assert_type(stored.extra, Mapping[str, Any])
    try:
        store.calculation_rules.put(stored.model_copy(update={"formula": None}))
        store.calculation_rules.put(rule, expected=ABSENT, actor="pat")
        store.calculation_rules.delete(rule, expected=ANY)
        store.calculation_rules.delete(rule, expected=3)
    except VersionConflictError as error:
        assert_type(error.found, int | None)
    except RuleNotFoundError as error:
        assert_type(error.args, tuple[Any, ...])

    running = store.batches.put(batch.model_copy(update={"status": BatchStatus.RUNNING}))
    assert_type(running.status, BatchStatus | None)
    assert_type(running.created, datetime | None)

    steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100, agent="IDP")]
    assert_type(store.pipelines.replace("ACME", "Weekly", steps, actor="pat"), tuple[PipelineStep, ...])


def documents() -> None:
    orders = get_store("customer-orders", "orderId", uuid4, indexes=("status",))
    stores: list[DynamoStore] = [orders, FileStore("customers", "id"), PynamoStore("customers", "id")]
    for one in stores:
        assert_type(one.list(), list[dict[str, Any]])
        assert_type(one.get("A1"), dict[str, Any] | None)
        assert_type(one.create({"total": Decimal("9.10")}), dict[str, Any])
        one.update_fields("A1", {"status": "paid"})
        one.soft_delete("A1", soft_field="archived")
    assert_type(orders.find("status", "paid"), list[dict[str, Any]])
    assert_type(export_documents([orders], "orders.json"), dict[str, int])


def kinds_of_ones_own(store: Store) -> None:
    assert_type(store.repository(PAYROLL_CONFIG, Configs), Configs[PayrollConfig])
    assert_type(store.repository(PAYROLL_CONFIG, Configs).get("ACME", "Weekly").forfeiture_pct, Decimal | None)
    assert_type(store.repository(PAY_CALENDAR, PayCalendars), PayCalendars)
    assert_type(store.repository(PAY_CALENDAR), Repository[PayCalendar])


def mistakes_that_the_type_checker_finds(store: Store) -> None:
    # Each ignore below must be needed: mypy reports one that is not.
    rule = store.calculation_rules.get("ACME", "match")
    rule.formula = "x"  # type: ignore[misc]  # entities are frozen
    rule.no_such_field  # type: ignore[attr-defined]  # noqa: B018 the access is the point
    CalculationRule(plan_id="ACME")  # type: ignore[call-arg]  # calc_type is needed
    CalculationRule(plan_id="ACME", calc_type="match", max_pct=1.5)  # type: ignore[arg-type]  # floats are not exact
    store.calculation_rules.put(IrsLimits(year=2026))  # type: ignore[arg-type]  # another repository's entity
    store.calculation_rules.put(rule, None, "pat")  # type: ignore[call-arg]  # the actor is given by name
    store.irs_limits.get("2026")  # type: ignore[arg-type]  # a year is a number
    store.pipelines.delete(rule)  # type: ignore[attr-defined]  # steps are taken away with replace
