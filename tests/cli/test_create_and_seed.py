"""`create` and `seed`: what they make, report, and say with their exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bluestar_store.doctor.tables import remedy
from tests.cli.conftest import DEMO, TABLES, Run, on


def test_create_makes_the_tables_and_skips_what_exists(tmp_path: Path) -> None:
    run = on(tmp_path / "store")
    first, second = run("create"), run("create", "--json")
    assert (first.exit_code, first.stderr, first.stdout.count("  created\n")) == (0, "", TABLES)
    found = json.loads(second.stdout)
    assert (second.exit_code, second.stderr) == (0, "")
    assert [table["created"] for table in found["tables"]] == [False] * TABLES


def test_the_single_layout_is_one_table(tmp_path: Path, run: Run) -> None:
    options = ["--mode", "file", "--dir", str(tmp_path), "--layout", "single", "--prefix", "x-", "--suffix", "-y"]
    done = run(*options, "create", "--json")
    assert [table["name"] for table in json.loads(done.stdout)["tables"]] == ["x-store-y"]


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


def _table(dynamodb: Any, name: str, keys: tuple[str, str] = ("PK", "SK"), **more: Any) -> None:
    dynamodb.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": keys[0], "KeyType": "HASH"},
            {"AttributeName": keys[1], "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        **({"BillingMode": "PAY_PER_REQUEST"} | more),
    )


def test_create_tells_of_missing_indexes_and_upgrade_mends_them(dynamodb: Any, run: Run) -> None:
    _table(dynamodb, "bluestar-irs-limits")
    done = run("--region", "us-east-1", "create")
    assert done.exit_code == 3
    assert done.stderr == (
        "missing: table bluestar-irs-limits has no index by_level; mend it: bluestar-store create --upgrade\n"
    )
    assert done.stdout.count("  created\n") == TABLES - 1
    assert run("--region", "us-east-1", "inspect").stdout.count("  see below\n") == 1
    mended = run("--region", "us-east-1", "create", "--upgrade")
    assert (mended.exit_code, mended.stderr) == (0, "")


def test_create_tells_of_drift_and_what_mends_it(dynamodb: Any, run: Run) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    _table(dynamodb, "bluestar-irs-limits", BillingMode="PROVISIONED", ProvisionedThroughput=units)
    _table(dynamodb, "bluestar-agent-config", keys=("id", "range"))
    done = run("--region", "us-east-1", "create", "--json")
    assert done.exit_code == 3
    json.loads(done.stdout)
    drifts = [line for line in done.stderr.splitlines() if line.startswith("drift: ")]
    assert drifts == [
        "drift: table bluestar-irs-limits: its billing mode is PROVISIONED, not on-demand; mend it: "
        "aws dynamodb update-table --table-name bluestar-irs-limits --billing-mode PAY_PER_REQUEST",
        "drift: table bluestar-agent-config: its primary key is not PK (S), SK (S); mend it: "
        + remedy("bluestar-agent-config", "primary key")[1],
    ]


def test_seed_loads_the_baseline_once(tmp_path: Path) -> None:
    run = on(tmp_path / "store")
    run("create")
    first = run("seed", "--json")
    added = len(json.loads(first.stdout)["added"])
    assert added > 100
    assert run("seed").stdout == f"Seeded the baseline: added 0, overwritten 0, removed 0, same {added}, left alone 0\n"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The demo's rule set with another match for ACME and another bank account."""
    folder = shutil.copytree(DEMO, tmp_path / "changed")
    for name, old, new in (
        ("calculation-rules.json", '"max_pct": 4,', '"max_pct": 4.750,'),
        ("agent-config.json", "000000001001", "000000009999"),
    ):
        text = (folder / name).read_text()
        assert text.count(old) == 1
        (folder / name).write_text(text.replace(old, new))
    return folder


def test_what_differs_is_left_alone_and_listed(changed: Path, seeded_run: Run) -> None:
    done = seeded_run("seed", "--from", str(changed))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].endswith("added 0, overwritten 0, removed 0, same 31, left alone 2")
    assert "calculation-rule CLIENT#ACME CALC#match\n    max_pct: 4 -> 4.75\n" in done.stdout
    assert "account_number: ********1001 -> ********9999\n" in done.stdout
    found = json.loads(seeded_run("seed", "--from", str(changed), "--json").stdout)
    assert [one["changes"] for one in found["left_alone"]] == [
        [{"attribute": "max_pct", "old": 4, "new": 4.75}],
        [{"attribute": "account_number", "old": "********1001", "new": "********9999"}],
    ]


def test_overwrite_takes_the_rule_sets(changed: Path, seeded_run: Run) -> None:
    done = seeded_run("seed", "--from", str(changed), "--overwrite")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "there is no terminal to ask at; --yes answers" in done.stderr
    assert "    max_pct: 4 -> 4.75\n" in done.stdout
    assert json.loads(seeded_run("inspect", "rule", "ACME", "match", "--json").stdout)["max_pct"] == 4
    done = seeded_run("seed", "--from", str(changed), "--overwrite", "--yes")
    assert done.stdout.endswith("added 0, overwritten 2, removed 0, same 31, left alone 0\n")
    assert json.loads(seeded_run("inspect", "rule", "ACME", "match", "--json").stdout)["max_pct"] == 4.75


def test_overwrite_asks_only_where_something_is_changed(tmp_path: Path) -> None:
    run = on(tmp_path / "store")
    run("create")
    for _ in range(2):
        assert (done := run("seed", "--overwrite")).exit_code == 0
        assert done.stderr == ""


def test_a_rule_set_with_mistakes_tells_them_all(tmp_path: Path, seeded_run: Run) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    (folder / "calculation-rules.json").write_text(
        json.dumps({"calculation_rules": [{"plan_id": "A#B", "calc_type": "x"}, {"max_pc": "\x1b[2J"}]})
    )
    done = seeded_run("seed", "--from", str(folder))
    assert (done.exit_code, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: the rule set has ")
    assert len(lines) == 1 + int(lines[0].split()[5])
    assert all(line.startswith("  calculation-rules.json#/calculation_rules/") for line in lines[1:])
