"""`seed` as a comparison: --dry-run, --plan, --apply, --prune; and who overrides what, and how two plans differ."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, Store
from bluestar_store.cli import asking
from tests.cli.conftest import DEMO, Run, on


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    """The demo's rule set with one rule more for ACME, one changed, one gone, and another bank account."""
    folder = shutil.copytree(DEMO, tmp_path / "wanted")
    path = folder / "calculation-rules.json"
    content = json.loads(path.read_text())
    rules = [r for r in content["calculation_rules"] if (r["plan_id"], r["calc_type"]) != ("ACME", "er_contrib")]
    for rule in rules:
        if (rule["plan_id"], rule["calc_type"]) == ("ACME", "match"):
            rule |= {"max_pct": 4.75, "description": "Dollar for dollar on deferrals up to 4.75 % of compensation."}
    rules.append({"plan_id": "ACME", "calc_type": "bonus", "formula": "0.01 * compensation"})
    path.write_text(json.dumps({"calculation_rules": rules}))
    path = folder / "agent-config.json"
    path.write_text(path.read_text().replace("000000001001", "000000009999"))
    return folder


def everything(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.json")}


SHOWN = """\
ACME: add 1, change 2, remove 1
  add     calculation-rule CLIENT#ACME CALC#bonus
    formula: 0.01 * compensation
  change  calculation-rule CLIENT#ACME CALC#match
    max_pct: 4 -> 4.75
    description: Dollar for dollar on deferrals up to 4 % of compensation.
              -> Dollar for dollar on deferrals up to 4.75 % of compensation.
  change  ach-config CLIENT#ACME_BiWeeklyFri ACH
    account_number: ********1001 -> ********9999
  remove  calculation-rule CLIENT#ACME CALC#er_contrib
    formula: er_contrib_pct * compensation
    max_pct: 5
    description: Nonelective contribution of 3 % for office staff and 5 % for union staff.
"""


def test_a_dry_run_shows_the_difference_by_level_and_writes_nothing(
    seeded: Path, seeded_run: Run, wanted: Path
) -> None:
    before = everything(seeded)
    done = seeded_run("seed", "--from", str(wanted), "--prune", "--dry-run")
    assert (done.exit_code, done.stderr) == (3, "")
    assert done.stdout == (
        f"What {wanted} would change in the store:\n{SHOWN}To add 1, to change 2, to remove 1; same 30\n"
        "Without --overwrite, 2 of these would be left alone, for something else is stored.\n"
    )
    done = seeded_run("seed", "--from", str(wanted), "--dry-run", "--overwrite")
    assert done.exit_code == 3
    assert "  remove " not in done.stdout
    assert "left alone" not in done.stdout
    assert everything(seeded) == before


def test_a_dry_run_as_data(seeded_run: Run, wanted: Path) -> None:
    done = seeded_run("seed", "--from", str(wanted), "--prune", "--dry-run", "--json")
    assert (done.exit_code, done.stderr) == (3, "")
    found = json.loads(done.stdout, parse_float=Decimal)
    assert all(set(one) == {"level", "kind", "key", "action", "changes"} for one in found)
    assert sorted(one["action"] for one in found) == ["add", "change", "change", "remove"]
    change = next(one for one in found if one["key"] == "CLIENT#ACME CALC#match")
    assert change["changes"][0] == {"attribute": "max_pct", "old": 4, "new": Decimal("4.75")}


def test_no_difference_is_exit_code_0(seeded_run: Run) -> None:
    done = seeded_run("seed", "--dry-run", "--prune")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("The store has all of the baseline.\nTo add 0, to change 0, to remove 0; same ")
    assert seeded_run("seed", "--dry-run", "--json").stdout == "[]\n"


def test_a_plan_is_saved_shown_and_applied_exactly(seeded_run: Run, wanted: Path, tmp_path: Path) -> None:
    options = ["seed", "--from", str(wanted), "--prune", "--overwrite"]
    file = tmp_path / "plan.json"
    done = seeded_run(*options, "--plan", str(file))
    assert (done.exit_code, done.stderr) == (3, "")
    digest = json.loads(file.read_text())["digest"]
    assert done.stdout == (
        f"The plan to bring {wanted} into the store:\n{SHOWN}To add 1, to change 2, to remove 1\nDigest: {digest}\n"
        f"Saved: bluestar-store seed --apply {file} --digest DIGEST writes exactly this.\n"
    )
    assert file.stat().st_mode & 0o077 == 0  # bank numbers are whole in it
    shutil.rmtree(wanted)  # it is not looked at any more
    done = seeded_run("seed", "--apply", str(file), "--digest", "0" * 64)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"has the digest {digest}, not the one given: it is not what was reviewed; nothing was" in done.stderr
    done = seeded_run("seed", "--apply", str(file), "--digest", digest)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"Applied {file}: added 1, overwritten 2, removed 1, same 0, left alone 0\n"
    assert json.loads(seeded_run("inspect", "rule", "ACME", "match", "--json").stdout)["max_pct"] == 4.75
    assert json.loads(seeded_run("inspect", "rule", "ACME", "er_contrib", "--json").stdout)["scope"] == "GLOBAL"


def test_a_plan_without_its_digest_is_shown_again(seeded: Path, seeded_run: Run, wanted: Path, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    planned = seeded_run(
        "--actor", "pat", "seed", "--from", str(wanted), "--prune", "--overwrite", "--plan", str(file), "--json"
    )
    digest = json.loads(file.read_text())["digest"]
    assert planned.stderr == f"digest: {digest}\n"
    before = everything(seeded)
    done = seeded_run("seed", "--apply", str(file))
    assert done.exit_code == 1
    assert done.stderr == (
        "error: nothing was written: there is no terminal to ask at; --digest DIGEST (as --plan printed it) or --yes "
        "answers\n"
    )
    assert everything(seeded) == before
    done = seeded_run("seed", "--apply", str(file), "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"The plan {file}, made 20")
    assert f" UTC, proposed by pat:\n{SHOWN}To add 1, to change 2, to remove 1\nDigest: {digest}\n" in done.stdout


def test_four_eyes_let_nobody_change_rules_alone(
    seeded_run: Run, opened: Callable[[], Store], wanted: Path, tmp_path: Path
) -> None:
    def rules() -> list[tuple[Any, int | None]]:
        with opened() as store:
            return [
                (one, one.version) for level in ("GLOBAL", "DEFAULT", *store.plans()) for one in store.at_level(level)
            ]

    eyes, file = {"BLUESTAR_FOUR_EYES": "true", "BLUESTAR_ACTOR": "pat"}, tmp_path / "plan.json"
    before = rules()
    for command in (
        ["seed", "--from", str(wanted)],
        ["seed", "--overwrite", "--yes"],
        ["rule", "set", "ACME", "match", "max_pct=5", "--yes"],
        ["config", "delete", "ACME", "BiWeeklyFri", "--ach", "--yes"],
        ["pipeline", "remove", "ACME", "BiWeeklyFri", "--yes"],
        ["import", str(tmp_path), "--merge"],
    ):
        done = seeded_run(*command, env=eyes)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "BLUESTAR_FOUR_EYES is set" in done.stderr
    assert seeded_run("seed", env=eyes).exit_code == 0  # there is nothing that it adds
    assert seeded_run("seed", "--from", str(wanted), "--plan", str(file), env=eyes).exit_code == 3
    done = seeded_run("seed", "--apply", str(file), "--yes", env=eyes)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert rules() == before
    assert seeded_run("--actor", "kim", "seed", "--apply", str(file), "--yes", env=eyes).exit_code == 0


def test_four_eyes_let_one_person_fill_a_store_and_nobody_add_to_it_alone(
    seeded_run: Run, opened: Callable[[], Store], tmp_path: Path
) -> None:
    eyes, exported = {"BLUESTAR_FOUR_EYES": "true", "BLUESTAR_ACTOR": "pat"}, str(tmp_path / "export")
    assert seeded_run("export", exported).exit_code == 0
    for number, command in enumerate((["seed"], ["seed", "--from", str(DEMO)], ["import", exported])):
        run = on(tmp_path / f"empty{number}")
        assert run("create", env=eyes).exit_code == 0
        done = run(*command, env=eyes)
        assert (done.exit_code, done.stderr) == (0, "")
        for again in (["seed", "--from", str(DEMO), "--overwrite", "--yes"], ["import", exported]):
            done = run(*again, env=eyes)
            assert (done.exit_code, "BLUESTAR_FOUR_EYES is set" in done.stderr) == (2, True)
    with opened() as store:
        store.calculation_rules.delete(store.calculation_rules.get("GLOBAL", "match"))
    done = seeded_run("seed", env=eyes)  # one person would bring back what two took away
    assert (done.exit_code, done.stdout, "BLUESTAR_FOUR_EYES is set" in done.stderr) == (2, "", True)
    plan = str(tmp_path / "plan.json")
    assert seeded_run("seed", "--plan", plan, env=eyes).exit_code == 3
    assert seeded_run("--actor", "kim", "seed", "--apply", plan, "--yes", env=eyes).exit_code == 0


def test_a_plan_without_overwrite_leaves_alone_what_differs(seeded_run: Run, wanted: Path, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    done = seeded_run("seed", "--from", str(wanted), "--plan", str(file))
    assert done.exit_code == 3
    assert "To add 1, to change 0, to remove 0; left alone 2 (see --overwrite)\n" in done.stdout
    assert seeded_run("seed", "--apply", str(file), "--yes").exit_code == 0
    assert seeded_run("seed", "--from", str(wanted), "--plan", str(file), "--json").stdout == "[]\n"
    assert seeded_run("seed", "--from", str(wanted), "--plan", str(file)).exit_code == 0


def test_a_plan_is_refused_when_the_store_has_moved(
    seeded: Path, seeded_run: Run, wanted: Path, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    seeded_run("seed", "--from", str(wanted), "--prune", "--overwrite", "--plan", str(file))
    assert seeded_run("--actor", "pat", "rule", "set", "ACME", "match", "max_pct=5", "--yes").exit_code == 0
    before = everything(seeded)
    for flags in ([], ["--json"]):
        done = seeded_run("seed", "--apply", str(file), *flags)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == (
            "error: the store has moved since the plan was made; nothing was written. "
            "Changed: 1 item: CLIENT#ACME CALC#match (by pat)\n"
        )
    assert everything(seeded) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dry-run", "--plan", "p.json"], "give either --dry-run or --plan"),
        (["--apply", __file__, "--prune", "--overwrite"], "takes no --overwrite, --prune"),
        (["--apply", __file__, "--dry-run"], "takes no --dry-run"),
        (["--apply", __file__, "--from", str(DEMO)], "takes no --from"),
        (["--apply", __file__, "--plan", "p.json"], "takes no --plan"),
        (["--digest", "0"], "--digest goes with --apply"),
        (["--plan", "/no/such/folder/p.json"], "--plan: /no/such/folder/p.json cannot be written: No such file"),
    ],
    ids=lambda value: " ".join(value[::2]) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_are_bad_usage(options: list[str], said: str, seeded_run: Run) -> None:
    done = seeded_run("seed", *options)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_a_file_that_is_no_plan_is_one_error(seeded_run: Run) -> None:
    done = seeded_run("seed", "--apply", __file__)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is no plan of this version" in done.stderr


def test_pruning_without_a_terminal_needs_yes(seeded: Path, seeded_run: Run, wanted: Path) -> None:
    before = everything(seeded)
    options = ["seed", "--from", str(wanted), "--prune"]
    done = seeded_run(*options)
    assert done.exit_code == 1
    assert "  remove  calculation-rule CLIENT#ACME CALC#er_contrib\n" in done.stdout
    assert done.stdout.endswith("\nTo add 1, to change 0, to remove 1\n")
    assert done.stderr == "error: nothing was written: there is no terminal to ask at; --yes answers\n"
    assert everything(seeded) == before
    done = seeded_run(*options, "--yes", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [one["key"] for one in found["removed"]] == ["CLIENT#ACME CALC#er_contrib"]
    assert [len(found[name]) for name in ("added", "overwritten", "left_alone", "same")] == [1, 0, 2, 30]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("Yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_pruning_asks(answer: str, code: int, seeded: Path, wanted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from bluestar_store.cli import app

    monkeypatch.setattr(asking, "is_terminal", lambda: True)
    arguments = ["--mode", "file", "--dir", str(seeded), "seed", "--from", str(wanted), "--prune", "--json"]
    before = everything(seeded)
    done = CliRunner().invoke(app, arguments, input=answer)
    assert done.exit_code == code
    assert "  remove  calculation-rule CLIENT#ACME CALC#er_contrib\n" in done.stderr
    assert "To add 1, to change 0, to remove 1\nWrite this? [y/N]: " in done.stderr
    assert bool(done.stdout) is (code == 0)  # data of what was done, or nothing
    assert (everything(seeded) == before) is (code == 1)


def test_pruning_with_the_baseline_changes_no_clients_item(
    seeded: Path, seeded_run: Run, opened: Callable[[], Store]
) -> None:
    with opened() as store:
        before = [(entity, entity.version) for plan in store.plans() for entity in store.overrides(plan)]
        store.calculation_rules.put(CalculationRule(plan_id="GLOBAL", calc_type="obsolete"))
    done = seeded_run("seed", "--prune", "--overwrite", "--yes")
    assert "\nSeeded the baseline: added 0, overwritten 0, removed 1, " in done.stdout
    with opened() as store:
        assert [(e, e.version) for plan in store.plans() for e in store.overrides(plan)] == before


def test_what_was_not_shown_is_not_removed(
    seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch, wanted: Path
) -> None:
    def meanwhile(*arguments: Any, **options: Any) -> None:
        with opened() as store:
            store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="late"))

    monkeypatch.setattr("bluestar_store.cli.seed.ask", meanwhile)
    assert seeded_run("seed", "--from", str(wanted), "--prune").exit_code == 0
    with opened() as store:
        assert store.calculation_rules.get("ACME", "late").scope == "CLIENT"


def test_what_somebody_changed_after_it_was_shown_is_not_overwritten(
    seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch, wanted: Path
) -> None:
    def meanwhile(*arguments: Any, **options: Any) -> None:
        with opened() as store:
            found = store.calculation_rules.get("ACME", "match")
            store.calculation_rules.put(found.model_copy(update={"max_pct": Decimal(1)}), actor="pat")

    monkeypatch.setattr("bluestar_store.cli.seed.ask", meanwhile)
    done = seeded_run("seed", "--from", str(wanted), "--overwrite")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "CLIENT#ACME CALC#match: somebody changed it meanwhile; seed again" in done.stderr
    assert "expected version 1, found version 2, written by 'pat'" in done.stderr
    with opened() as store:
        assert store.calculation_rules.get("ACME", "match").max_pct == 1


def test_what_cannot_be_seen_is_shown_as_escapes(seeded_run: Run, tmp_path: Path) -> None:
    rule = {"plan_id": "ACME", "calc_type": "bonus", "description": "6\u200b %\u202e\u00ad"}
    (tmp_path / "calculation-rules.json").write_text(json.dumps({"calculation_rules": [rule]}))
    done = seeded_run("seed", "--from", str(tmp_path), "--dry-run")
    assert "    description: 6\\u200b %\\u202e\\xad\n" in done.stdout


def test_lines_of_a_difference_fit_80_columns_but_for_long_values(tmp_path: Path) -> None:
    run = on(tmp_path / "store")
    run("create")
    done = run("seed", "--dry-run")
    assert done.exit_code == 3
    lines = done.stdout.splitlines()
    assert (
        max(len(line) for line in lines if not re.match(" {4}(description|formula|message|pattern|source): ", line))
        <= 80
    )
    assert [line for line in lines if line[0] not in " WT"] == [
        "DEFAULT: add 108",
        "GLOBAL: add 55",
    ]


def test_who_overrides_a_rule_beside_globals(seeded_run: Run, opened: Callable[[], Store]) -> None:
    with opened() as store:
        shared = store.calculation_rules.get("GLOBAL", "match")
        store.calculation_rules.put(CalculationRule(**dict(shared) | {"plan_id": "TWIN"}))
    done = seeded_run("inspect", "overrides", "match", env={"COLUMNS": "80"})
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Calculation rule match: 3 plans with a rule of their own"
    assert ["ACME", "max_pct", "6", "4"] in [line.split() for line in lines]
    assert "TWIN  (same as GLOBAL's)" in lines
    assert max(map(len, lines)) <= 80
    found = json.loads(seeded_run("inspect", "overrides", "match", "--json").stdout, parse_float=Decimal)
    assert found["global"]["max_pct"] == 6
    assert [plan["plan_id"] for plan in found["plans"]] == ["ACME", "BETA", "TWIN"]
    assert found["plans"][0]["differs"][0] == {"attribute": "max_pct", "global": 6, "own": 4}
    assert found["plans"][2]["differs"] == []


def test_a_rule_that_global_lacks_and_one_that_nobody_has(seeded_run: Run, opened: Callable[[], Store]) -> None:
    with opened() as store:
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="own", formula="1"))
    done = seeded_run("inspect", "overrides", "own")
    assert done.stdout.endswith("GLOBAL has no such rule: other plans have none.\n")
    assert json.loads(seeded_run("inspect", "overrides", "own", "--json").stdout)["global"] is None
    done = seeded_run("inspect", "overrides", "ACME")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: nobody has a calculation rule ACME; for a plan: inspect plan ACME\n"


def test_how_two_plans_differ(seeded_run: Run) -> None:
    done = seeded_run("inspect", "diff", "ACME", "BETA")
    assert (done.exit_code, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "What differs between ACME and BETA (attribute: ACME | BETA):"
    for line in (
        "    max_pct: 4 | 4.25",
        "  validation-rule CENSUS 101: only ACME has it",
        "  validation-rule COMP 4: only BETA has it",
        "  pipeline-step BiWeeklyFri ELIGIBILITY: only BETA has it",
        "    deadline_hour: 14 | 16",
        "  ach-config Weekly: only BETA has it",
    ):
        assert line in lines
    done = seeded_run("inspect", "diff", "ACME", "BETA", "--json")
    assert done.exit_code == 3
    assert "000000001001" not in done.stdout
    assert "********1001" in done.stdout
    found = json.loads(done.stdout)
    assert (found["one"], found["other"]) == ("ACME", "BETA")
    match = next(one for one in found["differences"] if one["item"] == {"calc_type": "match"})
    assert match["scopes"] == {"one": "CLIENT", "other": "CLIENT"}
    assert {"attribute": "max_pct", "one": 4, "other": 4.25} in match["changes"]


def test_plans_on_the_defaults_do_not_differ(seeded_run: Run) -> None:
    done = seeded_run("inspect", "diff", "NEWCO", "OTHER")
    assert (done.exit_code, done.stdout) == (0, "No difference.\n")
    done = seeded_run("inspect", "diff", "GLOBAL", "ACME")
    assert (done.exit_code, done.stdout) == (1, "")
