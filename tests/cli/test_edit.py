"""One thing at a time: the difference is shown, the answer counts, and the actor is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bluestar_store import CalculationRule, Store
from bluestar_store.cli import app, asking
from bluestar_store.keys import Key
from bluestar_store.protocols import Delete
from bluestar_store.rulesets.reading import rule_files
from tests.cli.conftest import Run


def inspected(run: Run, *arguments: str) -> Any:
    return json.loads(run("inspect", *arguments, "--json").stdout)


def test_a_rule_is_set_and_deleted(seeded_run: Run) -> None:
    done = seeded_run("--actor", "pat", "rule", "set", "ACME", "match", "max_pct=5.50", "age_threshold=21", "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "ACME: change 1\n"
        "  change  calculation-rule CLIENT#ACME CALC#match\n"
        "    max_pct: 4 -> 5.5\n"
        "    age_threshold: (none) -> 21\n"
        "Written.\n"
    )
    found = inspected(seeded_run, "rule", "ACME", "match")
    assert (found["max_pct"], found["age_threshold"], found["version"], found["written_by"]) == (5.5, 21, 2, "pat")
    done = seeded_run("rule", "set", "ACME", "match", "age_threshold=null", "--yes", "--json")
    assert json.loads(done.stdout) == [
        {
            "level": "ACME",
            "kind": "calculation-rule",
            "key": "CLIENT#ACME CALC#match",
            "action": "change",
            "changes": [{"attribute": "age_threshold", "old": 21, "new": None}],
        }
    ]
    assert inspected(seeded_run, "rule", "ACME", "match")["written_by"] is None
    done = seeded_run("rule", "delete", "ACME", "match", "--yes")
    assert done.stdout.startswith("ACME: remove 1\n  remove  calculation-rule CLIENT#ACME CALC#match\n    formula: ")
    assert done.stdout.endswith("\nDeleted.\n")
    assert inspected(seeded_run, "rule", "ACME", "match")["scope"] == "GLOBAL"


def test_what_is_not_there_is_made_and_said_to_be(seeded_run: Run) -> None:
    done = seeded_run("rule", "set", "NEWCO", "match", "max_pct=3", "--yes")
    assert done.stdout == (
        "NEWCO: add 1\n"
        "  add     calculation-rule CLIENT#NEWCO CALC#match\n"
        "    max_pct: 3\n"
        "Not stored yet: it will be made.\n"
        "It stands alone: GLOBAL's formula, description will not apply to NEWCO any more.\n"
        "Written.\n"
    )
    done = seeded_run("rule", "set", "NEWCO", "mtach", "max_pct=3", "formula=compensation * 2", "--yes")
    assert done.stdout.endswith("it will be made.\nGLOBAL has no rule mtach either; did you mean match?\nWritten.\n")
    done = seeded_run("rule", "set", "GLOBAL", "new", "max_pct=3", "--yes")
    assert done.stdout.endswith("it will be made.\nWritten.\n")


def test_what_is_stored_already_is_not_written_and_not_asked_about(seeded_run: Run) -> None:
    done = seeded_run("rule", "set", "ACME", "match", "max_pct=4.00")
    assert (done.exit_code, done.stdout) == (0, "Nothing to do: that is what is stored.\n")
    assert seeded_run("rule", "set", "ACME", "match", "max_pct=4", "--json").stdout == "[]\n"
    assert inspected(seeded_run, "rule", "ACME", "match")["version"] == 1


CHANGES = [
    ["rule", "set", "ACME", "match", "max_pct=5"],
    ["rule", "delete", "ACME", "match"],
    ["validation", "set", "SSN", "1", "severity=WARNING"],
    ["validation", "set", "SSN", "1", "enabled=false", "--plan", "ACME"],
    ["validation", "delete", "SSN", "1"],
    ["validation", "delete", "COMP", "4", "--plan", "ACME"],
    ["limits", "set", "2027", "max_401k=25000", "source=IRS Notice"],
    ["limits", "delete", "2019"],
    ["config", "set", "ACME", "BiWeeklyFri", "deadline_hour=10"],
    ["config", "set", "DEFAULT", "Weekly", "custodian=X"],
    ["config", "delete", "ACME", "BiWeeklyFri"],
    ["config", "set", "ACME", "BiWeeklyFri", "bank_id=B", "--ach"],
    ["config", "delete", "ACME", "BiWeeklyFri", "--ach"],
    ["pipeline", "remove", "ACME", "BiWeeklyFri"],
]


@pytest.mark.parametrize("command", CHANGES, ids=" ".join)
def test_every_change_asks_and_a_second_one_finds_nothing_to_do(
    command: list[str], seeded: Path, seeded_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everything() -> dict[str, str]:
        return {path.name: path.read_text() for path in seeded.glob("*.json")}

    before = everything()
    done = seeded_run(*command)
    assert done.exit_code == 1
    assert done.stderr == "error: nothing was written: there is no terminal to ask at; --yes answers\n"
    monkeypatch.setattr(asking, "is_terminal", lambda: True)
    for answer, code in (("no\n", 1), ("y\n", 0)):
        assert everything() == before
        done = CliRunner().invoke(app, ["--mode", "file", "--dir", str(seeded), *command], input=answer)
        assert done.exit_code == code
        assert " this? [y/N]: " in done.stderr
    again = seeded_run(*command, "--yes")
    assert again.exit_code == (0 if "set" in command else 1)
    assert again.stdout == ("Nothing to do: that is what is stored.\n" if "set" in command else "")


def test_with_json_the_question_is_on_stderr_and_data_only_of_what_was_written(
    seeded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "is_terminal", lambda: True)
    command = ["--mode", "file", "--dir", str(seeded), "rule", "set", "ACME", "match", "max_pct=5", "--json"]
    declined = CliRunner().invoke(app, command, input="n\n")
    assert (declined.exit_code, declined.stdout) == (1, "")
    assert "    max_pct: 4 -> 5\nWrite this? [y/N]: error: nothing was written\n" in declined.stderr
    agreed = CliRunner().invoke(app, command, input="y\n")
    assert (agreed.exit_code, json.loads(agreed.stdout)[0]["action"]) == (0, "change")


def test_a_change_while_the_question_stands_is_not_lost(
    seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*arguments: Any, **options: Any) -> None:
        with opened() as store:
            store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="theirs"))

    monkeypatch.setattr("bluestar_store.cli.editing.ask", meanwhile)
    done = seeded_run("rule", "set", "ACME", "match", "max_pct=5")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "expected version 1, found version 2" in done.stderr
    assert inspected(seeded_run, "rule", "ACME", "match")["formula"] == "theirs"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["rule", "set", "ACME", "match", "max_pc=1"], 2, "'max_pc' is no field of CalculationRule; did you mean max"),
        (["rule", "set", "ACME", "match", "max_pct=six", "x"], 2, "max_pct is no number; the 2nd is not KEY=VALUE"),
        (["rule", "set", "A#B", "match", "max_pct=1"], 1, "plan_id 'A#B' contains '#'"),
        (["rule", "delete", "NEWCO", "match"], 1, "no calculation-rule CLIENT#NEWCO CALC#match is stored"),
        (["validation", "set", "SSN", "1", "pattern=("], 2, "pattern is no regular expression"),
        (["validation", "set", "SSN", "1", "enabled=null"], 2, "enabled always has a value"),
        (["config", "set", "GLOBAL", "Weekly", "custodian=X"], 1, "GLOBAL is reserved"),
        (["pipeline", "remove", "NEWCO", "Weekly"], 1, "NEWCO has no pipeline of its own for Weekly"),
        (["pipeline", "replace", "NEWCO", "Wee_kly", __file__], 1, "contains '_'"),
        (["schema", "set", "PAYWELL"], 2, "nothing to set"),
        (["schema", "set", "PAYWELL", "abc"], 2, "nothing to set"),
        (["schema", "set", "PAYWELL", "plan_id=ACME"], 2, "give a FINGERPRINT"),
        (["schema", "delete", "PAYWELL", "abc"], 1, "no vendor-schema VENDOR#PAYWELL SCHEMA#abc is stored"),
        (["--actor", "", "rule", "delete", "ACME", "match"], 2, "--actor: "),
    ],
    ids=lambda value: " ".join(value[:5]) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_line(command: list[str], code: int, said: str, seeded_run: Run) -> None:
    done = seeded_run(*command)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert said in done.stderr


@pytest.mark.parametrize(
    "command",
    [["rule", "set", "ACME", "match"], ["limits", "set", "abc", "x=1"], ["pipeline", "replace", "A", "W", "/no/file"]],
    ids=" ".join,
)
def test_bad_usage_is_2(command: list[str], seeded_run: Run) -> None:
    done = seeded_run(*command)
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_pipeline_is_replaced_by_the_steps_in_a_file(seeded_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"steps": [{"step_order": 100, "subroutine_name": "FILE_INGEST", "agent": "IDP"}]}))
    done = seeded_run("pipeline", "replace", "BETA", "Weekly", str(file), "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("BETA: add 1\n  add     pipeline-step CLIENT#BETA_Weekly STEP#0100\n    subroutine")
    assert done.stdout.endswith("\nNot stored yet: it will be made.\nWritten.\n")
    file.write_text(json.dumps({"steps": [{"step_order": 200}, {"step_order": 100, "agent": "X"}]}))
    actions = json.loads(seeded_run("pipeline", "replace", "BETA", "Weekly", str(file), "-y", "--json").stdout)
    assert [(one["key"].split()[1], one["action"]) for one in actions] == [
        ("STEP#0100", "change"),
        ("STEP#0200", "add"),
    ]
    assert [step["step_order"] for step in inspected(seeded_run, "pipeline", "BETA", "Weekly")["steps"]] == [100, 200]
    file.write_text(json.dumps({"steps": [{"step_order": 100, "plan_id": "X"}, {"stp": 1}]}))
    done = seeded_run("pipeline", "replace", "BETA", "Weekly", str(file), "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "mine.json#/steps: step 100 is of X Weekly, not of BETA Weekly\n" in done.stderr


def test_removing_a_pipeline_mends_one_whose_steps_another_program_deleted(
    seeded_run: Run, opened: Callable[[], Store]
) -> None:
    with opened() as store:
        steps = store.pipelines.steps("ACME", "BiWeeklyFri")
        table = store.tables.name(store.pipelines.mapper)
        store.engine.write(*(Delete(table, step.origin.key) for step in steps if step.origin is not None))
    asked = seeded_run("pipeline", "remove", "ACME", "BiWeeklyFri")
    assert (asked.exit_code, asked.stderr.startswith("error: nothing was written")) == (1, True)
    assert asked.stdout == (
        "ACME: remove 1\n"
        "  remove  pipeline-step CLIENT#ACME_BiWeeklyFri\n"
        "Its steps are gone already: another program deleted them.\n"
    )
    done = seeded_run("pipeline", "remove", "ACME", "BiWeeklyFri", "--yes", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert [(one["key"], one["action"]) for one in json.loads(done.stdout)] == [("CLIENT#ACME_BiWeeklyFri", "remove")]
    assert inspected(seeded_run, "pipeline", "ACME", "BiWeeklyFri")["steps"][0]["scope"] == "DEFAULT"
    done = seeded_run("pipeline", "remove", "ACME", "BiWeeklyFri", "--yes")
    assert done.stderr == "error: ACME has no pipeline of its own for BiWeeklyFri\n"


def test_a_vendors_schema_is_set_by_its_columns_and_deleted(seeded_run: Run, tmp_path: Path) -> None:
    file = tmp_path / "columns.json"
    mapping = {"SSN": "ssn", "Account Number": "account_number"}
    file.write_text(json.dumps({"columns": list(mapping), "mapping": mapping}))
    done = seeded_run("schema", "set", "PAYWELL", "plan_id=BETA", "--file", str(file), "--yes", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    (made,) = json.loads(done.stdout)
    assert (made["level"], made["action"]) == ("BETA", "add")
    fingerprint = made["key"].partition("SCHEMA#")[2]
    assert inspected(seeded_run, "schema", "PAYWELL", fingerprint)["mapping"] == mapping
    done = seeded_run("schema", "set", "PAYWELL", fingerprint, "plan_id=null", "pay_freq=Weekly", "--yes")
    assert "    plan_id: BETA -> (none)\n    pay_freq: (none) -> Weekly\n" in done.stdout
    file.write_text(json.dumps({"mapping": {"SSN": "ssn", "Account Number": "loan"}}))
    done = seeded_run("schema", "set", "PAYWELL", fingerprint, "--file", str(file), "--yes")
    assert "Account Number=account_number" in done.stdout  # the name of a field is no bank number
    assert seeded_run("schema", "set", "PAYWELL", "mapping={}", "--file", str(file)).exit_code == 2
    assert seeded_run("schema", "delete", "PAYWELL", fingerprint, "--yes").exit_code == 0
    assert seeded_run("inspect", "schema", "PAYWELL", fingerprint).exit_code == 1


@pytest.mark.parametrize("spelling", [["schema"], ["schema", "write"]])
def test_the_json_schemas_are_written_into_a_folder(spelling: list[str], run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "schemas"
    done = run(*spelling, str(folder), "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    names = sorted(name.replace(".json", ".schema.json") for name in rule_files())
    assert json.loads(done.stdout) == [str(folder / name) for name in names]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert run(*spelling, str(folder)).stdout.splitlines() == [str(folder / name) for name in names]


def test_a_folder_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("schema", str(tmp_path / "file" / "schemas"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("cannot be written: Not a directory\n")


def test_what_a_plans_own_leaves_behind_of_the_default_is_told(seeded_run: Run) -> None:
    done = seeded_run("validation", "set", "SSN", "1", "--plan", "NEWCO", "severity=WARNING", "--yes")
    assert "It stands alone: GLOBAL's field, pattern, message will not apply to NEWCO any more.\n" in done.stdout
    done = seeded_run("validation", "set", "SSN", "2", "--plan", "NEWCO", "enabled=false", "--yes")
    assert "stands alone" not in done.stdout  # it switches GLOBAL's off, which is what it says
    done = seeded_run("config", "set", "NEWCO", "Weekly", "custodian=DEMO TRUST", "--yes")
    assert "It stands alone: DEFAULT's deadline_hour will not apply to NEWCO any more.\n" in done.stdout
    done = seeded_run("limits", "set", "2027", "max_401k=25000", "source=guess", "--yes")
    assert "2026 has catch_up, super_catch_up, comp_limit, annual_addition, " in done.stdout
    assert "roth_catch_up_wage, which 2027 will not have.\n" in done.stdout


UNREADABLE: list[tuple[str, str, str, dict[str, Any], list[str], list[str]]] = [
    ("calculation-rules", "CLIENT#ACME", "CALC#match", {"max_pct": {"S": "abc"}},
     ["rule", "set", "ACME", "match", "max_pct=5"], ["rule", "delete", "ACME", "match"]),
    ("validation-rules", "CATEGORY#SSN", "RULE#1", {"enabled": {"S": "yes"}},
     ["validation", "set", "SSN", "1", "severity=WARNING"], ["validation", "delete", "SSN", "1"]),
    ("irs-limits", "YEAR#2031", "LIMITS", {"max_401k": {"S": "$1"}, "version": {"S": "one"}},
     ["limits", "set", "2031", "max_401k=30000"], ["limits", "delete", "2031"]),
    ("agent-config", "CLIENT#ACME_Weekly", "ACH", {"account_number": {"N": "999988887777"}},
     ["config", "set", "ACME", "Weekly", "bank_id=B", "--ach"], ["config", "delete", "ACME", "Weekly", "--ach"]),
    ("vendor-schema-mapping", "VENDOR#V", "SCHEMA#f1", {"created": {"S": "some day"}},
     ["schema", "set", "V", "f1", "plan_id=ACME"], ["schema", "delete", "V", "f1"]),
    ("processing-pipeline", "CLIENT#NEW_Weekly", "STEP#0100", {"timeoutSeconds": {"S": "long"}},
     ["pipeline", "replace", "NEW", "Weekly", "steps.json"], ["pipeline", "remove", "NEW", "Weekly"]),
]  # fmt: skip


@pytest.mark.parametrize("how", ["set", "delete"])
@pytest.mark.parametrize("broken", UNREADABLE, ids=lambda broken: broken[0])
def test_what_cannot_be_read_is_mended_by_its_key(
    broken: Any, how: str, seeded_run: Run, opened: Callable[[], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, pk, sk, bad, setting, deleting = broken
    monkeypatch.chdir(tmp_path)
    Path("steps.json").write_text('{"steps": [{"step_order": 100, "subroutine_name": "a", "agent": "IDP"}]}')
    item = {"PK": {"S": pk}, "SK": {"S": sk}, "note": {"S": "theirs"}, **bad}
    if table == "validation-rules":
        seeded_run("validation", "delete", "SSN", "1", "--yes")
    with opened() as store:
        name = f"bluestar-{table}"
        store.engine.put_many(name, [item])
    done = seeded_run(*(setting if how == "set" else deleting), "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "(cannot be read)" in done.stdout
    assert "99998888" not in done.stdout
    with opened() as store:
        found = store.engine.get(name, [Key(pk, sk)], consistent=True).get(Key(pk, sk))
    if how == "delete":
        assert found is None
    else:
        assert found is not None
        assert found["note"] == {"S": "theirs"}
        assert not any(found.get(name) == value for name, value in bad.items())
        done = seeded_run(*setting, "--yes")
        assert (done.exit_code, done.stdout) == (0, "Nothing to do: that is what is stored.\n")
