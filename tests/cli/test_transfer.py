"""Export, import and migrate-layout at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

from bluestar_store import Settings, Store
from bluestar_store.keys import Key
from bluestar_store.protocols import Delete, Update
from tests.cli.conftest import Run
from tests.store_suite.side_door import wire


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


def test_a_plan_that_nothing_belongs_to_is_a_warning(seeded_run: Run, tmp_path: Path) -> None:
    done = seeded_run("export", str(tmp_path / "export"), "--plan", "BETA", "--plan", "BETTA", "--json")
    assert (done.exit_code, done.stderr) == (0, "warning: nothing belongs to plan 'BETTA'\n")
    assert json.loads(done.stdout)["items"] > 0


def test_an_export_that_is_there_already_names_the_option(seeded_run: Run, tmp_path: Path) -> None:
    assert seeded_run("export", str(tmp_path)).exit_code == 0
    refused = seeded_run("export", str(tmp_path))
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    assert seeded_run("export", str(tmp_path), "--replace").exit_code == 0


def test_items_that_cannot_lie_in_the_target_are_a_line_each_with_what_to_do(run: Run, tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store", table_layout="single")
    with Store.open(settings) as store:
        store.create_tables()
        store.engine.put_many("bluestar-store", [wire("ODD", f"n{n}") for n in range(12)])
        store.engine.put_many("bluestar-store", [wire("OD\nKEY", "1")])
    where = ["--mode", "file", "--dir", str(tmp_path / "store")]
    done = run(*where, "--layout", "single", "migrate-layout", "eight", "--work", str(tmp_path / "work"))
    assert (done.exit_code, done.stdout) == (1, "")
    head, *refused, more, advice = done.stderr.splitlines()
    assert head.startswith("error: 13 items cannot lie in ")
    assert len(refused) == 10
    assert refused[-1] == "  store: PK=ODD SK=n6: tells no table that it could go to in layout per_table"
    assert refused[0].startswith("  store: PK=OD\\nKEY SK=1: ")
    assert more == "  ..."
    assert "give each an attribute bs_table (S) with the name of the table" in advice
    with Store.open(settings) as store:  # what it says mends it does
        for key in [Key("ODD", f"n{n}") for n in range(12)]:
            store.engine.write(Update("bluestar-store", key, {"bs_table": {"S": "processing-metadata"}}))
        store.engine.write(Delete("bluestar-store", Key("OD\nKEY", "1")))
    done = run(*where, "--layout", "single", "migrate-layout", "eight", "--work", str(tmp_path / "work"))
    assert (done.exit_code, done.stderr) == (0, "")


def test_taking_over_a_table_that_is_not_there_gives_no_advice_to_create_it(seeded_run: Run) -> None:
    done = seeded_run("take-over", "bluestar-audit-lgo")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "there is no table bluestar-audit-lgo" in done.stderr
    assert "create" not in done.stderr
