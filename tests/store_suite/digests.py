"""Digests that cover what is sensitive: by the store's key, so that none tells an account number to who tries all."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bluestar_store.keys import DEFAULT, Key
from bluestar_store.mapping.canonical import canonical, digest
from bluestar_store.models.audit import AuditEntry, Trail
from bluestar_store.models.batches import BATCH_RULES, BatchState
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.config import ACH_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.digest_keys import CURRENT, PARTITION
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.protocols import Delete, key_of
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.trail import entry_hash
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, RawPut, table, wire

ACH = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="9988776655", routing_number="021000021")
TRAIL = Trail(table="agent-config", partition="CLIENT#ACME_Weekly")
PLACE = "agent-config/CLIENT#ACME_Weekly/ACH"
MADE = "hmac-sha256:"


def fill(store: Store) -> None:
    """What a batch of the plan needs, and its bank account."""
    store.pipelines.replace(DEFAULT, "Weekly", [PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=100)])
    store.irs_limits.put(IrsLimits(year=2026))
    store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", deadline_hour=16))
    store.ach_configs.put(ACH)


def details(entry: AuditEntry) -> Mapping[str, Any]:
    assert entry.details is not None
    return entry.details


def forget_keys(store: Store) -> None:
    """Delete the store's keys, as if the items had been imported without them."""
    name = table(store, ACH_CONFIG)
    for item in store.engine.query(name, PARTITION, consistent=True).items:
        store.engine.write(Delete(name, key_of(item)))
    store.sessions.digests.__init__(lambda: store.engine, store.tables)  # type: ignore[misc]  # as a new process has it


class DigestTests:
    """Of trails, snapshots, pinned rules and results."""

    isolated_transactions = True

    def test_no_digest_of_a_bank_account_is_one_that_anybody_can_make(self, store: Store) -> None:
        fill(store)
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        stored = store.ach_configs.get("ACME", "Weekly", fresh=True)
        rules = store.batches.history("b1").rules
        made = [
            details(store.audit.entries(TRAIL)[-1])["digest_after"],
            store.plan_snapshot("ACME", "Weekly", 2026).item_digests[PLACE],
            (rules.items or {})[PLACE] if rules else "",
        ]
        assert len(set(made)) == 1
        assert made[0].startswith(MADE)
        assert digest(canonical(stored)) not in made[0]
        assert batch.rules_digest == store.plan_snapshot("ACME", "Weekly", 2026).digest
        assert store.batches.verify_rules(batch).unchanged
        for name, other in store.plan_snapshot("ACME", "Weekly", 2026).item_digests.items():
            assert other.startswith(MADE) == (name == PLACE)

    def test_an_attribute_that_is_shown_masked_makes_a_digest_a_keyed_one(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, ACH_CONFIG), wire("CLIENT#ACME_Weekly", "CONFIG", employee_ssn="123456789"))
        raw_put(table(store, ACH_CONFIG), wire("CLIENT#ZED_Weekly", "CONFIG", discard="123456789", ssnRequired="yes"))
        for plan_id, keyed in (("ACME", True), ("ZED", False)):
            store.client_configs.put(ClientConfig(plan_id=plan_id, pay_freq="Weekly", deadline_hour=9))
            entry = store.audit.entries(Trail(table="agent-config", partition=f"CLIENT#{plan_id}_Weekly"))[0]
            for name in ("digest_before", "digest_after"):
                assert details(entry)[name].startswith(MADE) == keyed

    def test_text_that_is_masked_by_its_digits_makes_digests_keyed_ones(self, store: Store) -> None:
        fill(store)
        rule = CalculationRule(plan_id="ACME", calc_type="match", description="as for employee 123-45-6789 since 2019")
        for known in (rule, rule.model_copy(update={"calc_type": "other", "description": "as for 123456789"})):
            store.calculation_rules.put(known)
        first, second = store.audit.entries(Trail(table="calculation-rules", partition="CLIENT#ACME"))
        store.batches.start("ACME", "Weekly", 2026, "b1")
        rules = store.batches.history("b1").rules
        pinned = (rules.items or {}) if rules else {}
        for entry, calc_type, keyed in ((first, "match", True), (second, "other", False)):
            made = details(entry)["digest_after"]
            assert made.startswith(MADE) == keyed
            assert pinned[f"calculation-rules/CLIENT#ACME/CALC#{calc_type}"] == made
            shown = entry.model_copy().read_from(None)
            assert (entry_hash(shown) != entry.hash) == keyed  # by a salt, which is not shown
        assert store.audit.verify(Trail(table="calculation-rules", partition="CLIENT#ACME")) == ()

    def test_a_value_that_is_too_long_to_be_told_is_no_plain_digest_either(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, ACH_CONFIG), wire("CLIENT#ACME_Weekly", "CONFIG", accounts="9988776655" * 500))
        store.client_configs.delete(ClientConfig(plan_id="ACME", pay_freq="Weekly"))
        told = details(store.audit.entries(TRAIL)[0])["changed"]["accounts"]["before"]
        assert told["digest"].startswith(MADE)

    def test_a_change_of_the_account_is_found(self, store: Store) -> None:
        fill(store)
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        store.ach_configs.put(ACH.model_copy(update={"account_number": "9988776656"}))
        found = store.batches.verify_rules(batch)
        assert (found.unchanged, found.changed, found.unknown, found.cannot_tell) == (False, (PLACE,), (), False)

    def test_what_is_pinned_by_plain_digests_still_verifies(self, store: Store, raw_put: RawPut) -> None:
        fill(store)
        now = store.snapshots.contents("ACME", "Weekly", 2026)
        plain = {name: digest(canonical(entity)) for name, (_, entity) in now.items.items()}
        raw_put(
            table(store, BATCH_RULES),
            wire("BATCH#old", "RULES", items={"M": {name: {"S": one} for name, one in plain.items()}}),
        )
        batch = store.batches.put(
            BatchState(batch_id="old", plan_id="ACME", pay_freq="Weekly", year=2026, rules_digest=now.digest_of(plain))
        )
        assert store.batches.verify_rules(batch).unchanged
        store.ach_configs.put(ACH.model_copy(update={"account_number": "9988776656"}))
        assert store.batches.verify_rules(batch).changed == (PLACE,)

    def test_without_its_key_nothing_is_said_to_have_changed(self, store: Store) -> None:
        fill(store)
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        forget_keys(store)
        found = store.batches.verify_rules(batch)
        assert (found.changed, found.came, found.went) == ((), (), ())
        assert (found.unchanged, found.cannot_tell, found.unknown) == (False, True, (PLACE,))
        store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", deadline_hour=9))
        found = store.batches.verify_rules(batch)
        assert (found.changed, found.cannot_tell) == (("agent-config/CLIENT#ACME_Weekly/CONFIG",), False)

    @pytest.mark.every_engine
    def test_a_store_has_one_key_whoever_asks_first(self, store: Store) -> None:
        askers = [Digests(lambda: store.engine, store.tables) for _ in range(6)]
        with ThreadPoolExecutor(6) as threads:
            keys = list(threads.map(lambda asker: asker.current(), askers))
        if self.isolated_transactions:
            assert len({key.key for key in keys}) == 1
        items = store.engine.query(table(store, ACH_CONFIG), PARTITION, consistent=True).items
        assert len(items) == 2
        assert keys[0].key not in repr(keys).encode()

    def test_a_key_that_was_deleted_is_followed_by_another_one(self, store: Store, raw_get: RawGet) -> None:
        fill(store)
        first = store.digests.current()
        store.engine.write(Delete(table(store, ACH_CONFIG), first.place))
        second = Digests(lambda: store.engine, store.tables).current()
        assert second.id != first.id
        pointer = raw_get(table(store, ACH_CONFIG), Key(*CURRENT)) or {}
        assert pointer["key_id"] == {"S": second.id}
        assert Digests(lambda: store.engine, store.tables).current() == second

    @pytest.mark.parametrize(
        "secret",
        [{"employee": {"ssn": "123-45-6789"}, "amount": "1"}, {"text": "employee 123-45-6789 paid"}],
        ids=["by its name", "by its digits"],
    )
    def test_the_hash_beside_masked_details_tells_nothing(self, store: Store, secret: dict[str, Any]) -> None:
        for _ in range(2):
            store.audit.append("b1", action="pay", details=secret)
        store.audit.append("b1", action="look", details={"amount": "1"})
        assert store.audit.verify("b1") == ()
        one, two, plain = store.audit.entries("b1")
        assert details(one) == secret
        for entry in (one, two):
            known = entry.model_copy().read_from(None)  # all that is shown, and the right number
            assert entry_hash(known) != entry.hash
            assert entry_hash(entry) == entry.hash
        assert entry_hash(plain.model_copy().read_from(None)) == plain.hash

    @pytest.mark.parametrize(
        ("result", "keyed"),
        [({"ssn": "123-45-6789"}, True), ({"note": "123-45-6789 left"}, True), ({"amount": "1"}, False)],
    )
    def test_the_digest_beside_a_masked_result_tells_nothing(
        self, store: Store, result: dict[str, Any], keyed: bool
    ) -> None:
        saved = store.results.save("b1", 100, result)
        assert (saved.digest or "").startswith(MADE) == keyed
        assert store.results.save("b1", 100, result) == saved
