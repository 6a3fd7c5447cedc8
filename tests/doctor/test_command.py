"""The command: readable, exact, the right exit code, and what is damaged never moves the cursor."""

from __future__ import annotations

import json
from collections.abc import Callable

from bluestar_store import Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.pipeline import PIPELINE_STEP
from tests.cli.conftest import TABLES, Run, _seeded, opened, run, seeded, seeded_run
from tests.store_suite.side_door import wire

__all__ = ["_seeded", "opened", "run", "seeded", "seeded_run"]

Opened = Callable[[], Store]


def damaged(opened: Opened) -> None:
    with opened() as store:
        table = store.tables.name(PIPELINE_STEP)
        store.engine.put_many(table, [wire("CLIENT#W_Weekly", "STEP#100"), wire("CLIENT#W_Weekly", "STEP#0100")])
        secret = wire("CLIENT#ACME_BiWeeklyFri", "ACH", account_number={"N": "1234567890"})
        store.engine.put_many(store.tables.name(ACH_CONFIG), [secret, wire("CLIENT#\x1b[2J", "[red]\u202e")])


def test_health(seeded_run: Run) -> None:
    done = seeded_run("doctor")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == ["Healthy"]
    data = json.loads(seeded_run("doctor", "--json").stdout)
    assert (data["healthy"], data["findings"]) == (True, [])
    assert data["items"] > 100


def test_damage_at_80_columns(seeded_run: Run, opened: Opened) -> None:
    damaged(opened)
    done = seeded_run("doctor", env={"COLUMNS": "80"})
    assert (done.exit_code, done.stderr) == (3, "")
    head, *lines = done.stdout.splitlines()
    assert head.startswith("Examined ")
    assert max(map(len, lines)) <= 80
    assert "ERROR: duplicate" in lines
    assert "INFO: key-unknown" in lines
    assert lines[-1] == "Found: 2 errors, 1 warning, 1 info"
    assert "567890" not in done.stdout
    assert not set(done.stdout) & set("\x1b\u202e")


def test_the_last_line_counts_what_is_listed_and_what_is_not(seeded_run: Run, opened: Opened) -> None:
    with opened() as store:
        table = store.tables.name(CALCULATION_RULE)
        store.engine.put_many(table, [wire(f"CLIENT#P{n}", "CALC#match") for n in range(30)])  # one finding
        store.engine.put_many(table, [wire(f"CLIENT#Q{n}", "CALC#match", max_pct="x") for n in range(30)])
    lines = seeded_run("doctor").stdout.splitlines()
    assert lines[-1] == "Found: 30 errors, 1 warning"


def test_damage_as_json(seeded_run: Run, opened: Opened) -> None:
    damaged(opened)
    done = seeded_run("doctor", "--json")
    assert done.exit_code == 3
    data = json.loads(done.stdout)
    assert data["healthy"] is False
    assert {tuple(finding) for finding in data["findings"]} == {
        ("severity", "check", "table", "pk", "sk", "what", "count", "mend")
    }
    assert ("CLIENT#W_Weekly", "STEP#100") in [(finding["pk"], finding["sk"]) for finding in data["findings"]]
    assert "567890" not in done.stdout


def test_information_alone_is_health(seeded_run: Run, opened: Opened) -> None:
    with opened() as store:
        store.engine.put_many(store.tables.name(PIPELINE_STEP), [wire("NOTE", "1")])
    done = seeded_run("doctor")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "Healthy (1 info)"


def test_quick_reads_no_items(seeded_run: Run, opened: Opened) -> None:
    damaged(opened)
    done = seeded_run("doctor", "--quick")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0].endswith(": the tables")


def test_a_store_that_is_not_there_is_a_finding(run: Run) -> None:
    done = run("--mode", "memory", "doctor", "--read-only")
    assert done.exit_code == 3
    assert done.stdout.count("does not exist") == TABLES
    assert "bluestar-store create" in done.stdout
