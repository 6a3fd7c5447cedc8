"""What a process of either release is told to do: functions of a Store that take and give JSON.

Every release has to know all that is called here, so nothing newer than the oldest partner's API may be used.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import bluestar_store
from bluestar_store import (
    AchConfig,
    BatchStatus,
    CalculationRule,
    ClientConfig,
    ConflictError,
    IrsLimits,
    PipelineStep,
    RuleNotFoundError,
    Settings,
    Store,
    Trail,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.doctor import examine
from bluestar_store.documents import get_store
from bluestar_store.seeding import baseline, compare, load

with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # the names of 0.1.0, where these run too
    from bluestar_store.seeding.export import export  # type: ignore[import-not-found]
    from bluestar_store.seeding.importing import import_  # type: ignore[import-not-found]

FREQ, YEAR, STEPS = "Weekly", 2026, 3


def opened(settings: Mapping[str, Any]) -> Store:
    """For `open`."""
    return Store.open(Settings(**settings))


def origin(store: Store) -> str:
    """Where the library was imported from."""
    return str(bluestar_store.__file__)


# ------------------------------------------------------------------------------------------------------------- rules


def put_rule(store: Store, plan: str, max_pct: int) -> int | None:
    """Over what there is, as it was read; its version."""
    known = current_rule(store, plan)
    fresh = CalculationRule(plan_id=plan, calc_type="match", max_pct=Decimal(max_pct))
    changed = known.model_copy(update={"max_pct": Decimal(max_pct)}) if known else fresh
    return store.calculation_rules.put(changed).version


def current_rule(store: Store, plan: str) -> CalculationRule | None:
    found = store.calculation_rules.current([CalculationRule(plan_id=plan, calc_type="match")])
    return next(iter(found.values()), None)


def rule(store: Store, plan: str, fresh: bool = False) -> int | None:
    """What the plan's rule says, through the cache; None where there is none."""
    try:
        return int(store.calculation_rules.get(plan, "match", fresh=fresh).max_pct or 0)
    except RuleNotFoundError:
        return None


def rules_of(store: Store, plan: str) -> dict[str, int]:
    """All of the plan's, GLOBAL's under them, through the cache."""
    return {name: int(found.max_pct or 0) for name, found in store.calculation_rules.all(plan).items()}


def delete_rule(store: Store, plan: str) -> None:
    found = current_rule(store, plan)
    assert found is not None
    store.calculation_rules.delete(found)


def channel(store: Store) -> bool:
    """Whether it hears what others write."""
    return store.cache.stats().channel


def put_all_sorts(store: Store, plan: str, text: str) -> None:
    """One of each kind of rules, in one unit of work."""
    with store.unit_of_work() as uow:
        uow.validation_rules.put(ValidationRule(category="SSN", plan_id=plan, number=7, message=text))
        uow.client_configs.put(ClientConfig(plan_id=plan, pay_freq=FREQ, custodian=text))
        uow.irs_limits.put(IrsLimits(year=YEAR, source=text))
        uow.vendor_schemas.put(VendorSchema(vendor_id=plan, fingerprint="f", columns=(text,)))


def all_sorts(store: Store, plan: str) -> list[object]:
    """What `put_all_sorts` put, through the cache."""
    rules = store.validation_rules.for_category("SSN", plan)
    schemas = store.vendor_schemas.for_plan(plan, plan, FREQ)
    return [
        *(one.message for one in rules if one.number == 7),
        store.client_configs.get(plan, FREQ).custodian,
        store.irs_limits.get(YEAR).source,
        *(schemas.columns or ()),
    ]


def plans(store: Store) -> list[str]:
    return list(store.plans())


# --------------------------------------------------------------------------------------------------------- pipelines


def replace_pipeline(store: Store, plan: str, agent: str, count: int) -> None:
    """Steps of an agent's, going by those that are there."""
    known = store.pipelines.steps(plan, FREQ, fallback=False, fresh=True)
    steps = [PipelineStep(plan_id=plan, pay_freq=FREQ, step_order=100 * n, agent=agent) for n in range(1, count + 1)]
    store.pipelines.replace(plan, FREQ, steps, known=known)


def pipeline(store: Store, plan: str) -> list[list[object]]:
    return [[step.step_order, step.agent] for step in store.pipelines.steps(plan, FREQ)]


def remove_pipeline(store: Store, plan: str) -> None:
    store.pipelines.remove(plan, FREQ)


# ----------------------------------------------------------------------------------------------------------- batches


def prepare(store: Store, plan: str) -> None:
    """What a batch needs."""
    store.irs_limits.put(IrsLimits(year=YEAR))
    replace_pipeline(store, plan, "A", STEPS)
    put_rule(store, plan, 5)


def start(store: Store, plan: str, batch_id: str) -> str | None:
    """Its rules' digest."""
    return store.batches.start(plan, FREQ, YEAR, batch_id).rules_digest


def are_rules_unchanged(store: Store, batch_id: str) -> bool:
    return store.batches.verify_rules(store.batches.get(batch_id)).unchanged


def run(store: Store, batch_id: str) -> None:
    store.batches.advance(store.batches.get(batch_id), status=BatchStatus.RUNNING)


def do_step(store: Store, batch_id: str, step: int, worker: str) -> None:
    """Claim it, keep its result, move the batch on and note it."""
    batch = store.batches.get(batch_id)
    claim = store.claims.claim(batch, step, worker, 600)
    with store.unit_of_work() as uow:
        uow.results.save(batch, step, {"worker": worker, "pct": "1.5"}, claim)
        uow.batches.advance(batch, step=step, claim=claim)
        uow.audit.append(batch_id, actor=worker, action=f"step {step}", details={"number": step})
    store.claims.release(claim)


def claim(store: Store, batch_id: str, step: int, worker: str) -> int | None:
    """Its fencing number."""
    return store.claims.claim(batch_id, step, worker, 600).fence


def finish(store: Store, batch_id: str, status: str) -> None:
    store.batches.advance(store.batches.get(batch_id), status=BatchStatus(status))


def history(store: Store, batch_id: str) -> dict[str, Any]:
    found = store.batches.history(batch_id)
    return {
        "status": found.state.status,
        "step": found.state.current_step,
        "results": [[one.step, dict(one.result or {})["worker"]] for one in found.results],
        "audit": [one.action for one in found.audit],
        "digest": found.rules.digest if found.rules else None,
    }


def batches_of(store: Store, plan: str) -> list[str]:
    return [batch.batch_id for batch in store.batches.for_plan(plan)]


# --------------------------------------------------------------------------------------------------- holds and trails


def place(store: Store, plan: str, hold_id: str) -> None:
    store.holds.place(plan, "Missing data", hold_id=hold_id)


def release(store: Store, plan: str, hold_id: str) -> None:
    store.holds.release(plan, hold_id, released_by="A")


def open_holds(store: Store, plan: str) -> list[str]:
    return [hold.hold_id for hold in store.holds.open(plan)]


def append(store: Store, trail: str, action: str) -> None:
    store.audit.append(trail, action=action, details={"number": 1, "amount": "1.50"})


def actions(store: Store, trail: str) -> list[str | None]:
    return [entry.action for entry in store.audit.entries(trail)]


def faults(store: Store, trail: str) -> list[str]:
    return [str(fault) for fault in store.audit.verify(trail)]


def faults_of_rules(store: Store, plan: str) -> list[str]:
    return [str(fault) for fault in store.audit.verify(Trail(table="calculation-rules", partition=f"CLIENT#{plan}"))]


def actions_of_rules(store: Store, plan: str) -> list[str | None]:
    return [one.action for one in store.audit.entries(Trail(table="calculation-rules", partition=f"CLIENT#{plan}"))]


def work_at_once(store: Store, name: str, times: int) -> int:
    """Change one rule and append to one trail so often, against whoever does the same; how often it was refused."""
    refused = 0
    for number in range(times):
        append(store, "race", f"{name} {number}")
        while True:
            try:
                put_rule(store, "RACE", number)
                break
            except ConflictError:
                refused += 1
    return refused


def version(store: Store, plan: str) -> int | None:
    found = current_rule(store, plan)
    return found.version if found else None


# ------------------------------------------------------------------------------------------------------ whole stores


def create(store: Store, upgrade: bool = False) -> list[str]:
    """The tables that had to be made."""
    return store.create_tables(upgrade=upgrade)


def seed(store: Store) -> list[int]:
    """How much of the baseline it added, and how much differs and was left alone."""
    report = load(store, baseline())
    return [len(report.added), len(report.left_alone)]


def differences(store: Store) -> int:
    """How much of the store is not as the baseline says."""
    return sum(str(entry.action) != "same" for entry in compare(store, baseline()).entries)


def complaints(store: Store) -> list[str]:
    """What the doctor says that is more than information."""
    return [f"{one.check}: {one.what}" for one in examine(store) if str(one.severity) != "info"]


def start_with_result(store: Store, batch_id: str, text: str) -> None:
    store.results.save(batch_id, 100, {"note": text})


def put_text(store: Store, plan_id: str, text: str) -> None:
    store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="text", description=text))


def text(store: Store, plan_id: str) -> str | None:
    return store.calculation_rules.get(plan_id, "text", fresh=True).description


def export_to(store: Store, folder: str) -> int:
    """How many items."""
    return int(export(store, Path(folder)).items)


def import_from(store: Store, folder: str, merge: bool = False) -> None:
    import_(store, Path(folder), merge=merge)


def items(store: Store) -> list[list[str]]:
    """The keys of everything, by table."""
    return sorted(
        [spec.name, item["PK"]["S"], item["SK"]["S"]]
        for spec in store.tables.specs()
        for item in store.engine.scan(spec.name, consistent=True).items
    )


# --------------------------------------------------------------------------------------------------------- documents


def create_document(store: Store, table: str, key: str, fields: dict[str, Any]) -> None:
    get_store(table, "orderId", settings=store.settings).create({"orderId": key, **fields})


def update_document(store: Store, table: str, key: str, fields: dict[str, Any]) -> None:
    get_store(table, "orderId", settings=store.settings).update_fields(key, fields)


def document(store: Store, table: str, key: str) -> Any:
    return get_store(table, "orderId", settings=store.settings).get(key)


def delete_document(store: Store, table: str, key: str) -> None:
    get_store(table, "orderId", settings=store.settings).soft_delete(key)


def documents(store: Store, table: str) -> list[Any]:
    return sorted(found["orderId"] for found in get_store(table, "orderId", settings=store.settings).list())


# --------------------------------------------------------------------------------------------------------- documents


def change_document(store: Store, value: str) -> list[dict[str, Any]]:
    """Create it, or set its value and a field of that name; what is there then, without times."""
    documents = get_store(f"orders{store.settings.table_suffix}", "id", settings=store.settings)
    if documents.get("a") is None:
        documents.create({"id": "a", "value": value})
    else:
        documents.update_fields("a", {"value": value, value: True})
    return [
        {name: told for name, told in found.items() if name not in ("created", "modified")}
        for found in documents.list()
    ]


# ------------------------------------------------------------------------------------------------------ bank accounts


def put_account(store: Store, plan: str, number: str) -> None:
    """Over whatever is there."""
    store.ach_configs.put(AchConfig(plan_id=plan, pay_freq=FREQ, account_number=number))


def account(store: Store, plan: str) -> str | None:
    return store.ach_configs.get(plan, FREQ, fresh=True).account_number
