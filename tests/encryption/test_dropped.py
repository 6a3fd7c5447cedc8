"""After a plan's key was dropped: every command goes on, tells what nobody can read again, and can write it anew."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from bluestar_store import AchConfig, EncryptedValueError, Trail
from bluestar_store.mapping.salvage import DROPPED
from bluestar_store.warming import warm
from tests.cli.conftest import DEMO, Run, on
from tests.encryption.conftest import ACCOUNT, FIRST, FREQ, SECOND, Process

ACH = ["ACME", FREQ, "--ach"]
SEED = ["seed", "--from", str(DEMO)]


@pytest.fixture(scope="module")
def _dropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dropped")
    with mock.patch.dict(os.environ, {"BLUESTAR_ENCRYPTION_KEY": FIRST}):
        for arguments in (["create"], ["seed"], SEED, ["key", "drop", "ACME", "--yes"]):
            assert on(folder)(*arguments).exit_code == 0
    return folder


@pytest.fixture
def run(_dropped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, with the store's key, on a store with demo plans of which ACME's key was dropped."""
    monkeypatch.setenv("BLUESTAR_ENCRYPTION_KEY", FIRST)
    (tmp_path / "account").write_text(ACCOUNT)
    monkeypatch.chdir(tmp_path)
    return on(shutil.copytree(_dropped, tmp_path / "store"))


SHOWN, NEW, OLD, NONE = DROPPED, "********5678", "********1001", None


@pytest.mark.parametrize(
    ("arguments", "code", "left"),
    [
        (["config", "set", *ACH, "account_number=@account", "--yes"], 0, NEW),
        (["config", "set", *ACH, "bank_id=B9", "--yes"], 0, ""),
        (["config", "delete", *ACH, "--yes"], 0, NONE),
        (SEED, 0, SHOWN),
        ([*SEED, "--dry-run"], 3, SHOWN),
        ([*SEED, "--overwrite", "--yes"], 0, OLD),
        ([*SEED, "--overwrite", "--prune", "--yes"], 0, OLD),
        ([*SEED, "--overwrite", "--plan", "plan.json"], 3, SHOWN),
        (["inspect", "snapshot", "ACME", FREQ, "2026"], 3, SHOWN),
        (["inspect", "plan", "ACME"], 0, SHOWN),
        (["inspect", "config", "ACME", FREQ], 0, SHOWN),
        (["doctor"], 0, SHOWN),
    ],
    ids=lambda value: " ".join(value).replace(str(DEMO), "DEMO") if isinstance(value, list) else "",
)
def test_every_command_tells_that_nobody_can_read_it_and_goes_on(
    run: Run, arguments: list[str], code: int, left: str | None
) -> None:
    done = run(*arguments)
    told = " ".join((done.stdout + done.stderr).split())
    assert (done.exit_code, "nobody can read it again" in told) == (code, True), told
    assert "000000001001" not in told
    ach = json.loads(run("inspect", "config", "ACME", FREQ, "--json").stdout)["ach"]
    assert (ach and (ach["account_number"] or "")) == left


def test_a_seed_goes_on_with_the_other_plans_and_a_warming_passes_over_it(run: Run) -> None:
    assert run("config", "delete", "BETA", "Weekly", "--ach", "--yes").exit_code == 0
    seeded = json.loads(run(*SEED, "--json").stdout)
    assert [one["key"] for one in seeded["added"]] == ["CLIENT#BETA_Weekly ACH"]
    assert [one["key"] for one in seeded["left_alone"]] == [f"CLIENT#ACME_{FREQ} ACH"]
    assert run("cache", "warm").exit_code == run("cache", "warm", "ACME").exit_code == 0


def test_a_saved_plan_writes_over_it_and_whoever_wrote_first_is_told(run: Run) -> None:
    saved = [run(*SEED, "--overwrite", "--plan", name).exit_code for name in ("first.json", "second.json")]
    assert saved == [3, 3]
    applied = run("seed", "--apply", "first.json", "--yes")
    assert (applied.exit_code, "overwritten 1" in applied.stdout) == (0, True), applied.stderr
    late = run("seed", "--apply", "second.json", "--yes")
    assert (late.exit_code, f"CLIENT#ACME_{FREQ} ACH" in late.stderr) == (1, True)
    assert run("inspect", "snapshot", "ACME", FREQ, "2026").exit_code == 0
    assert run("audit", "verify", "--table", "rule-sets", "--partition", "LOADS").exit_code == 0


def test_an_account_that_nobody_can_read_differs_from_every_other(run: Run) -> None:
    assert run("config", "set", "BETA", FREQ, "--ach", "account_number=@account", "--yes").exit_code == 0
    for drop, secret in ((False, NEW), (True, DROPPED)):  # of two such accounts nobody can tell whether they differ
        assert not drop or run("key", "drop", "BETA", "--yes").exit_code == 0
        differing = json.loads(run("inspect", "diff", "ACME", "BETA", "--json").stdout)["differences"]
        (found,) = [
            one["changes"] for one in differing if one["kind"] == "ach-config" and one["item"]["pay_freq"] == FREQ
        ]
        assert {"attribute": "account_number", "one": DROPPED, "other": secret} in found


def test_the_snapshot_shows_what_is_left_and_has_no_digest(run: Run) -> None:
    found = json.loads(run("inspect", "snapshot", "ACME", FREQ, "2026", "--json").stdout)
    assert (found["digest"], found["ach_config"], len(found["steps"])) == (None, None, 12)
    assert [*found["unreadable"]] == [f"agent-config/CLIENT#ACME_{FREQ}/ACH"]


def test_the_doctor_tells_that_no_key_gives_it_back(run: Run) -> None:
    (found,) = [one for one in json.loads(run("doctor", "--json").stdout)["findings"] if one["check"] == "dropped"]
    assert (found["severity"], "no key gives it back" in found["mend"]) == ("info", True)
    assert "give this process the key" not in str(found)


def test_a_default_that_nobody_can_read_keeps_no_plan_from_an_account(run: Run) -> None:
    assert run("config", "set", "DEFAULT", "Weekly", "--ach", "account_number=@account", "--yes").exit_code == 0
    assert run("key", "drop", "GLOBAL", "--yes").exit_code == 0
    done = run("config", "set", "ACME", "Weekly", "--ach", "bank_id=B1", "--yes")
    assert (done.exit_code, "DEFAULT's account_number will not apply" in done.stderr + done.stdout) == (0, True)


@pytest.mark.parametrize("key", [None, SECOND], ids=["no key", "another key"])
def test_who_only_lacks_the_key_writes_over_nothing(run: Run, monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    if key is None:
        monkeypatch.delenv("BLUESTAR_ENCRYPTION_KEY")
    else:
        monkeypatch.setenv("BLUESTAR_ENCRYPTION_KEY", key)
    beta = ["BETA", "Weekly", "--ach"]
    for arguments in (
        ["config", "set", *beta, "bank_id=B9", "--yes"],
        ["config", "delete", *beta, "--yes"],
        [*SEED, "--overwrite", "--yes"],
        ["inspect", "plan", "BETA"],
        ["inspect", "snapshot", "BETA", "Weekly", "2026"],
        ["cache", "warm"],
    ):
        refused = run(*arguments)
        assert (refused.exit_code, "is encrypted" in refused.stderr) == (1, True), arguments
    monkeypatch.setenv("BLUESTAR_ENCRYPTION_KEY", FIRST)
    found = json.loads(run("inspect", "config", "BETA", "Weekly", "--json").stdout)["ach"]
    assert (found["account_number"], found["bank_id"]) == ("********2002", "DEMO-BANK-2")


def test_reading_it_from_python_is_an_error_unless_what_is_left_is_asked_for(process: Process) -> None:
    keyed = process(FIRST)
    keyed.ach_configs.put(AchConfig(plan_id="ACME", pay_freq=FREQ, account_number=ACCOUNT, bank_id="7"))
    keyed.plan_keys.drop("ACME")
    reads: list[Callable[[], object]] = [
        lambda: keyed.ach_configs.get("ACME", FREQ),
        lambda: keyed.overrides("ACME"),
        lambda: keyed.at_level("ACME"),
        lambda: keyed.plan_snapshot("ACME", FREQ, 2026),
    ]
    for read in reads:
        with pytest.raises(EncryptedValueError) as caught:
            read()
        assert caught.value.is_lost
    (left,) = keyed.overrides("ACME", without_lost=True)
    assert isinstance(left, AchConfig)
    assert (left.account_number, left.bank_id, left.unreadable) == (None, "7", ("account_number",))
    assert keyed.plan_contents("ACME", FREQ, 2026).unreadable.keys() == {f"agent-config/CLIENT#ACME_{FREQ}/ACH"}
    assert warm(keyed, ["ACME"]) > 0
    written = keyed.ach_configs.put(left.model_copy(update={"account_number": "5"}))
    assert (keyed.ach_configs.get("ACME", FREQ), written.unreadable) == (written, ())
    assert keyed.audit.verify(Trail(table="agent-config", partition=f"CLIENT#ACME_{FREQ}")) == ()
