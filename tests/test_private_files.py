"""Files that the library makes are their owner's alone, whatever the umask; permissions that are there stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bluestar_store import AchConfig, Settings, Store
from bluestar_store.cli import app
from bluestar_store.documents import get_store
from bluestar_store.files import open_files


@pytest.fixture(autouse=True)
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def make_all(folder: Path) -> None:
    """Whatever is kept in files: tables, documents, a file store, an export, a saved plan, a dump of documents."""
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=folder / "deep" / "store")) as store:
        store.create_tables()
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789"))
    settings = Settings(persistence_mode="file", file_persistence_dir=folder / "documents")
    get_store("payees", "id", settings=settings).create({"id": "1"})
    with closing(open_files(f"file://{folder}/files")) as files:
        files.write("in/deep/a.txt", b"secret")
    options = ["--mode", "file", "--dir", str(folder / "deep" / "store")]
    for command in (["export", str(folder / "made" / "export")], ["seed", "--plan", str(folder / "plan.json")]):
        assert CliRunner().invoke(app, [*options, *command]).exit_code in (0, 3)
    documents = ["--mode", "file", "--dir", str(folder / "documents"), "documents", "export"]
    assert CliRunner().invoke(app, [*documents, str(folder / "dump.json"), "payees:id"]).exit_code == 0


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mode & 0o7777 for path in sorted(folder.rglob("*"))}


def test_what_is_made_in_a_folder_is_its_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    make_all(tmp_path)
    found = modes(tmp_path)
    made = ("deep/store/journal.jsonl", "documents/payees.json", "files/in/deep/a.txt", "made/export/manifest.json")
    assert found.keys() >= {*made, "plan.json", "dump.json"}, found
    assert {name: mode for name, mode in found.items() if mode & 0o077} == {}


def test_permissions_that_an_operator_gave_stay(tmp_path: Path) -> None:
    make_all(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.name not in ("plan.json", "dump.json"):  # bank numbers are whole in them: never more than their owner's
            path.chmod(0o750 if path.is_dir() else 0o640)
    before = modes(tmp_path)
    make_all_again = tmp_path / "deep" / "store"
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=make_all_again)) as store:
        store.ach_configs.put(AchConfig(plan_id="BETA", pay_freq="Weekly", account_number="123456789"))
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path / "documents")
    get_store("payees", "id", settings=settings).create({"id": "2"})
    with closing(open_files(f"file://{tmp_path}/files")) as files:
        files.write("in/deep/a.txt", b"another")
    after = modes(tmp_path)
    assert {name: mode for name, mode in after.items() if name in before and before[name] != mode} == {}
