"""Whole results and audit details, and dropping a plan's key."""

from __future__ import annotations

import pytest

from bluestar_store import (
    AchConfig,
    ConfigurationError,
    EncryptedValueError,
    ResultConflictError,
    Settings,
    Store,
    Trail,
)
from bluestar_store.encryption.plan_keys import KEPT_SECONDS
from bluestar_store.errors import PlanKeyNotFoundError
from bluestar_store.keys import Key
from bluestar_store.protocols import Put
from bluestar_store.testing import FrozenClock
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, SSN, Process, all_items, item_at

RESULT = {"people": [{"ssn": SSN, "amount": number} for number in range(100)]}
KEYS = Trail(table="agent-config", partition="PLANKEY#ACME")


@pytest.fixture
def keyed(process: Process) -> Store:
    return process(FIRST, encrypt_records=True)


def work(store: Store, batch_id: str = "b1", plan: str = "ACME") -> None:
    """A batch with entries and a result, and a bank account."""
    with store.unit_of_work() as unit:
        unit.batches.start(plan, FREQ, 2026, batch_id=batch_id)
        unit.audit.append(batch_id, action="begun", actor="pat", details={"ssn": SSN})
    store.audit.append(batch_id, action="checked", details={"ssn": SSN, "note": "x" * 3000})
    store.results.save(batch_id, 100, RESULT)
    store.ach_configs.put(AchConfig(plan_id=plan, pay_freq=FREQ, account_number=ACCOUNT, routing_number=ROUTING))


def test_results_and_details_are_ciphertext_and_nothing_on_disk_tells_them(process: Process, keyed: Store) -> None:
    work(keyed)
    on_disk = str(all_items(keyed))
    for secret in (SSN, ACCOUNT, ROUTING):
        assert secret not in on_disk
    assert keyed.results.get("b1", 100).result == keyed.results.save("b1", 100, RESULT).result
    assert [(entry.action, (entry.details or {})["ssn"]) for entry in keyed.audit.entries("b1")] == [
        ("begun", SSN),
        ("checked", SSN),
    ]
    with pytest.raises(ResultConflictError):
        keyed.results.save("b1", 100, {"people": []})
    assert process(FIRST).results.get("b1", 100).result  # one that encrypts no records reads them


def test_the_digest_of_an_encrypted_result_is_keyed(process: Process, keyed: Store) -> None:
    work(keyed)
    work(process(FIRST), batch_id="b2")
    digests = [item_at(keyed, f"BATCH#{name}", "RESULT#0100")["digest"]["S"] for name in ("b1", "b2")]
    assert digests[0].startswith("hmac-sha256:")
    assert digests[1] not in digests[0]


def test_a_trail_verifies_with_the_key_without_it_and_with_another_one(process: Process, keyed: Store) -> None:
    work(keyed)
    for store in (keyed, process(), process(SECOND)):
        assert store.audit.verify("b1") == ()
    without = process()
    with pytest.raises(EncryptedValueError, match="has no key"):
        without.audit.entries("b1")
    assert [(entry.action, entry.actor) for entry in without.audit.entries("b1", details=False)] == [
        ("begun", "pat"),
        ("checked", None),
    ]
    without.audit.append("b1", action="plain", details={"n": 1})
    keyed.audit.append("b1", action="encrypted", details={"n": 2})
    assert [len(store.audit.verify("b1")) for store in (keyed, without)] == [0, 0]


@pytest.mark.parametrize("what", ["another ciphertext", "plain text", "no details"])
def test_details_that_were_changed_are_found_by_who_has_no_key(process: Process, keyed: Store, what: str) -> None:
    work(keyed)
    table = keyed.tables.name(keyed.audit.mapper)
    item = item_at(keyed, "BATCH#b1", "AUDIT#00000001")
    details = {
        "another ciphertext": item_at(keyed, "BATCH#b1", "AUDIT#00000002")["details"],
        "plain text": {"M": {"ssn": {"S": SSN}}},
    }.get(what)
    changed = {name: value for name, value in item.items() if name != "details"}
    keyed.engine.write(Put(table, changed | ({"details": details} if details else {})))
    for store in (keyed, process()):
        assert [fault.seq for fault in store.audit.verify("b1")] == [1]


def test_what_a_dropped_key_encrypted_is_unreadable_for_ever_and_its_trails_verify(
    process: Process, keyed: Store
) -> None:
    work(keyed)
    work(keyed, batch_id="other", plan="OTHER")
    (dropped,) = keyed.plan_keys.drop("ACME", actor="privacy officer")
    assert dropped.wrapped is None
    for store in (keyed, process(FIRST), process(f"{SECOND},{FIRST}")):
        with pytest.raises(EncryptedValueError, match=r"key of plan 'ACME' that was dropped on 20..-"):
            store.ach_configs.get("ACME", FREQ)
        with pytest.raises(EncryptedValueError, match=r"key of plan 'ACME' that was dropped on 20..-"):
            store.results.get("b1", 100)
        assert store.audit.verify("b1") == ()
        history = store.batches.history("b1")
        assert [(entry.action, entry.details, entry.unreadable) for entry in history.audit] == [
            ("begun", None, ("details",)),
            ("checked", None, ("details",)),
        ]
        assert history.audit == store.audit.entries("b1")
        assert [(found.result, found.unreadable) for found in history.results] == [(None, ("result",))]
        assert store.batches.get("b1").plan_id == "ACME"
        assert store.results.get("other", 100).result
        assert store.ach_configs.get("OTHER", FREQ).account_number == ACCOUNT
    (entry,) = keyed.audit.entries(KEYS)
    assert (entry.actor, entry.action, entry.details) == ("privacy officer", "drop-key", {"keys": (dropped.key_id,)})
    assert keyed.audit.verify(KEYS) == ()
    with pytest.raises(PlanKeyNotFoundError, match="'ACME' has no key"):
        keyed.plan_keys.drop("ACME")


def test_another_process_uses_a_dropped_key_for_so_long_and_no_longer(keyed: Store) -> None:
    work(keyed)
    clock = FrozenClock()
    other = Store(keyed.settings, keyed.engine, clock=clock)
    assert other.results.get("b1", 100).result
    keyed.plan_keys.drop("ACME")
    clock.advance(KEPT_SECONDS - 1)
    assert other.results.get("b1", 100).result
    clock.advance(1)
    with pytest.raises(EncryptedValueError, match="was dropped"):
        other.results.get("b1", 100)


def test_a_plan_whose_key_was_dropped_begins_anew_with_another_one(process: Process, keyed: Store) -> None:
    work(keyed)
    keyed.plan_keys.drop("ACME")
    keyed.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number="5", routing_number="021000021"))
    assert process(FIRST).ach_configs.get("ACME", FREQ).account_number == "5"
    assert [key.dropped is None for key in keyed.plan_keys.of_plan("ACME")] == [False, True]
    trail = Trail(table="agent-config", partition=f"CLIENT#ACME_{FREQ}")
    changed = (keyed.audit.entries(trail)[-1].details or {})["changed"]["account_number"]
    assert changed == {"before": "(encrypted)", "after": "*"}
    keyed.ach_configs.delete(keyed.ach_configs.get("ACME", FREQ))


def test_a_key_is_dropped_by_who_has_none(process: Process, keyed: Store) -> None:
    work(keyed)
    process().plan_keys.drop("ACME")
    with pytest.raises(EncryptedValueError, match="was dropped"):
        process(FIRST).results.get("b1", 100)


def test_an_encrypted_account_is_not_written_over_by_who_cannot_read_it(process: Process, keyed: Store) -> None:
    work(keyed)
    for store in (process(), process(SECOND)):
        with pytest.raises((EncryptedValueError, ConfigurationError)):
            store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number="5"))
    assert keyed.ach_configs.get("ACME", FREQ, fresh=True).account_number == ACCOUNT


def test_a_wrong_key_encrypts_nothing_that_others_could_not_read(process: Process, keyed: Store) -> None:
    work(keyed)
    wrong = process(SECOND, encrypt_records=True)
    with pytest.raises(ConfigurationError, match="not among those of BLUESTAR_ENCRYPTION_KEY"):
        wrong.results.save("b1", 200, RESULT)
    assert keyed.results.for_batch("b1")[-1].step == 100


def test_records_are_not_encrypted_without_a_key(layout: str) -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_ENCRYPT_RECORDS needs a key"):
        Store.open(Settings(persistence_mode="memory", encrypt_records=True))


@pytest.mark.parametrize("damage", ["copied", "changed"])
def test_a_plans_key_that_was_touched_is_an_error_of_what_it_encrypts(
    process: Process, keyed: Store, damage: str
) -> None:
    work(keyed)
    work(keyed, batch_id="other", plan="OTHER")
    table = keyed.tables.name(keyed.plan_keys.mapper)
    (acme,), (other,) = (keyed.plan_keys.of_plan(plan) for plan in ("ACME", "OTHER"))
    item = dict(item_at(keyed, *keyed.plan_keys.mapper.key(acme)))
    *head, last = acme.wrapped or b""
    wrapped = other.wrapped if damage == "copied" else bytes([*head, last ^ 1])
    keyed.engine.write(Put(table, item | {"wrapped": {"B": wrapped}}))
    with pytest.raises(EncryptedValueError, match="does not decrypt: it was changed, or copied here"):
        process(FIRST).results.get("b1", 100)
    assert Key(*keyed.plan_keys.mapper.key(acme)).pk == "PLANKEY#ACME"
