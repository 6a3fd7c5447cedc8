"""`encrypt` and `key`: counted, done, and dropped after a question."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bluestar_store import AchConfig, Store
from tests.cli.conftest import Run
from tests.encryption.conftest import ACCOUNT, FIRST, SSN


def test_a_store_is_encrypted_shown_and_a_plans_key_dropped(
    opened: Callable[[], Store], seeded_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as store:
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number=ACCOUNT))
    refused = seeded_run("encrypt")
    assert (refused.exit_code, "BLUESTAR_ENCRYPTION_KEY" in refused.stderr) == (1, True)
    monkeypatch.setenv("BLUESTAR_ENCRYPTION_KEY", FIRST)
    monkeypatch.setenv("BLUESTAR_ENCRYPT_RECORDS", "true")
    told = json.loads(seeded_run("encrypt", "--dry-run", "--json").stdout)
    assert (told["dry_run"], told["encrypted"]) == (True, {"ach-config": 4})
    assert json.loads(seeded_run("encrypt", "--json").stdout)["encrypted"] == {"ach-config": 4}
    assert "Encrypted before" in seeded_run("encrypt").stdout
    with opened() as store:
        store.audit.append("b1", action="seen", details={"ssn": SSN})
    (key,) = json.loads(seeded_run("key", "list", "ACME", "--json").stdout)
    assert key.keys() == {"plan_id", "key_id", "created", "dropped"}
    declined = seeded_run("key", "drop", "ACME")
    assert (declined.exit_code, "--yes" in declined.stderr) == (1, True)
    (dropped,) = json.loads(seeded_run("key", "drop", "ACME", "--yes", "--json").stdout)
    assert dropped["key_id"] == key["key_id"]
    gone = seeded_run("inspect", "config", "ACME", "Weekly", "--json")
    assert ACCOUNT not in gone.stdout + gone.stderr
    monkeypatch.delenv("BLUESTAR_ENCRYPTION_KEY")
    monkeypatch.delenv("BLUESTAR_ENCRYPT_RECORDS")
    shown = seeded_run("audit", "show", "b1", "--json")
    assert (json.loads(shown.stdout)[0]["action"], "shown without details" in shown.stderr) == ("seen", True)
    assert seeded_run("audit", "verify", "b1").exit_code == 0
