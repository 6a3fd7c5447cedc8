"""Files that the library makes are their owner's alone, whatever the umask; permissions that are there stay."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bluestar_store import AchConfig, Settings, Store
from bluestar_store.cli import app
from bluestar_store.documents import get_store
from bluestar_store.files import open_files
from bluestar_store.persistence import SQLClient


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


@pytest.mark.parametrize("form", ["sqlite:///{0}/pay.db", "sqlite:///file:{0}/pay.db?mode=rwc&uri=true"])
@pytest.mark.parametrize("way", ["DELETE", "WAL"])
def test_a_sqlite_file_and_its_journals_are_their_owners_alone(tmp_path: Path, form: str, way: str) -> None:
    with SQLClient(form.format(tmp_path)) as client:
        assert modes(tmp_path) == {}  # nothing is made before the first call
        client.execute("CREATE TABLE pay (account TEXT)")
        with closing(sqlite3.connect(tmp_path / "pay.db")) as raw:
            raw.execute(f"PRAGMA journal_mode={way}")
        with client.transaction():
            client.execute("INSERT INTO pay VALUES (:account)", {"account": "998877665541"})
            found = modes(tmp_path)
        assert len(found) > 1
        assert set(found.values()) == {0o600}
        (tmp_path / "pay.db").chmod(0o640)
        client.execute("INSERT INTO pay VALUES ('x')")
        assert modes(tmp_path)["pay.db"] == 0o640


def test_a_sqlite_database_in_memory_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url in (
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
    ):
        with SQLClient(url) as client:
            client.execute("CREATE TABLE pay (account TEXT)")
    assert modes(tmp_path) == {}


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
