"""`documents`: the same commands in both modes, and what they tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from moto import mock_aws

from tests.cli.conftest import Run, on

TABLE = "customer-orders:orderId"
ITEMS = '[{"orderId": "A1", "total": 0.10, "tags": {"$set": ["a"]}}, {"orderId": "B2", "softDelete": true}]'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two documents, and the same as a data file beside it."""
    for name in ("TEST_DATA_FILE", "TEST_DATA_SET", "TEST_DATA_SCHEMA"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "data.json").write_text(f'{{"customer-orders": {ITEMS}}}')
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "customer-orders.json").write_text(ITEMS)
    return tmp_path / "documents"


@pytest.fixture
def here(folder: Path) -> Run:
    return on(folder)


def test_list_shows_what_is_not_soft_deleted(here: Run) -> None:
    result = here("documents", "list", TABLE)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "customer-orders: 1" in result.stdout
    assert "A1" in result.stdout
    assert "B2" not in result.stdout
    assert "B2" in here("documents", "list", TABLE, "--all").stdout


def test_list_as_json_is_exact(here: Run) -> None:
    result = here("documents", "list", TABLE, "--json")
    assert '"total": 0.1' in result.stdout
    assert json.loads(result.stdout) == {
        "table": "customer-orders",
        "items": [{"orderId": "A1", "tags": {"$set": ["a"]}, "total": 0.1}],
    }


def test_items_move_to_dynamodb_and_back(here: Run, run: Run, tmp_path: Path) -> None:
    out, back = str(tmp_path / "out.json"), str(tmp_path / "back.json")
    assert here("documents", "export", out, TABLE).exit_code == 0
    with mock_aws():
        assert run("documents", "import", out, TABLE).exit_code == 0
        assert json.loads(run("documents", "export", back, TABLE, "--json").stdout) == {"customer-orders": 2}
        again = run("documents", "import", out, TABLE, "--json")
        assert json.loads(again.stdout)["tables"][0]["same"] == 2
    assert Path(out).read_bytes() == Path(back).read_bytes()


def test_import_lists_what_it_left_alone_and_ends_with_3(here: Run, folder: Path) -> None:
    path = folder.parent / "data.json"
    path.write_text('{"customer-orders": [{"orderId": "A1", "total": 5}, {"orderId": "C3"}]}')
    result = here("documents", "import", str(path), TABLE)
    assert result.exit_code == 3
    assert "Left alone, for it differs: customer-orders A1" in result.stdout
    assert here("documents", "import", str(path), TABLE, "--overwrite").exit_code == 0
    assert json.loads(here("documents", "list", TABLE, "--json").stdout)["items"][0] == {"orderId": "A1", "total": 5}


def test_check_says_what_is_wrong_with_a_file(run: Run, folder: Path) -> None:
    path, schema = folder.parent / "data.json", folder.parent / "schema.json"
    assert json.loads(run("documents", "check", str(path), "--json").stdout) == {"customer-orders": 2}
    schema.write_text('{"properties": {"customer-orders": {"items": {"required": ["total"]}}}}')
    result = run("documents", "check", str(path), "--schema", str(schema))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{path}#/customer-orders/1: breaks the schema's required: ['total']" in result.stderr
    result = run("documents", "check", str(path), env={"TEST_DATA_SCHEMA": str(schema)})
    assert result.exit_code == 1


def test_reset_begins_again_with_the_test_data(here: Run, run: Run, folder: Path) -> None:
    (folder.parent / "data.json").write_text('{"customer-orders": [{"orderId": "new"}]}')
    env = {"TEST_DATA_FILE": str(folder.parent / "data.json")}
    refused = here("documents", "reset", TABLE, env=env)
    assert (refused.exit_code, "--yes" in refused.stderr) == (1, True)
    result = here("documents", "reset", TABLE, "--yes", "--json", env=env)
    assert json.loads(result.stdout) == {"table": "customer-orders", "items": 1}
    assert [found["orderId"] for found in json.loads((folder / "customer-orders.json").read_text())] == ["new"]
    with mock_aws():
        result = run("documents", "reset", TABLE, "--yes")
    assert (result.exit_code, "--mode file" in result.stderr) == (2, True)


@pytest.mark.parametrize("table", ["customer-orders", ":id", "customer-orders:"])
def test_a_table_without_its_key_is_bad_usage(table: str, here: Run) -> None:
    result = here("documents", "list", table)
    assert (result.exit_code, "TABLE:KEY" in result.stderr) == (2, True)


def test_a_file_with_mistakes_is_told_line_by_line_and_nothing_is_written(here: Run, folder: Path) -> None:
    path = folder.parent / "data.json"
    path.write_text('{"customer-orders": [{"orderId": "C3"}, {"orderId": ""}, 5]}')
    result = here("documents", "import", str(path), TABLE)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[0] == "error: the data has 2 problems; nothing was written:"
    assert f"{path}#/customer-orders/1/orderId: is a key and is empty" in result.stderr
    assert len(json.loads((folder / "customer-orders.json").read_text())) == 2


@pytest.mark.parametrize(
    "command", [["list", "custmer-orders:orderId"], ["export", "out.json", "custmer-orders:orderId"]]
)
def test_a_command_that_reads_makes_no_table(command: list[str], folder: Path, tmp_path: Path) -> None:
    run = on(folder)
    arguments = [str(tmp_path / one) if one.endswith(".json") else one for one in command]
    result = run("documents", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no table of documents custmer-orders" in result.stderr
    assert sorted(path.name for path in folder.glob("*.json")) == ["customer-orders.json"]


def test_nor_does_it_on_dynamodb(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.cli.conftest import invoke

    with mock_aws():
        import boto3

        result = invoke("--mode", "dynamo", "--region", "us-east-1", "documents", "list", "custmer-orders:orderId")
        assert result.exit_code == 1
        assert boto3.client("dynamodb", region_name="us-east-1").list_tables()["TableNames"] == []
