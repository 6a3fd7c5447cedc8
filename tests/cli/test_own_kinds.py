"""Every command knows the kinds that BLUESTAR_KINDS names, in both layouts."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import TableLayout
from tests.cli.conftest import Run, invoke

CONFIG = {"plan_id": "ACME", "pay_freq": "Weekly", "custodian": "Fidelity", "forfeiture_pct": 2.5}
CALENDARS = [
    {"plan_id": "DEFAULT", "year": 2026, "pay_days": ["2026-01-02"]},
    {"plan_id": "ACME", "year": 2026, "pay_days": ["2026-01-09"]},
]


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_KINDS", "tests.own_kinds:KINDS")


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def at(folder: Path, layout: str) -> Run:
    """The command on a folder in a layout; it has to end with 0, or 3 for differences."""

    def run(*arguments: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Any:
        done = invoke("--mode", "file", "--dir", str(folder), "--layout", layout, *arguments, env=env)
        assert done.exit_code in (0, 3), done.stderr
        assert done.stderr == ""
        return done

    return run


@pytest.fixture
def own(tmp_path: Path, layout: str) -> Run:
    run = at(tmp_path / "store", layout)
    run("create")
    return run


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "agent-config.json").write_text(json.dumps({"client_configs": [CONFIG]}))
    (folder / "pay-calendar.json").write_text(json.dumps({"pay_calendars": CALENDARS}))
    return folder


def _json(done: Any) -> Any:
    return json.loads(done.stdout, parse_float=Decimal)


def test_create_makes_their_table(tmp_path: Path, layout: str) -> None:
    names = [table["name"] for table in _json(at(tmp_path, layout)("create", "--json"))["tables"]]
    assert ("bluestar-pay-calendar" in names) is (layout == "per_table")


def test_the_baseline_is_seeded_beside_them(own: Run) -> None:
    assert len(_json(own("seed", "--json"))["added"]) > 100
    assert own("seed", "--dry-run").exit_code == 0
    assert own("seed", "--prune", "--yes").exit_code == 0


def test_a_rule_set_is_seeded_with_them(own: Run, rules: Path) -> None:
    assert len(_json(own("seed", "--from", str(rules), "--json"))["added"]) == 3
    assert own("seed", "--from", str(rules), "--dry-run").exit_code == 0
    shown = own("inspect", "plan", "ACME").stdout
    assert "pay-calendar" in shown
    assert "forfeiture_pct=2.5" in shown
    values = {found["kind"]: found for found in _json(own("inspect", "plan", "ACME", "--json"))}
    assert values["client-config"]["forfeiture_pct"] == Decimal("2.5")
    assert values["pay-calendar"]["pay_days"] == ["2026-01-09"]
    own("config", "set", "ACME", "Weekly", "forfeiture_pct=3.25", "--yes")
    assert own("seed", "--from", str(rules), "--dry-run").exit_code == 3


def test_a_difference_tells_what_is_beside_the_key_and_nothing_twice(own: Run, rules: Path) -> None:
    lines = own("seed", "--from", str(rules), "--dry-run").stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "pay-calendar CLIENT#ACME PAYDAYS#2026" in line)
    assert [line.partition(":")[0].strip() for line in lines[at + 1 : at + 2]] == ["pay_days"]
    assert not [line for line in lines if line.strip().startswith(("plan_id:", "year:", "pay_freq:"))]


def test_prune_removes_what_the_rule_set_does_not_have(own: Run, rules: Path) -> None:
    own("seed", "--from", str(rules))
    own_days = {"pay_calendars": [CALENDARS[0], {**CALENDARS[1], "year": 2025}]}
    (rules / "pay-calendar.json").write_text(json.dumps(own_days))
    report = _json(own("seed", "--from", str(rules), "--prune", "--yes", "--json"))
    assert [entry["key"] for entry in report["removed"]] == ["CLIENT#ACME PAYDAYS#2026"]


def test_a_plan_is_saved_and_applied_with_them(own: Run, rules: Path, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert own("seed", "--from", str(rules), "--plan", plan).exit_code == 3
    assert len(_json(own("seed", "--apply", plan, "--yes", "--json"))["added"]) == 3
    assert own("seed", "--from", str(rules), "--dry-run").exit_code == 0


def test_a_plan_with_kinds_that_are_not_known_says_so(
    rules: Path, tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan = at(tmp_path / "store", layout), tmp_path / "plan.json"
    run("create")
    run("seed", "--from", str(rules), "--plan", str(plan))
    monkeypatch.delenv("BLUESTAR_KINDS")
    where = ["--mode", "file", "--dir", str(tmp_path / "store"), "--layout", layout]
    done = invoke(*where, "seed", "--apply", str(plan))
    assert done.exit_code == 1
    assert "attributes of client-config that are not known here: forfeiturePct; kinds of your own" in done.stderr
    (rules / "agent-config.json").unlink()
    monkeypatch.setenv("BLUESTAR_KINDS", "tests.own_kinds:KINDS")
    run("seed", "--from", str(rules), "--plan", str(plan))
    monkeypatch.delenv("BLUESTAR_KINDS")
    done = invoke(*where, "seed", "--apply", str(plan))
    assert done.exit_code == 1
    assert "a kind 'pay-calendar' that is not known here" in done.stderr
    assert "BLUESTAR_KINDS" in done.stderr


def test_an_export_is_imported_with_them(own: Run, rules: Path, tmp_path: Path, layout: str) -> None:
    own("seed", "--from", str(rules))
    own("export", str(tmp_path / "one"))
    other = at(tmp_path / "other", "single" if layout == "per_table" else "per_table")
    other("create")
    # The three, and the entry that their load left with the head of its trail.
    assert _json(other("import", str(tmp_path / "one"), "--json"))["written"] == 5
    other("export", str(tmp_path / "two"))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_an_export_of_one_plan_has_its_own(own: Run, rules: Path, tmp_path: Path) -> None:
    own("seed", "--from", str(rules))
    assert _json(own("export", str(tmp_path / "acme"), "--plan", "ACME", "--json"))["items"] == 2


def test_doctor_finds_nothing_about_them(own: Run, rules: Path) -> None:
    own("seed")
    own("seed", "--from", str(rules))
    assert own("doctor").exit_code == 0


def test_schemas_of_their_rule_files_are_written(own: Run, tmp_path: Path) -> None:
    own("schema", str(tmp_path / "schemas"))
    assert "forfeiture_pct" in (tmp_path / "schemas" / "agent-config.schema.json").read_text()
    assert "pay_days" in (tmp_path / "schemas" / "pay-calendar.schema.json").read_text()


def test_two_plans_differ_in_them_by_what_applies(own: Run, rules: Path) -> None:
    own("seed", "--from", str(rules))
    found = _json(own("inspect", "diff", "ACME", "NEWCO", "--json"))["differences"]
    (days,) = [one for one in found if one["kind"] == "pay-calendar"]
    assert days["item"] == {"year": 2026}
    assert days["scopes"] == {"one": "CLIENT", "other": "DEFAULT"}
    assert days["changes"] == [{"attribute": "pay_days", "one": ["2026-01-09"], "other": ["2026-01-02"]}]
    assert "forfeiture_pct" in json.dumps([one for one in found if one["kind"] == "client-config"], default=str)
    assert own("inspect", "diff", "NEWCO", "OTHER").exit_code == 0
    assert "pay-calendar 2026" in own("inspect", "diff", "ACME", "NEWCO").stdout
