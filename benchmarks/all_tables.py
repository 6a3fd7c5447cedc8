"""One item in each of the eight tables, and a read of each: with the Store, and with eight PynamoDB Models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from benchmarks import pynamodb_models as models
from benchmarks.data import MATCH, PLAN, rule, step
from bluestar_store import ClientConfig, IrsLimits, Settings, Store, ValidationRule, VendorSchema
from bluestar_store.models.registry import KINDS
from bluestar_store.store import tables_of

FREQ, YEAR, CATEGORY, VENDOR, BATCH, HOLD = "Weekly", 2026, "SSN", "V-1", "B-1", "H-1"
COLUMNS = ("SSN", "Gross Pay")
PRINT = VendorSchema.fingerprint_of(COLUMNS)
MODELS = {
    "processing-pipeline": models.Step,
    "validation-rules": models.Validation,
    "calculation-rules": models.Rule,
    "irs-limits": models.Limits,
    "agent-config": models.Config,
    "vendor-schema-mapping": models.Schema,
    "batch-state": models.Hold,
    "processing-metadata": models.Batch,
}
ANSWERS = ["validate_contribution_limits_1", "No SSN", 4, 24500, "Fidelity", list(COLUMNS), "Missing data", "RECEIVED"]
"""What is looked at in the answers, a value a table."""


def fill(store: Store) -> None:
    """Tables, and the items."""
    store.create_tables()
    store.pipelines.replace(PLAN, FREQ, [step(PLAN, FREQ, 1)])
    store.validation_rules.put(ValidationRule(category=CATEGORY, number=1, field="ssn", message="No SSN"))
    store.calculation_rules.put(rule(PLAN))
    store.irs_limits.put(IrsLimits(year=YEAR, max_401k=Decimal(24500)))
    store.client_configs.put(ClientConfig(plan_id=PLAN, pay_freq=FREQ, custodian="Fidelity", deadline_hour=16))
    created = datetime(2026, 1, 2, tzinfo=UTC)
    schema = VendorSchema(vendor_id=VENDOR, fingerprint=PRINT, columns=COLUMNS, created=created)
    store.vendor_schemas.put(schema)
    store.batches.start(PLAN, FREQ, YEAR, BATCH)
    store.holds.place(PLAN, "Missing data", hold_id=HOLD)


def read_with_store(store: Store) -> list[Any]:
    """One call a table."""
    return [
        store.pipelines.steps(PLAN, FREQ)[0].subroutine_name,
        store.validation_rules.for_category(CATEGORY)[0].message,
        store.calculation_rules.get(PLAN, MATCH).max_pct,
        store.irs_limits.get(YEAR).max_401k,
        store.client_configs.get(PLAN, FREQ).custodian,
        list(store.vendor_schemas.get(VENDOR, PRINT).columns),
        store.holds.get(PLAN, HOLD).reason,
        store.batches.get(BATCH).status,
    ]


def bound_models(settings: Settings) -> list[Any]:
    """A Model for each table; each has a connection of its own, as PynamoDB's Models have."""
    names = {mapper.table: tables_of(settings).name(mapper) for mapper in KINDS}
    return [models.bound(model, settings, names[table]) for table, model in MODELS.items()]


def read_with_models(bound: Sequence[Any]) -> list[Any]:
    """The same reads."""
    steps, validation, rules, limits, configs, schemas, holds, batches = bound
    return [
        next(steps.query(f"CLIENT#{PLAN}_{FREQ}", steps.SK.startswith("STEP#"))).subroutineName,
        next(validation.query(f"CATEGORY#{CATEGORY}")).message,
        rules.get(f"CLIENT#{PLAN}", f"CALC#{MATCH}").max_pct,
        limits.get(f"YEAR#{YEAR}", "LIMITS").max_401k,
        configs.get(f"CLIENT#{PLAN}_{FREQ}", "CONFIG").custodian,
        list(schemas.get(f"VENDOR#{VENDOR}", f"SCHEMA#{PRINT}").columns),
        holds.get(f"PLAN#{PLAN}", f"HOLD#{HOLD}").reason,
        batches.get(f"BATCH#{BATCH}", "STATE").status,
    ]
