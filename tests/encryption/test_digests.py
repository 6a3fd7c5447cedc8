"""Digests of what lies in a plan's partitions take the plan's key: once it is dropped nobody can try numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestar_store import AchConfig, Settings, Store, TableLayout, Trail
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.mapping.canonical import canonical
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.protocols import Delete
from bluestar_store.repositories.digests import scope_of
from bluestar_store.transfer import export, import_, migrate
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, Process

TRAIL = Trail(table="agent-config", partition=f"CLIENT#ACME_{FREQ}")
PLACE = f"agent-config/CLIENT#ACME_{FREQ}/ACH"


def account(store: Store, plan: str = "ACME") -> None:
    store.ach_configs.put(AchConfig(plan_id=plan, pay_freq=FREQ, account_number=ACCOUNT, routing_number=ROUTING))


def digests_of(store: Store) -> tuple[str, str]:
    """That of the account in its trail, and in what a batch pinned."""
    rules = store.batches.history("b1").rules
    told = store.audit.entries(TRAIL)[-1].details or {}
    return str(told["digest_after"]), str(((rules and rules.items) or {})[PLACE])


@pytest.mark.parametrize("records", [False, True], ids=["accounts", "records"])
def test_once_a_plans_key_is_dropped_nobody_can_try_numbers_against_its_digests(
    process: Process, records: bool
) -> None:
    keyed = process(FIRST, encrypt_records=records)
    account(keyed)
    batch = keyed.batches.start("ACME", FREQ, 2026, "b1")
    stored = keyed.ach_configs.get("ACME", FREQ)
    made = digests_of(keyed)
    assert made[0] == made[1] == keyed.plan_snapshot("ACME", FREQ, 2026).item_digests[PLACE]
    assert keyed.batches.verify_rules(batch).unchanged
    assert process(f"{SECOND},{FIRST}").batches.verify_rules(batch).unchanged
    own = keyed.digests.current().scoped(scope_of(ACH_CONFIG, f"CLIENT#ACME_{FREQ}"))
    assert own is not None
    assert made[0].rpartition(":")[2] != own.digest(canonical(stored)).rpartition(":")[2]
    keyed.plan_keys.drop("ACME")
    for store in (keyed, process(FIRST), process()):
        assert store.digests.again(ACH_CONFIG, stored, made[0]) is None
        found = store.batches.verify_rules(batch)
        assert (found.cannot_tell, found.unknown, found.unchanged) == (True, (PLACE,), False)
        assert store.audit.verify(TRAIL) == store.audit.verify("b1") == ()
    account(keyed)
    found = process(FIRST).batches.verify_rules(batch)  # there is another account, and another key
    assert (found.cannot_tell, found.unknown) == (True, (PLACE,))
    assert keyed.batches.verify_rules(keyed.batches.start("ACME", FREQ, 2026, "b2")).unchanged


def test_who_has_no_key_cannot_tell_and_is_told_of_what_else_changed(process: Process) -> None:
    keyed = process(FIRST)
    account(keyed)
    batch = keyed.batches.start("ACME", FREQ, 2026, "b1")
    for without in (process(), process(SECOND)):
        found = without.batches.verify_rules(batch)
        assert (found.cannot_tell, found.unknown) == (True, (PLACE,))
    limits = keyed.irs_limits.get(2026)
    keyed.irs_limits.put(limits.model_copy(update={"source": "changed"}))
    found = process().batches.verify_rules(batch)
    assert (found.cannot_tell, found.changed) == (False, ("irs-limits/YEAR#2026/LIMITS",))
    keyed.ach_configs.delete(keyed.ach_configs.get("ACME", FREQ))
    assert process().batches.verify_rules(batch).went == (PLACE,)


def test_what_was_pinned_before_encryption_still_verifies(process: Process) -> None:
    plain = process()
    account(plain)
    batch = plain.batches.start("ACME", FREQ, 2026, "b1")
    keyed = process(FIRST)
    assert keyed.batches.verify_rules(batch).unchanged
    keyed.encrypt()
    assert process(FIRST).batches.verify_rules(batch).unchanged


def test_what_all_plans_share_takes_globals_key(process: Process) -> None:
    keyed = process(FIRST)
    account(keyed, "DEFAULT")
    batch = keyed.batches.start("ACME", FREQ, 2026, "b1")
    account(keyed, "OTHER")
    keyed.plan_keys.drop("OTHER")
    assert process(FIRST).batches.verify_rules(batch).unchanged
    keyed.plan_keys.drop("GLOBAL")
    assert process(FIRST).batches.verify_rules(batch).unknown == (f"agent-config/CLIENT#DEFAULT_{FREQ}/ACH",)


@pytest.mark.parametrize("plans", [None, ["ACME"]], ids=["all", "a plan"])
def test_an_export_verifies_elsewhere_and_until_the_key_is_dropped_there(
    process: Process, plans: list[str] | None, tmp_path: Path
) -> None:
    source = process(FIRST)
    account(source)
    batch = source.batches.start("ACME", FREQ, 2026, "b1")
    export(source, tmp_path / "out", plans=plans)
    target = process(FIRST, table_suffix="-copy")
    target.create_tables()
    import_(target, tmp_path / "out")
    if plans:
        export(source, tmp_path / "all")
        import_(target, tmp_path / "all", merge=True)
    assert target.batches.verify_rules(batch).unchanged
    target.plan_keys.drop("ACME")
    assert target.batches.verify_rules(batch).cannot_tell
    assert source.batches.verify_rules(batch).unchanged


def test_stores_whose_plans_have_keys_of_their_own_are_compared(process: Process, tmp_path: Path) -> None:
    source = process(FIRST)
    account(source)
    batch = source.batches.start("ACME", FREQ, 2026, "b1")
    for layout in TableLayout:
        settings = Settings(persistence_mode="memory", table_layout=layout, encryption_key=FIRST)
        target = Store(settings, MemoryEngine())
        target.create_tables()
        migrate(source, target, tmp_path / layout)
        assert target.batches.verify_rules(batch).unchanged
        assert target.plan_snapshot("ACME", FREQ, 2026).digest == batch.rules_digest


def test_a_digest_that_names_a_key_that_is_not_there_cannot_be_told(process: Process) -> None:
    keyed = process(FIRST)
    account(keyed)
    batch = keyed.batches.start("ACME", FREQ, 2026, "b1")
    table = keyed.tables.name(keyed.plan_keys.mapper)
    for key in keyed.plan_keys.of_plan("ACME"):
        keyed.engine.write(Delete(table, keyed.plan_keys.mapper.key(key)))
    assert process(FIRST).batches.verify_rules(batch).unknown == (PLACE,)
