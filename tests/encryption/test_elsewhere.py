"""What is encrypted, seen by everything besides the repositories: plans, the drop-in, doctor, asyncio, logs, Redis."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
import pickle
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bluestar_store import AchConfig, AsyncStore, EncryptedValueError, Settings, Store
from bluestar_store.doctor import examine
from bluestar_store.encryption.values import KeyName, UnreadableError, decrypted, encrypted
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.mapping.sealed import MAGIC
from bluestar_store.persistence import create_persistence
from bluestar_store.rulesets.saved_plan import apply_plan, save_plan
from bluestar_store.seeding import RuleSet, compare
from bluestar_store.transfer import export
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, SSN, Process, all_items
from tests.encryption.test_records import work

WANTED = RuleSet((AchConfig(plan_id="ACME", pay_freq=FREQ, account_number="900087654321", routing_number=ROUTING),))


@pytest.mark.parametrize("stored", ["encrypted", "plain", "none"])
def test_a_saved_plan_holds_ciphertext_and_is_applied_by_who_has_the_key(
    process: Process, tmp_path: Path, stored: str
) -> None:
    path, keyed = tmp_path / "plan.json", process(FIRST)
    if stored != "none":
        work(keyed if stored == "encrypted" else process())
    save_plan(keyed, compare(keyed, WANTED), path)
    text = path.read_text()
    assert not any(secret in text for secret in (ACCOUNT, "900087654321", ROUTING, FIRST))
    for other in (process(), process(SECOND)):
        with pytest.raises(Exception, match=r"encrypted|not among those"):
            apply_plan(other, path)
    apply_plan(process(FIRST), path)
    assert keyed.ach_configs.get("ACME", FREQ, fresh=True).account_number == "900087654321"


def test_the_drop_in_encrypts_and_reads_as_the_typed_api_does(tmp_path: Path) -> None:
    settings = Settings(
        persistence_mode="file", file_persistence_dir=tmp_path, encryption_key=FIRST, encrypt_records=True
    )
    with Store.open(settings) as store:
        store.create_tables()
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number=ACCOUNT))
    rules, _, _ = create_persistence(settings)
    with rules:
        rules.save_batch_state("b1", {"plan_id": "ACME", "ssn": SSN})
        rules.save_processing_result("b1", "match", {"ssn": SSN})
        assert rules.get_ach_config("ACME", FREQ)["account_number"] == ACCOUNT
        assert rules.get_batch_state("b1")["ssn"] == rules.get_processing_results("b1")["match"]["ssn"] == SSN
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not any(secret.encode() in on_disk for secret in (ACCOUNT, SSN, FIRST))
    without, _, _ = create_persistence(Settings(persistence_mode="file", file_persistence_dir=tmp_path))
    with without:
        for read in (
            lambda: without.get_ach_config("ACME", FREQ),
            lambda: without.get_batch_state("b1"),
            lambda: without.get_processing_results("b1"),
        ):
            with pytest.raises(EncryptedValueError, match="has no key"):
                read()
    with Store.open(settings) as store:
        store.plan_keys.drop("ACME")  # of an agent's own state, which names the plan
    again, _, _ = create_persistence(settings)
    with again, pytest.raises(EncryptedValueError, match="was dropped"):
        again.get_processing_results("b1")


def test_doctor_counts_what_is_plain_and_names_what_cannot_be_read(process: Process) -> None:
    work(process())
    keyed = process(FIRST, encrypt_records=True)
    found = [one for one in examine(keyed) if one.check == "not-encrypted"]
    assert {(str(one.severity), one.what.partition(" have")[0], one.count) for one in found} == {
        ("warning", "items of ach-config", 1),
        ("warning", "items of step-result", 1),
        ("warning", "keys of digests lie in plain text: who reads them can try account numbers", 1),
        ("info", "entries of audit trails", next(one.count for one in found if "trails" in one.what)),
    }
    keyed.encrypt()
    assert [one for one in examine(keyed) if one.check == "not-encrypted" and one.severity != "info"] == []
    assert [one for one in examine(keyed) if one.check in ("undecodable", "unreadable")] == []
    told = [one for one in examine(process()) if one.check in ("undecodable", "unreadable")]
    assert {one.check for one in told} == {"unreadable"}
    assert "delete" not in str([one.mend for one in told])
    assert ACCOUNT not in str(told)


def test_asyncio_reads_writes_encrypts_and_drops(process: Process) -> None:
    async def run() -> None:
        store = AsyncStore(process(FIRST))
        await store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number=ACCOUNT))
        assert (await store.ach_configs.get("ACME", FREQ)).account_number == ACCOUNT
        assert (await store.encrypt()).before == {"ach-config": 1}
        async with store.unit_of_work() as unit:
            await unit.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number="7"))
        assert (await store.ach_configs.get("ACME", FREQ)).account_number == "7"
        await store.plan_keys.drop("ACME")
        with pytest.raises(EncryptedValueError, match="was dropped"):
            await store.ach_configs.get("ACME", FREQ)
        await store.aclose()

    asyncio.run(run())


def test_no_log_error_or_repr_shows_a_key_or_a_value(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keyed = process(FIRST, encrypt_records=True)
    work(keyed)
    read = keyed.ach_configs.get("ACME", FREQ)
    shown = [repr(keyed), repr(keyed.settings), str(keyed.settings), repr(read), repr(read.origin), caplog.text]
    shown += [repr(read.origin.wire["account_number"]) if read.origin else ""]
    shown += [repr(vars(keyed.sealing)), repr(keyed.plan_keys.of_plan("ACME"))] if keyed.sealing else []
    for store in (process(), process(SECOND)):
        try:
            store.ach_configs.get("ACME", FREQ)
        except EncryptedValueError as error:
            told = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown += [str(error), repr(error), *told.format()]
    with pytest.raises(Exception, match="32 bytes in base64") as caught:
        Settings(encryption_key=FIRST[:-8])
    shown.append(str(caught.value))
    text = "".join(shown)
    assert not any(secret in text for secret in (ACCOUNT, ROUTING, SSN, FIRST, FIRST[:-8], SECOND))


def test_an_entity_is_copied_and_pickled_with_its_ciphertext(process: Process) -> None:
    keyed = process(FIRST)
    work(keyed)
    read = keyed.ach_configs.get("ACME", FREQ)
    again = pickle.loads(pickle.dumps(read))  # noqa: S301  # our own
    for other in (again, copy.deepcopy(read), copy.copy(read), read.model_copy()):
        assert other == read
        with keyed.unit_of_work() as unit:
            unit.check(other)
            unit.audit.append("b1", action="looked")


def test_a_batch_of_a_unit_that_was_dropped_does_not_lend_its_plan(process: Process) -> None:
    keyed = process(FIRST, encrypt_records=True)
    with suppress(RuntimeError), keyed.unit_of_work() as unit:
        unit.batches.start("ACME", FREQ, 2026, batch_id="b")
        unit.audit.append("b", action="begun", details={"ssn": SSN})
        raise RuntimeError
    work(keyed, batch_id="b", plan="OTHER")
    keyed.plan_keys.drop("ACME")
    assert [(entry.details or {})["ssn"] for entry in process(FIRST).audit.entries("b")] == [SSN, SSN]


def test_a_forged_ciphertext_is_one_error_and_quick(process: Process) -> None:
    keyed = process(FIRST)
    work(keyed)
    table = keyed.tables.name(keyed.ach_configs.mapper)
    good = next(item for item in all_items(keyed) if item["SK"]["S"] == "ACH")
    sealed: bytes = good["account_number"]["B"]
    forged: list[bytes] = [sealed[:5], sealed[:6], sealed[:-1], sealed[:20], sealed + b"x"]
    forged += [sealed.replace(b"ACME", name) for name in (b"A#ME", b"NOPE", b"\xff\xfe\xfd\xfc")]
    forged.append(sealed[:5] + b"\xff\xff" + sealed[7:])
    for value in forged:
        keyed.engine.put_many(table, [good | {"account_number": {"B": value}}])
        with pytest.raises(EncryptedValueError):
            keyed.ach_configs.get("ACME", FREQ, fresh=True)


def test_files_of_mode_file_hold_ciphertext(tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path, encryption_key=FIRST)
    with Store(settings, FileEngine(tmp_path)) as store:
        store.create_tables()
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number=ACCOUNT))
    assert ACCOUNT.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with Store.open(settings) as store:
        assert store.ach_configs.get("ACME", FREQ).account_number == ACCOUNT


def test_the_key_of_digests_is_encrypted_too_and_digests_stay_what_they_were(process: Process) -> None:
    work(process())
    keyed = process(FIRST)
    before = keyed.plan_snapshot("ACME", FREQ, 2026).digest
    assert keyed.encrypt().keys == 1
    raw = str([item for item in all_items(keyed) if item["PK"]["S"] == "DIGEST-KEYS"])
    assert "BSE" in raw
    assert keyed.plan_snapshot("ACME", FREQ, 2026).digest == process(FIRST).plan_snapshot("ACME", FREQ, 2026).digest
    assert before == process(FIRST).plan_snapshot("ACME", FREQ, 2026).digest
    stranger = process()
    stranger.ach_configs.put(AchConfig(plan_id="PLAIN", pay_freq=FREQ, account_number="5"))
    assert str([item for item in all_items(keyed) if item["PK"]["S"] == "DIGEST-KEYS"]) == raw
    assert keyed.encrypt().keys == 0


def test_exports_carry_the_key_of_digests_encrypted(process: Process, tmp_path: Path) -> None:
    keyed = process(FIRST)
    work(keyed)
    for name, store, plans in (("all", keyed, None), ("plan", keyed, ["ACME"]), ("other", process(), None)):
        export(store, tmp_path / name, plans=plans)
        lines = (tmp_path / name / "agent-config.jsonl").read_text().splitlines()
        carried = [json.loads(line) for line in lines if '"DIGEST-KEYS"' in line]
        assert carried
        assert all(base64.b64decode(item["key"]["B"]).startswith(MAGIC) for item in carried)
    both = [(tmp_path / name / "agent-config.jsonl").read_text() for name in ("all", "other")]
    assert both[0] == both[1]


@pytest.mark.parametrize("part", range(4), ids=["table", "PK", "SK", "attribute"])
def test_a_ciphertext_is_bound_to_each_part_of_its_place(part: int) -> None:
    cipher, place = AESGCM(bytes(32)), ("agent-config", "CLIENT#ACME_Weekly", "ACH", "account_number")
    sealed = encrypted({"S": ACCOUNT}, place, KeyName("ACME", "1"), cipher)
    assert decrypted(sealed, place, cipher) == {"S": ACCOUNT}
    other = (*place[:part], "other", *place[part + 1 :])
    with pytest.raises(UnreadableError, match="copied here"):
        decrypted(sealed, other, cipher)
