"""`inspect`: every question, as a table and as JSON, with the level that an answer came from."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import BatchState, BatchStatus, PlanHold, Store
from tests.cli.conftest import TABLES, Run

QUESTIONS = [
    "",
    "pipeline ACME BiWeeklyFri",
    "pipeline NEWCO Weekly --long",
    "rule ACME match",
    "rules ACME --long",
    "validation SSN",
    "validation COMP --plan ACME --long",
    "limits",
    "limits --long",
    "limits 2026",
    "config ACME BiWeeklyFri",
    "schema PAYWELL",
    "hold",
    "hold ACME",
    "batch --plan ACME",
    "snapshot ACME BiWeeklyFri 2026",
    "snapshot NEWCO Monthly 2025 --long",
    "plans",
    "categories",
    "vendors",
    "plan ACME",
    "plan NOBODY",
    "overrides match",
    "diff NEWCO OTHER",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_an_answer_and_json_is_json_only(question: str, seeded_run: Run) -> None:
    for flags in ([], ["--json"]):
        done = seeded_run("inspect", *question.split(), *flags)
        assert (done.exit_code, done.stderr) == (0, "")
    json.loads(done.stdout)


def _json(run: Run, *arguments: str) -> Any:
    return json.loads(run("inspect", *arguments, "--json").stdout, parse_float=Decimal)


def test_the_overview_counts_items_and_names_indexes(seeded_run: Run) -> None:
    found = _json(seeded_run)
    assert (found["mode"], found["layout"], len(found["tables"])) == ("file", "per_table", TABLES)
    limits = next(table for table in found["tables"] if table["name"] == "bluestar-irs-limits")
    assert limits == {
        "name": "bluestar-irs-limits",
        "exists": True,
        "state": "ACTIVE",
        "items": 8,
        "indexes": ["by_level"],
        "missing_indexes": [],
        "drift": [],
    }
    assert seeded_run("inspect").stdout.splitlines()[0] == f"{found['location']} (mode file, layout per_table)"


def test_json_before_the_question_counts_too(seeded_run: Run) -> None:
    assert json.loads(seeded_run("inspect", "--json", "plans").stdout) == ["ACME", "BETA", "GAMMA_LLC"]


@pytest.mark.parametrize(("plan", "scope", "percent"), [("ACME", "CLIENT", 4), ("NEWCO", "GLOBAL", 6)])
def test_a_rule_shows_its_level(plan: str, scope: str, percent: int, seeded_run: Run) -> None:
    found = _json(seeded_run, "rule", plan, "match")
    assert (found["scope"], found["max_pct"], found["version"]) == (scope, percent, 1)
    shown = seeded_run("inspect", "rule", plan, "match").stdout.splitlines()
    assert ["scope", scope] in [line.split() for line in shown]


def test_the_rules_of_a_plan_show_the_level_of_each(seeded_run: Run) -> None:
    scopes = {one["calc_type"]: one["scope"] for one in _json(seeded_run, "rules", "ACME")}
    assert (scopes["match"], scopes["vesting"]) == ("CLIENT", "GLOBAL")
    shown = seeded_run("inspect", "rules", "ACME").stdout.splitlines()
    rows = [line.split() for line in shown[3:] if not line.startswith(" ")]  # a long formula goes on below
    assert {row[0]: row[1] for row in rows} == scopes


@pytest.mark.parametrize(("plan", "scope", "count"), [("ACME", "CLIENT", 12), ("NEWCO", "DEFAULT", 26)])
def test_a_pipeline_shows_its_level(plan: str, scope: str, count: int, seeded_run: Run) -> None:
    found = _json(seeded_run, "pipeline", plan, "BiWeeklyFri")
    assert (found["scope"], len(found["steps"])) == (scope, count)
    assert [step["step_order"] for step in found["steps"]] == [100 * n for n in range(1, count + 1)]
    title = seeded_run("inspect", "pipeline", plan, "BiWeeklyFri").stdout.splitlines()[0]
    assert title == f"Pipeline of {plan}, BiWeeklyFri: {count} steps, scope {scope}"


def test_a_configuration_shows_its_level_and_may_be_missing(seeded_run: Run) -> None:
    assert {name: one["scope"] for name, one in _json(seeded_run, "config", "ACME", "BiWeeklyFri").items()} == {
        "client": "CLIENT",
        "ach": "CLIENT",
    }
    found = _json(seeded_run, "config", "NEWCO", "Weekly")
    assert (found["client"]["scope"], found["ach"]) == ("DEFAULT", None)


def test_validation_rules_as_they_apply_to_a_plan(seeded_run: Run) -> None:
    everybody = {one["number"] for one in _json(seeded_run, "validation", "COMP")}
    assert {one["number"] for one in _json(seeded_run, "validation", "COMP", "--plan", "ACME")} < everybody


def test_limits_of_a_year_and_of_all(seeded_run: Run) -> None:
    years = _json(seeded_run, "limits")
    assert [one["year"] for one in years] == list(range(2019, 2027))
    assert _json(seeded_run, "limits", "2026") == years[-1]
    shown = seeded_run("inspect", "limits", env={"COLUMNS": "80"}).stdout.splitlines()
    assert len(shown) == 1 + 2 + 1 + 8  # title, head, rule, years: nothing wraps
    assert shown[-1].split()[:4] == ["2026", "24500", "8000", "11250"]


def test_every_limit_is_in_the_table_of_limits() -> None:
    from bluestar_store import IrsLimits
    from bluestar_store.cli.inspect_rules import _LIMITS

    assert {*_LIMITS.values(), "source"} == set(IrsLimits.model_fields)


def test_a_schema_by_its_fingerprint(seeded_run: Run) -> None:
    schemas = _json(seeded_run, "schema", "PAYWELL")
    assert "count" not in schemas[0]
    one = schemas[0]["fingerprint"]
    assert _json(seeded_run, "schema", "PAYWELL", one) == schemas[0]
    shown = seeded_run("inspect", "schema", "PAYWELL", one).stdout
    assert one in shown
    assert "Canonical field" in shown


def test_holds_and_batches(seeded_run: Run, opened: Callable[[], Store]) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    with opened() as store:
        store.holds.put(PlanHold(plan_id="ACME", hold_id="h1", reason="Missing data", created=now))
        store.holds.put(PlanHold(plan_id="ACME", hold_id="h2", created=now, released=now, released_by="ops"))
        store.batches.put(BatchState(batch_id="b1", plan_id="ACME", status=BatchStatus.ON_HOLD, created=now))
    assert [one["hold_id"] for one in _json(seeded_run, "hold")] == ["h1"]
    assert [one["hold_id"] for one in _json(seeded_run, "hold", "ACME")] == ["h1", "h2"]
    assert "Missing data" in seeded_run("inspect", "hold").stdout
    (found,) = _json(seeded_run, "batch", "--plan", "ACME")
    assert (found["status"], found["created"]) == ("ON_HOLD", "2026-01-02T03:04:05.000006Z")
    nothing_yet: dict[str, Any] = {"results": [], "claims": [], "audit": [], "free_state": None, "free_results": []}
    assert _json(seeded_run, "batch", "b1") == found | nothing_yet
    assert "2026-01-02 03:04:05Z" in seeded_run("inspect", "batch", "b1").stdout


def test_a_snapshot_is_the_librarys(seeded_run: Run, opened: Callable[[], Store]) -> None:
    with opened() as store:
        digest = store.plan_snapshot("ACME", "BiWeeklyFri", 2026).digest
    assert _json(seeded_run, "snapshot", "ACME", "BiWeeklyFri", "2026")["digest"] == digest
    assert seeded_run("inspect", "snapshot", "ACME", "BiWeeklyFri", "2026").stdout.endswith(f"digest {digest}\n")


def test_what_a_plan_overrides_names_kind_and_item(seeded_run: Run) -> None:
    found = _json(seeded_run, "plan", "BETA")
    assert {one["kind"] for one in found} == {"calculation-rule", "client-config", "ach-config"}
    assert all(one["plan_id"] == "BETA" for one in found)
    assert seeded_run("inspect", "vendors").stdout.splitlines() == ["PAYWELL", "TALLY HR"]
