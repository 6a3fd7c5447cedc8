"""get_store: which mode, and when it is read from the environment."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from bluestar_store import Settings
from bluestar_store.documents import DynamoStore, FileStore, PynamoStore, export_documents, get_store, import_documents
from bluestar_store.errors import ConfigurationError


def test_the_mode_is_dynamo_unless_the_environment_says_file(
    moto_mode: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path))
    assert isinstance(get_store("customers", "id"), PynamoStore)
    for value in ("file", "FILE"):
        monkeypatch.setenv("PERSISTENCE_MODE", value)
        assert isinstance(get_store("customers", "id"), FileStore)
    monkeypatch.setenv("PERSISTENCE_MODE", "Dynamo")
    assert isinstance(get_store("customers", "id"), PynamoStore)


def test_the_folder_is_read_when_a_store_is_opened(
    file_mode: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = get_store("customers", "id")
    first.create({"id": "c1"})
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "other"))
    assert get_store("customers", "id").list() == []
    assert [found["id"] for found in first.list()] == ["c1"]


def test_settings_may_be_given(tmp_path: Path) -> None:
    store = get_store("customers", "id", settings=Settings(persistence_mode="file", file_persistence_dir=tmp_path))
    assert store.location == str(tmp_path / "customers.json")


@pytest.mark.parametrize(("mode", "told"), [("memory", "no mode memory"), ("disk", "PERSISTENCE_MODE")])
def test_another_mode_is_told(mode: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", mode)
    with pytest.raises(ConfigurationError, match=told):
        get_store("customers", "id")


def test_the_signatures_are_those_of_the_older_modules() -> None:
    parameters = list(inspect.signature(get_store).parameters.values())
    assert [one.name for one in parameters[:3]] == ["table_name", "pk_name", "id_generator"]
    assert parameters[2].default is None
    assert all(one.kind is one.KEYWORD_ONLY for one in parameters[3:])
    assert str(inspect.signature(DynamoStore.list).parameters["hide_soft_deleted"].default) == "True"
    assert inspect.signature(DynamoStore.soft_delete).parameters["soft_field"].default == "softDelete"


def test_any_class_with_the_five_methods_is_a_dynamo_store() -> None:
    class Own:
        def list(self, hide_soft_deleted: bool = True) -> None: ...
        def get(self, pk: str) -> None: ...
        def create(self, item: object) -> None: ...
        def update_fields(self, pk: str, fields: object) -> None: ...
        def soft_delete(self, pk: str, soft_field: str = "softDelete") -> None: ...

    assert isinstance(Own(), DynamoStore)
    assert not isinstance(object(), DynamoStore)


def test_items_move_between_the_modes_exactly(moto_mode: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamo = get_store("customers", "id")
    dynamo.create({"id": "c1", "logo": b"\x00\xff", "n": 10**37 + 1, "tags": {"z", "a"}, "numbers": {10, 9, 100}})
    dynamo.create({"id": "c2", "softDelete": True, "none": None, "modified": {"at": 5}})
    export_documents([dynamo], tmp_path / "dynamo.json")
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "documents"))
    file = get_store("customers", "id")
    import_documents([file], tmp_path / "dynamo.json")
    assert file.list(hide_soft_deleted=False) == dynamo.list(hide_soft_deleted=False)
    export_documents([file], tmp_path / "file.json")
    assert (tmp_path / "file.json").read_bytes() == (tmp_path / "dynamo.json").read_bytes()
    assert (tmp_path / "file.json").stat().st_mode & 0o777 == 0o600
    file.update_fields("c2", {"none": 7})
    export_documents([file], tmp_path / "file.json")
    (report,) = import_documents([dynamo], tmp_path / "file.json", overwrite=True)
    assert (report.same, report.overwritten) == (1, 1)
    assert dynamo.list(hide_soft_deleted=False) == file.list(hide_soft_deleted=False)
