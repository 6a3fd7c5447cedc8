"""Planted account numbers and SSNs, and every command: nothing but what holds the data shows one."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from bluestar_store import AchConfig, Settings, Store
from bluestar_store.cli import app
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.protocols import Put
from tests.cli.conftest import Run, on
from tests.store_suite.side_door import wire

ACCOUNT, OTHER, ROUTING, SSN, CARD = "998877665541", "998877665542", "021000021", "987-65-4329", "4111111111111111"
PLANTED = (ACCOUNT, OTHER, ROUTING, SSN, CARD)

COMMANDS = """
create
seed --dry-run
seed --from RULES --dry-run
seed --from RULES --dry-run --plan PLAN.json
seed --from RULES
seed --from RULES --prune --overwrite --yes
export EXPORT
audit verify b1 --from EXPORT
import EXPORT --merge
import EXPORT --merge --overwrite
migrate-layout single --to-dir MIGRATED
take-over bluestar-audit-log
doctor
encrypt
iam-policy reader
inspect pipeline ACME Weekly
inspect rule ACME match
inspect rules ACME
inspect validation SSN
inspect limits 2026
inspect config ACME Weekly
inspect schema V
inspect plan ACME
inspect overrides match
inspect diff ACME ZED
inspect hold ACME
inspect batch b1
inspect snapshot ACME Weekly 2026 --long
inspect plans
inspect categories
inspect vendors
cache stats
cache clear
cache warm
cache invalidate plan ACME
cache invalidate rule ACME match
cache invalidate category SSN
cache invalidate limits 2026
cache invalidate vendor V
documents list people
documents check DOCUMENTS.json
documents export DOCUMENTS.json people
documents import DOCUMENTS.json people
rule set ACME match max_pct=4
rule delete ACME match --yes
validation set SSN 1 enabled=false --plan ACME
validation delete SSN 1 --plan ACME --yes
limits set 2027 max_401k=1
limits delete 2027 --yes
config set ZED Weekly account_number=@NUMBER.txt --ach
config set ZED Weekly deadline_hour=9
config delete ZED Weekly --ach --yes
schema write SCHEMAS
schema set V --from COLUMNS.json
schema delete V x
pipeline replace ACME Weekly STEPS.json
pipeline remove ACME Weekly --yes
files ls
files put NUMBER.txt a/b.txt
files stat a/b.txt
files cp NUMBER.txt a/c.txt
files mv a/c.txt a/d.txt
files link a/b.txt
files get a/b.txt GOT.txt
files rm a/b.txt --yes
batch list ACME
batch show b1
batch show b1 --rules
batch watch b1 --once
hold list ACME
hold place ACME --reason x
hold release ACME h1
audit show b1 --long
audit show --table agent-config --partition CLIENT#ACME_Weekly
audit verify b1
key list ACME
key drop ACME --yes
documents reset people --yes
"""
HOLDS_DATA = re.compile(
    r"/store/bluestar-\w|/store/\.journal|/MIGRATED/|/EXPORT/.*\.jsonl|/RULES/|/files/|PLAN.json|DOCUMENTS|NUMBER|GOT|people"
)
"""Files that are there to hold the data: tables, exports, plans, rule sets, documents."""
PRINTING_DATA = {"files cat"}
"""Commands whose output is the data itself."""


@pytest.fixture
def planted(seeded: Path, tmp_path: Path) -> Path:
    """A seeded folder with secrets in every place that may hold some."""
    settings = Settings(persistence_mode="file", file_persistence_dir=seeded, actor="tester")
    with Store.open(settings) as store:
        store.ach_configs.put(
            AchConfig(plan_id="ACME", pay_freq="Weekly", account_number=ACCOUNT, routing_number=ROUTING)
        )
        name = store.tables.name
        store.engine.write(
            Put(name(ACH_CONFIG), wire("CLIENT#OTHER_Weekly", "ACH", deposit_ref=OTHER, account_number=ACCOUNT)),
            Put(name(CLIENT_CONFIG), wire("CLIENT#OTHER_Weekly", "CONFIG", participant_ssn=SSN, note=f"card {CARD}")),
        )
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        store.results.save(batch, 100, {"employees": [{"ssn": SSN, "bankAccount": ACCOUNT}], "note": f"to {ROUTING}"})
        store.audit.append("b1", action="pay", details={"employee_ssn": SSN, "acct": ACCOUNT, "note": f"card {CARD}"})
        store.holds.place("ACME", reason=f"ask about card {CARD}", hold_id="h1")
    rules = tmp_path / "RULES"
    rules.mkdir()
    ach = [{"plan_id": plan, "pay_freq": "Weekly", "account_number": OTHER} for plan in ("ACME", "NEW")]
    (rules / "agent-config.json").write_text(json.dumps({"ach_configs": ach}))
    (tmp_path / "NUMBER.txt").write_text(ACCOUNT)
    (tmp_path / "COLUMNS.json").write_text('["SSN", "Account"]')
    (tmp_path / "STEPS.json").write_text('[{"step_order": 100, "agent": "IDP"}]')
    (tmp_path / "DOCUMENTS.json").write_text(json.dumps({"people": [{"id": "1", "ssn": SSN, "account": ACCOUNT}]}))
    return seeded


class Recording(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that is logged, at level DEBUG."""
    handler, root = Recording(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler.lines
    root.removeHandler(handler)
    root.setLevel(level)


def commands_of(command: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command there is."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path)
    else:
        for name, one in inner.items():
            yield from commands_of(one, (*path, name))


def test_every_command_is_among_them() -> None:
    known = COMMANDS.splitlines()
    every = set(commands_of(get_command(app))) - PRINTING_DATA
    assert [name for name in every if not any(line == name or line.startswith(f"{name} ") for line in known)] == []


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_no_command_shows_a_secret(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str], flags: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUESTAR_FILES_URL", f"file://{tmp_path}/files")
    monkeypatch.setenv("BLUESTAR_ACTOR", "tester")
    (tmp_path / "files").mkdir()
    given = {str(path) for path in tmp_path.rglob("*")}
    before = os.umask(0)
    run: Run = on(planted)
    worked, shown = set[str](), list[str]()
    for line in COMMANDS.split("\n"):
        if not line:
            continue
        done = run(*line.split(), *flags)
        if done.exit_code in (0, 3):
            worked.add(line)
        said = done.stdout + done.stderr
        shown += [f"{line}: {secret}: {said}" for secret in PLANTED if secret in said]
    os.umask(before)
    assert shown == []
    modes = {str(path): path.lstat().st_mode & 0o777 for path in tmp_path.rglob("*") if str(path) not in given}
    open_to_others = {path for path, mode in modes.items() if mode & 0o077 and "/SCHEMAS" not in path}
    assert open_to_others == set()  # schemas hold no data: they are as the umask says
    assert [secret for secret in PLANTED if secret in "\n".join(logged)] == []
    assert len(worked) > 45, sorted(set(COMMANDS.split("\n")) - worked)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and not HOLDS_DATA.search(str(path))]
    assert (tmp_path / "EXPORT" / "manifest.json") in written
    texts = {str(path): path.read_bytes().decode(errors="replace") for path in written}
    assert [(path, secret) for path, text in texts.items() for secret in PLANTED if secret in text] == []
