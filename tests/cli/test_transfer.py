"""Export, import and migrate-layout at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_an_export_comes_back_identical_through_the_other_layout(seeded_run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert seeded_run("export", str(first)).exit_code == 0
    done = seeded_run("migrate-layout", "single", "--work", str(tmp_path / "work"))
    assert done.exit_code == 0, done.stderr
    assert seeded_run("--layout", "single", "export", str(second)).exit_code == 0
    assert {path.name: path.read_bytes() for path in first.iterdir()} == {
        path.name: path.read_bytes() for path in second.iterdir()
    }


def test_importing_into_tables_with_items_is_refused_without_merge(seeded_run: Run, tmp_path: Path) -> None:
    seeded_run("export", str(tmp_path / "export"))
    refused = seeded_run("import", str(tmp_path / "export"))
    assert refused.exit_code == 1
    assert refused.stderr.count("\n") == 1
    merged = seeded_run("import", str(tmp_path / "export"), "--merge", "--json")
    assert merged.exit_code == 0
    assert json.loads(merged.stdout)["written"] == 0


def test_merging_leaves_alone_what_differs_and_says_so(seeded_run: Run, tmp_path: Path) -> None:
    seeded_run("export", str(tmp_path / "export"))
    seeded_run("rule", "set", "ACME", "match", "max_pct=5", "--yes")
    merged = seeded_run("import", str(tmp_path / "export"), "--merge")
    assert merged.exit_code == 3
    assert "CLIENT#ACME CALC#match" in merged.stdout
    assert seeded_run("import", str(tmp_path / "export"), "--merge", "--overwrite").exit_code == 0
    rule = json.loads(seeded_run("inspect", "rule", "ACME", "match", "--json").stdout)
    assert rule["max_pct"] == 4


def test_overwrite_without_merge_and_an_unknown_layout_are_bad_usage(seeded_run: Run, tmp_path: Path) -> None:
    assert seeded_run("import", str(tmp_path), "--overwrite").exit_code == 2
    assert seeded_run("migrate-layout", "nine", "--work", str(tmp_path)).exit_code == 2


def test_an_export_of_one_plan_holds_only_what_is_its_own(seeded_run: Run, tmp_path: Path) -> None:
    seeded_run("export", str(tmp_path / "export"), "--plan", "BETA")
    rules = (tmp_path / "export" / "calculation-rules.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["PK"]["S"] for line in rules} == {"CLIENT#BETA"}
