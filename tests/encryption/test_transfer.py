"""Exports carry ciphertext as it is, and it is read wherever it is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestar_store import EncryptedValueError, Settings, Store, TableLayout
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.transfer import export, import_
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, ROUTING, SECOND, SSN, Process, all_items
from tests.encryption.test_records import work
from tests.seeded import seeded_engine


@pytest.mark.parametrize("target_layout", list(TableLayout), ids=str)
@pytest.mark.parametrize("plans", [None, ["ACME"]], ids=["all", "a plan"])
def test_an_export_is_read_in_tables_of_another_suffix_and_layout(
    process: Process, target_layout: TableLayout, plans: list[str] | None, tmp_path: Path
) -> None:
    source = process(FIRST, encrypt_records=True)
    work(source)
    work(source, batch_id="b2", plan="OTHER")
    export(source, tmp_path / "out", plans=plans)
    text = b"".join(path.read_bytes() for path in (tmp_path / "out").iterdir()).decode()
    assert not any(secret in text for secret in (ACCOUNT, ROUTING, SSN, FIRST))
    engine = MemoryEngine()

    def target(key: str | None) -> Store:
        settings = Settings(
            persistence_mode="memory", table_layout=target_layout, table_suffix="-copy", encryption_key=key
        )
        return Store(settings, engine)

    target(FIRST).create_tables()
    import_(target(None), tmp_path / "out")
    read = target(f"{SECOND},{FIRST}")
    assert read.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert [(entry.details or {})["ssn"] for entry in read.audit.entries("b1")] == [SSN, SSN]
    assert read.results.get("b1", 100) == source.results.get("b1", 100)
    assert read.audit.verify("b1") == ()
    with pytest.raises(EncryptedValueError, match="not among those"):
        target(SECOND).ach_configs.get("ACME", FREQ)


def test_a_merge_into_a_store_with_keys_of_its_own_reads_both(process: Process, tmp_path: Path) -> None:
    source = process(FIRST, encrypt_records=True)
    work(source)
    export(source, tmp_path / "out", plans=["ACME"])
    engine = seeded_engine()
    target = Store(Settings(persistence_mode="memory", encryption_key=FIRST, encrypt_records=True), engine)
    work(target, batch_id="theirs")
    import_(target, tmp_path / "out", merge=True)
    assert len(target.plan_keys.of_plan("ACME")) == 2
    again = Store(Settings(persistence_mode="memory", encryption_key=FIRST), engine)
    assert again.ach_configs.get("ACME", FREQ).account_number == ACCOUNT
    assert [len(again.audit.entries(name)) for name in ("b1", "theirs")] == [2, 2]


@pytest.mark.parametrize("overwrite", [False, True], ids=["merge", "overwrite"])
def test_no_import_brings_a_dropped_key_back(process: Process, tmp_path: Path, overwrite: bool) -> None:
    store = process(FIRST)
    work(store)
    export(store, tmp_path / "out")
    store.plan_keys.drop("ACME")
    import_(store, tmp_path / "out", merge=True, overwrite=overwrite)
    assert [key.dropped is None for key in store.plan_keys.of_plan("ACME")] == [False]
    assert "PLANKEY#ACME" in str(all_items(store))
