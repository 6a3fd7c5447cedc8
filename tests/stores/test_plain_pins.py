"""Beside release 0.1.0: a setting lets batches pin plain digests, which it compares, and nothing else."""

from __future__ import annotations

from bluestar_store import AchConfig, Settings, Store, Trail, seeding
from bluestar_store.mapping.canonical import canonical, digest

ACH = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="9988776655")
PLACE = "agent-config/CLIENT#ACME_Weekly/ACH"


def test_batches_pin_what_0_1_0_compares_and_verify_with_the_setting_and_without_it() -> None:
    with Store.open(Settings(persistence_mode="memory", plain_pins=True)) as beside:
        beside.create_tables()
        seeding.load(beside, seeding.baseline())
        stored = beside.ach_configs.put(ACH)
        old = beside.batches.start("ACME", "Weekly", 2026, "old")
        items = beside.plan_snapshot("ACME", "Weekly", 2026).item_digests
        assert items[PLACE] == digest(canonical(stored))
        (entry,) = beside.audit.entries(Trail(table="agent-config", partition="CLIENT#ACME_Weekly"))
        assert (entry.details or {})["digest_after"].startswith("hmac-sha256:")  # trails are compared by nobody
        alone = Store(Settings(persistence_mode="memory"), beside.engine)
        new = alone.batches.start("ACME", "Weekly", 2026, "new")
        assert new.rules_digest != old.rules_digest
        for store in (beside, alone):
            assert store.batches.verify_rules(old).unchanged
            assert store.batches.verify_rules(new).unchanged
