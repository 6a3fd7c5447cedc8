"""`bluestar-store encrypt`: what lies in plain text is encrypted, and keys are wrapped anew."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from pydantic import SecretStr

from bluestar_store import AchConfig, ConfigurationError, Settings, Store, Trail, VersionConflictError
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Write, key_of
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, SSN, Process, all_items, item_at
from tests.encryption.test_records import RESULT, work
from tests.store_suite.side_door import wire

KEYED = {"encryption_key": SecretStr(FIRST), "encrypt_records": True}
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


@pytest.mark.parametrize("is_written", [False, True], ids=["before", "after"])
def test_it_goes_on_wherever_it_was_cut_off(
    process: Process, monkeypatch: pytest.MonkeyPatch, is_written: bool
) -> None:
    plain = process()
    work(plain)
    for number in range(3):
        plain.ach_configs.put(AchConfig(plan_id=f"P{number}", pay_freq=FREQ, account_number=ACCOUNT))
    at = 1
    while (half := _cut_off(plain, monkeypatch, at, is_written=is_written)) is not None:
        before = {key_of(item): item for item in all_items(half)}
        again = Store(half.settings, half.engine)
        rest = again.encrypt()
        assert rest.encrypted.get("ach-config", 0) + rest.before.get("ach-config", 0) == 4
        after = {key_of(item): item for item in all_items(again)}
        for key, item in before.items():
            if "KEY" not in key.pk:  # what was encrypted stays as it is
                assert {name: value for name, value in item.items() if "B" in value}.items() <= after[key].items()
        for plan in ("ACME", "P0", "P1", "P2"):
            read = again.ach_configs.get(plan, FREQ)
            assert (read.account_number, read.version) == (ACCOUNT, 2)
            trail = Trail(table="agent-config", partition=f"CLIENT#{plan}_{FREQ}")
            assert [entry.action for entry in again.audit.entries(trail)] == ["create", "encrypt"]
            assert again.audit.verify(trail) == ()
        assert again.results.get("b1", 100).version == 2
        at += 1
    assert at > 6


def _cut_off(plain: Store, monkeypatch: pytest.MonkeyPatch, at: int, *, is_written: bool) -> Store | None:
    """A Store with keys over a copy of the items, cut off at this write; None where there are not so many."""
    assert isinstance(plain.engine, MemoryEngine)
    keyed = Store(plain.settings.model_copy(update=KEYED), plain.engine.copy())
    write, calls = keyed.engine.write, [0]

    def failing(*writes: Write) -> None:
        calls[0] += 1
        if is_written or calls[0] < at:
            write(*writes)
        if calls[0] == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keyed.engine, "write", failing)
        try:
            keyed.encrypt()
        except KeyboardInterrupt:
            return keyed
    return None


def test_it_goes_on_when_it_was_killed(tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path)
    with Store.open(settings) as plain:
        plain.create_tables()
        for number in range(3):
            plain.ach_configs.put(AchConfig(plan_id=f"P{number}", pay_freq=FREQ, account_number=ACCOUNT))
    keyed = settings.model_copy(update=KEYED)
    for kills in (3, 2, 1):
        child = os.fork()
        if not child:
            try:
                _encrypt_until(keyed, kills)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with Store.open(keyed) as store:
        store.encrypt()
        assert [(found.account_number, found.version) for found in read_all(store)] == [(ACCOUNT, 2)] * 3


def _encrypt_until(settings: Settings, kills: int) -> None:
    """Encrypt, and be killed after so many writes."""
    with Store.open(settings) as store:
        write, calls = store.engine.write, [0]

        def killed(*writes: Write) -> None:
            write(*writes)
            calls[0] += 1
            if calls[0] == kills:
                os.kill(os.getpid(), signal.SIGKILL)

        store.engine.write = killed  # type: ignore[method-assign]
        store.encrypt()


def read_all(store: Store) -> list[AchConfig]:
    return [store.ach_configs.get(f"P{number}", FREQ) for number in range(3)]


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
    table = plain.tables.name(plain.ach_configs.mapper)
    broken = wire(f"CLIENT#A_{FREQ}", "ACH", account_number=ACCOUNT, bank_id={"N": "1"})
    plain.engine.put_many(table, [broken])
    report = process(FIRST).encrypt()
    assert report.encrypted == {"ach-config": 1}
    assert ["bank_id" in reason and ACCOUNT not in reason for reason in report.failed] == [True]
