"""Values that shrink, are out of bounds or unusual: asked about, refused or told before they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_limits_that_shrink_are_asked_about(seeded_run: Run, tmp_path: Path) -> None:
    less = "Is that meant? irs-limits YEAR#2027 LIMITS: max_401k is 20000, less than the 24500 of the year before\n"
    done = seeded_run("limits", "set", "2027", "max_401k=20000")
    assert (done.exit_code, less in done.stdout) == (1, True)
    (tmp_path / "irs-limits.json").write_text('{"irs_limits": [{"year": 2027, "max_401k": 20000}]}')
    done = seeded_run("seed", "--from", str(tmp_path), "--dry-run")
    assert (done.exit_code, done.stderr, less in done.stdout) == (3, "", True)
    done = seeded_run("seed", "--from", str(tmp_path), "--dry-run", "--json")
    assert done.stderr == f"warning: {less}"
    done = seeded_run("seed", "--from", str(tmp_path))
    assert (done.exit_code, done.stderr) == (0, f"warning: {less}")
    assert seeded_run("doctor").exit_code == 3
    assert seeded_run("doctor", env={"BLUESTAR_CHECKS_OFF": "limits"}).exit_code == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["2025", "max_401k=99999"], "YEAR#2026 LIMITS: max_401k is 24500, less than the 99999 of the year before"),
        (["2025", "max_401k=1"], "YEAR#2025 LIMITS: max_401k is 1, less than the 23000 of the year before"),
        (["2018", "max_401k=20000"], "YEAR#2019 LIMITS: max_401k is 19000, less than the 20000 of the year before"),
        (["2026", "catch_up=null"], "YEAR#2026 LIMITS: catch_up is taken away; it was 8000"),
        (["2025", "super_catch_up=null"], "YEAR#2025 LIMITS: super_catch_up is taken away; it was 11250"),
        (["2024", "super_catch_up=null", "source=IRS"], None),  # it has none
        (["2025", "max_401k=23600"], None),
        (["2100", "max_401k=1"], None),
        (["1974", "max_401k=1"], None),
    ],
)
def test_limits_are_held_against_the_years_on_either_side(
    seeded_run: Run, change: list[str], said: str | None, tmp_path: Path
) -> None:
    done = seeded_run("limits", "set", *change)
    asked = [line for line in done.stdout.splitlines() if line.startswith("Is that meant?")]
    assert (done.exit_code, asked) == (1, [f"Is that meant? irs-limits {said}"] if said else [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["limits", "set", "2027", "max_401k=-5"], "max_401k is not from 0 to 10000000 dollars"),
        (["limits", "set", "2027", "max_401k=1E+40"], "max_401k is not from 0 to 10000000 dollars"),
        (["limits", "set", "99999999999999", "max_401k=1"], "year is not from 1974 to 2100"),
        (["limits", "set", "9999", "max_401k=1"], "year is not from 1974 to 2100"),
        (["limits", "set", "0", "max_401k=1"], "year is not from 1974 to 2100"),
        (["validation", "set", "SSN", "9" * 26, "message=x"], "number is not from 0 to 999999"),
    ],
)
def test_values_out_of_bounds_are_refused_though_yes_is_said(seeded_run: Run, change: list[str], said: str) -> None:
    done = seeded_run(*change, "--yes")
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("\u2502", " ").split())


def test_limits_of_a_rule_set_are_held_against_each_other_and_the_stored_years(seeded_run: Run, tmp_path: Path) -> None:
    limits = [{"year": 2025, "catch_up": 9000}, {"year": 2026, "catch_up": 8000, "max_401k": 24500}]
    (tmp_path / "irs-limits.json").write_text(json.dumps({"irs_limits": limits}))
    done = seeded_run("seed", "--from", str(tmp_path), "--overwrite", "--dry-run")
    asked = [line for line in done.stdout.splitlines() if line.startswith("Is that meant?")]
    meant = "Is that meant? irs-limits YEAR#20"
    assert f"{meant}26 LIMITS: catch_up is 8000, less than the 9000 of the year before" in asked
    assert f"{meant}25 LIMITS: max_401k is taken away; it was 23500" in asked


def test_a_seed_of_limits_that_shrink_asks_where_somebody_can_answer(
    seeded: Path, seeded_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluestar_store.cli.seed.is_terminal", lambda: True)
    monkeypatch.setattr("bluestar_store.cli.asking.is_terminal", lambda: True)
    (tmp_path / "irs-limits.json").write_text('{"irs_limits": [{"year": 2027, "max_401k": 20000}]}')
    done = seeded_run("seed", "--from", str(tmp_path))
    assert (done.exit_code, done.stderr.endswith("Write this? [y/N]: error: nothing was written\n")) == (1, True)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["rule", "set", "ACME", "match", "max_pct=600"], "max_pct is not from 0 to 100 %"),
        (["rule", "set", "ACME", "match", "formula=ee_deferal_pct * 2"], "did you mean ee_deferral_pct?"),
        (["rule", "set", "ACME", "match", "formula=bonus_base * 2"], "which is no known name"),
        (["config", "set", "ACME", "BiWeeklyFri", "--ach", "routing_number=@FILE"], "check digit that is wrong"),
        (["config", "set", "ACME", "BiWeekyFri", "deadline_hour=3"], "did you mean BiWeeklyFri?"),
        (["validation", "set", "SSN", "1", "severity=ERORR"], "did you mean ERROR?"),
    ],
)
def test_what_means_nothing_is_bad_usage(seeded_run: Run, command: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "routing").write_text("021000022\n")
    done = seeded_run(*(text.replace("FILE", str(tmp_path / "routing")) for text in command), "--yes")
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr
    assert "021000022" not in done.stderr


def test_a_new_word_is_told(seeded_run: Run) -> None:
    done = seeded_run("config", "set", "ACME", "Fortnightly", "deadline_hour=3", "--yes")
    assert "Is that meant? client-config CLIENT#ACME_Fortnightly CONFIG: pay_freq 'Fortnightly' is a new" in done.stdout
