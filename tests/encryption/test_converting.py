"""`bluestar-store encrypt`: what lies in plain text is encrypted, and keys are wrapped anew."""

from __future__ import annotations

import pytest

from bluestar_store import AchConfig, ConfigurationError, Trail, VersionConflictError
from bluestar_store.engines.memory import MemoryEngine
from bluestar_store.protocols import Write
from bluestar_store.testing.side_door import wire
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, SSN, Process, all_items, item_at
from tests.encryption.test_records import RESULT, work

TRAIL = Trail(table="agent-config", partition=f"CLIENT#ACME_{FREQ}")


def test_what_is_plain_is_encrypted_once_with_a_version_and_an_entry(process: Process) -> None:
    plain = process()
    work(plain)
    read = plain.ach_configs.get("ACME", FREQ)
    keyed = process(FIRST, encrypt_records=True)
    told = keyed.encrypt(dry_run=True)
    assert (told.encrypted, told.kept) == ({"ach-config": 1, "step-result": 1}, 4)
    assert plain.ach_configs.get("ACME", FREQ, fresh=True).version == read.version
    done = keyed.encrypt(actor="ops")
    assert (done.encrypted, done.failed) == (told.encrypted, [])
    entry = keyed.audit.entries(TRAIL)[-1]
    assert (entry.actor, entry.action) == ("ops", "encrypt")
    after = keyed.ach_configs.get("ACME", FREQ, fresh=True)
    assert (after, after.version, after.written_by) == (read, 2, "ops")
    assert (keyed.results.get("b1", 100).result or {}).keys() == RESULT.keys()
    assert keyed.results.save("b1", 100, RESULT).version == 2
    assert item_at(keyed, "BATCH#b1", "RESULT#0100")["digest"]["S"].startswith("hmac-sha256:")
    on_disk = str([item for item in all_items(keyed) if "AUDIT#" not in item["SK"]["S"]])
    assert not any(secret in on_disk for secret in (ACCOUNT, ROUTING, SSN))
    before = all_items(keyed)
    again = keyed.encrypt()
    assert (again.encrypted, again.before["ach-config"], again.before["step-result"]) == ({}, 1, 1)
    assert all_items(keyed) == before
    with pytest.raises(VersionConflictError):
        keyed.ach_configs.put(read.model_copy(update={"bank_id": "1"}))
    for trail in ("b1", TRAIL):
        assert keyed.audit.verify(trail) == ()


def test_it_goes_on_where_it_was_cut_off(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, keyed = process(), process(FIRST)
    for number in range(6):
        plain.ach_configs.put(AchConfig(plan_id=f"P{number}", pay_freq=FREQ, account_number=ACCOUNT))
    engine = keyed.engine
    assert isinstance(engine, MemoryEngine)
    write, calls = engine.write, [0]

    def failing(*writes: Write) -> None:
        calls[0] += 1
        if calls[0] == 6:
            raise KeyboardInterrupt
        write(*writes)

    with monkeypatch.context() as patch:
        patch.setattr(engine, "write", failing)
        with pytest.raises(KeyboardInterrupt):
            keyed.encrypt()
    rest = keyed.encrypt()
    assert 0 < rest.encrypted["ach-config"] < 6
    assert rest.encrypted["ach-config"] + rest.before["ach-config"] == 6


def test_a_rotated_key_wraps_plans_keys_anew_and_then_the_old_one_can_go(process: Process) -> None:
    work(process(FIRST, encrypt_records=True))
    rotated = process(f"{SECOND},{FIRST}", encrypt_records=True)
    assert rotated.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    before = item_at(rotated, f"CLIENT#ACME_{FREQ}", "ACH")
    assert rotated.encrypt(dry_run=True).keys == rotated.encrypt().keys > 0
    assert rotated.encrypt().keys == 0
    assert item_at(rotated, f"CLIENT#ACME_{FREQ}", "ACH") == before
    only = process(SECOND)
    assert only.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert len(only.audit.entries("b1")) == 2
    assert process(FIRST).encrypt().failed  # it tells which keys it cannot unwrap


def test_it_needs_a_key(process: Process) -> None:
    with pytest.raises(ConfigurationError, match="no key to encrypt with"):
        process().encrypt()


def test_writers_beside_it_lose_nothing(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, keyed = process(), process(FIRST)
    read = plain.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number=ACCOUNT))
    engine = keyed.engine
    assert isinstance(engine, MemoryEngine)
    write, calls = engine.write, [0]

    def interfered(*writes: Write) -> None:
        calls[0] += 1
        if calls[0] == 2:  # after the plan's key
            plain.ach_configs.put(read.model_copy(update={"account_number": "5"}))
        write(*writes)

    monkeypatch.setattr(engine, "write", interfered)
    assert keyed.encrypt().encrypted == {"ach-config": 1}
    assert keyed.ach_configs.get("ACME", FREQ, fresh=True).account_number == "5"
    assert "B" in item_at(keyed, f"CLIENT#ACME_{FREQ}", "ACH")["account_number"]


def test_an_item_that_cannot_be_read_is_told_and_the_others_are_encrypted(process: Process) -> None:
    plain = process()
    work(plain)
    table = plain.tables.name(plain.ach_configs.kind)
    broken = wire(f"CLIENT#A_{FREQ}", "ACH", account_number=ACCOUNT, bank_id={"N": "1"})
    plain.engine.put_many(table, [broken])
    report = process(FIRST).encrypt()
    assert report.encrypted == {"ach-config": 1}
    assert ["bank_id" in reason and ACCOUNT not in reason for reason in report.failed] == [True]
