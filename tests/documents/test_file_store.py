"""The files of mode file: readable, current, whole, and the test data that they begin with."""

from __future__ import annotations

import codecs
import errno
import json
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Settings
from bluestar_store.documents import FileStore, get_store, table_file
from bluestar_store.documents.file import default_folder
from bluestar_store.documents.opening import table_exists
from bluestar_store.errors import AccessDeniedError, ConfigurationError, ItemDecodeError, UnavailableError
from tests.case_blind import ignore_case
from tests.engines.folders import rewrite

ITEM = {"orderId": "A1", "status": "open", "created": "c", "modified": "m"}


@pytest.fixture
def store(file_mode: Path) -> FileStore:
    return FileStore("customer-orders", "orderId")


@pytest.fixture
def path(file_mode: Path) -> Path:
    return file_mode / "customer-orders.json"


def test_the_file_is_readable_json_that_is_current_after_every_write(store: FileStore, path: Path) -> None:
    assert json.loads(path.read_text()) == []
    store.create(ITEM | {"total": Decimal("9.10"), "who": "Zoë"})
    assert json.loads(path.read_text()) == [ITEM | {"total": 9.1, "who": "Zoë"}]
    assert '"total": 9.1' in path.read_text()
    assert "Zoë" in path.read_text(encoding="utf-8")
    store.update_fields("A1", {"status": "paid", "modified": "later"})
    assert [one["status"] for one in json.loads(path.read_text())] == ["paid"]
    store.soft_delete("A1")
    store.create({"orderId": "A0"})
    assert [(one["orderId"], one.get("softDelete")) for one in json.loads(path.read_text())] == [
        ("A0", None),
        ("A1", True),
    ]
    assert path.read_text().endswith("}\n]\n")


def test_the_same_items_give_the_same_file(file_mode: Path) -> None:
    texts = []
    for number, keys in enumerate((("A", "B"), ("B", "A"))):
        store = FileStore(f"orders-{number}", "orderId")
        for key in keys:
            store.create({"x": {1, 2}, "orderId": key, "created": "c", "modified": "m"})
        texts.append((file_mode / f"orders-{number}.json").read_bytes())
    assert texts[0] == texts[1]


def test_stores_of_one_table_see_each_others_writes(store: FileStore) -> None:
    other = FileStore("customer-orders", "orderId", indexes=["status"])
    for number in range(20):
        (store, other)[number % 2].create(ITEM | {"orderId": f"A{number:02d}"})
        assert len(store.list()) == len(other.list()) == len(other.find("status", "open")) == number + 1


def test_no_later_file_can_be_taken_for_the_one_that_was_read(store: FileStore, path: Path) -> None:
    """A new file may get the inode of one that is gone, and in one tick of the clock its time; the size is the same."""
    store.create(ITEM)
    reader = FileStore("customer-orders", "orderId")
    read = path.stat().st_ino
    inodes = []
    for number in range(50):
        store.update_fields("A1", {"status": f"{number:04d}", "modified": "m"})
        inodes.append(path.stat().st_ino)
    assert read not in inodes
    assert [found["status"] for found in reader.list()] == ["0049"]


def test_what_somebody_edits_is_read(store: FileStore, path: Path) -> None:
    store.create(ITEM)
    rewrite(path, '[{"orderId": "B2", "rate": 0.12345678901234567890123456789012345678, "n": 5.0}]')
    assert store.list() == [{"orderId": "B2", "n": 5, "rate": Decimal("0.12345678901234567890123456789012345678")}]


@pytest.mark.parametrize(
    ("text", "told"),
    {
        "": "is not JSON: line 1",
        "[{,": "is not JSON: line 1, column 3",
        "{}": "is no list of items",
        "[5]": "#/0: is no object",
        '[{"status": "open"}]': "#/0/orderId: is a key and must be text",
        '[{"orderId": "A"}, {"orderId": "A"}]': "#/1/orderId: is the key of an item before it",
        '[{"orderId": "A", "orderId": "B"}]': 'has "orderId" twice',
        '[{"orderId": "A", "a/b": NaN}]': "NaN is no JSON number",
        '[{"orderId": "A", "a/b": {"$set": []}}]': "#/0/a~1b: is a set that is empty",
        '[{"orderId": "A", "a": {"$binary": "?"}}]': "#/0/a: has a .binary that is not base64",
        '[{"orderId": "A", "a": {"$set": [[1]]}}]': "#/0/a: has a .set with a member",
        '[{"orderId": "A", "a": {"$set": "x"}}]': "#/0/a: has a .set that is none",
        '[{"orderId": "A", "a": 1e999}]': "#/0/a: is outside DynamoDB's range",
        "[" * 100_000: "nested too deeply",
        '[{"orderId": "A", "a": ' + "[" * 800 + "]" * 800 + "}]": "#/0/a: is nested",
        "\xff": "is not JSON",
    }.items(),
)
def test_a_broken_file_is_named_and_left_as_it_is(text: str, told: str, store: FileStore, path: Path) -> None:
    store.create(ITEM)
    damaged = text.encode("latin-1")
    rewrite(path, damaged)
    for call in (store.list, lambda: store.create({"orderId": "B2"}), lambda: FileStore("customer-orders", "orderId")):
        with pytest.raises(ItemDecodeError, match=told) as raised:
            call()
        assert str(path) in str(raised.value)
    assert path.read_bytes() == damaged
    rewrite(path, "[]")
    assert store.list() == []


def test_a_write_that_fails_leaves_file_and_store_as_they_were(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(ITEM)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for call in (lambda: store.create({"orderId": "B2"}), lambda: store.soft_delete("A1"), store.reset):
            with pytest.raises(UnavailableError, match="No space left"):
                call()
    assert path.read_bytes() == before
    assert store.list() == [ITEM]
    store.create({"orderId": "B2"})
    assert [one["orderId"] for one in store.list()] == ["A1", "B2"]


def test_a_file_that_was_removed_begins_again(store: FileStore, path: Path) -> None:
    store.create(ITEM)
    path.unlink()
    assert store.list() == []
    store.create(ITEM)
    assert len(json.loads(path.read_text())) == 1


def test_a_file_of_an_older_module_is_taken_over(file_mode: Path, path: Path) -> None:
    file_mode.mkdir()
    path.write_text(json.dumps([ITEM, {"orderId": "A0", "rate": 0.5}], indent=2))
    store = FileStore("customer-orders", "orderId")
    assert store.list() == [{"orderId": "A0", "rate": Decimal("0.5")}, ITEM]


def test_without_a_folder_it_is_one_of_this_users_own_among_the_temporary_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = get_store("customer-orders", "orderId")
    assert store.location == str(tmp_path / "bluestar-store" / "customer-orders.json")
    assert default_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", ["another's", "a link"])
def test_a_temporary_folder_that_somebody_else_made_is_refused(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if how == "a link":
        (tmp_path / "real").mkdir()
        (tmp_path / "bluestar-store").symlink_to(tmp_path / "real")
    else:
        (tmp_path / "bluestar-store").mkdir()
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with pytest.raises(
        ConfigurationError, match="not this user's own folder, or others may change it: set FILE_PERSISTENCE_DIR"
    ):
        get_store("customer-orders", "orderId")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720])
def test_a_temporary_folder_is_looked_at_before_each_call_and_believed_only_while_nobody_else_can_change_it(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / "bluestar-store"
    store = get_store("payees", "id")
    store.create({"id": "1"})
    assert (folder / "payees.json").stat().st_mode & 0o777 == 0o600
    (folder / "payees.json").write_text('[{"id": "planted"}]')  # with its lock beside it, as somebody could plant both
    folder.chmod(mode)
    for call in (store.list, lambda: store.create({"id": "2"}), lambda: get_store("payees", "id").list()):
        with pytest.raises(ConfigurationError, match="others may change it"):
            call()
    with pytest.raises(ConfigurationError, match="others may change it"):
        table_exists("payees", Settings())
    folder.chmod(0o755)
    assert store.list() == [{"id": "planted"}]
    tmp_path.chmod(0o777)  # and not sticky: anybody may put another folder in its place
    with pytest.raises(ConfigurationError, match="others may change it"):
        store.list()
    tmp_path.chmod(0o1777)
    assert store.list() == [{"id": "planted"}]


@pytest.mark.parametrize("name", ["payees.json", ".payees.documents.lock", ".lock"])
@pytest.mark.parametrize("how", ["a link", "a pipe", "another's", "for all"])
def test_a_file_in_a_temporary_folder_is_looked_at_too(
    name: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have put it there while the folder was open to others."""
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = get_store("payees", "id")
    store.create({"id": "1"})
    path = tmp_path / "bluestar-store" / name
    if how in ("a link", "a pipe"):
        path.rename(tmp_path / "real")
        path.symlink_to(tmp_path / "real") if how == "a link" else os.mkfifo(path)
    elif how == "for all":
        path.chmod(0o622)
    else:
        real = Path.lstat

        def other(found: os.stat_result) -> os.stat_result:
            return os.stat_result((*found[:4], os.getuid() + 1, *found[5:]))

        monkeypatch.setattr(Path, "lstat", lambda one: other(real(one)) if one.name == name else real(one))
    for call in (store.list, lambda: store.create({"id": "2"}), lambda: get_store("payees", "id")):
        with pytest.raises(ConfigurationError, match="not this user's own file, or others may change it"):
            call()
    with pytest.raises(ConfigurationError, match="others may change it"):
        table_exists("payees", Settings())


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="FILE_PERSISTENCE_DIR"):
        get_store("customer-orders", "orderId")

    def forbidden(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "new"))
    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(AccessDeniedError, match="Permission denied"):
        get_store("customer-orders", "orderId")


def test_a_write_goes_where_a_symbolic_link_leads_and_keeps_permissions(
    store: FileStore, path: Path, tmp_path: Path
) -> None:
    far = tmp_path / "far.json"
    path.rename(far)
    path.symlink_to(far)
    far.chmod(0o640)
    store.create(ITEM)
    FileStore("customer-orders", "orderId").create({"orderId": "B2"})
    assert path.is_symlink()
    assert [one["orderId"] for one in json.loads(far.read_text())] == ["A1", "B2"]
    assert far.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in (*path.parent.glob(".*.tmp"), *tmp_path.glob(".*.tmp"))] == []


def test_what_another_store_renamed_counts_once_that_is_on_disk(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FileStore("customer-orders", "orderId")

    def failing(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(UnavailableError) as caught:
            store.create(ITEM)
        assert caught.value.outcome_unknown
        for one in (store, other):
            with pytest.raises(UnavailableError) as refused:
                one.list()
            assert not refused.value.outcome_unknown
    assert other.list() == store.list() == [ITEM]


def test_a_write_that_fails_is_seen_by_nobody_and_leaves_nothing(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FileStore("customer-orders", "orderId")

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(UnavailableError) as caught:
            store.create(ITEM)
        assert not caught.value.outcome_unknown
    assert other.list() == store.list() == []
    assert list(path.parent.glob(".*.tmp")) == []


def test_names_that_differ_in_case_only_are_refused_where_the_disk_takes_them_for_one(
    file_mode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileStore("customer-Orders", "orderId").create({"orderId": "A1"})
    FileStore("customer-ORDERS", "orderId")  # told apart here
    (file_mode / "customer-ORDERS.json").unlink()
    ignore_case(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"has customer-Orders\.json.*takes customer-orders\.json"):
        FileStore("customer-orders", "orderId")
    assert [one["orderId"] for one in FileStore("customer-Orders", "orderId").list()] == ["A1"]


def test_a_list_with_a_byte_order_mark_is_named_as_that(file_mode: Path) -> None:
    file_mode.mkdir(exist_ok=True)
    (file_mode / "customer-orders.json").write_bytes(codecs.BOM_UTF8 + b'[{"orderId": "A1"}]')
    with pytest.raises(ItemDecodeError, match="BOM"):
        FileStore("customer-orders", "orderId")


def test_a_write_that_is_on_disk_is_told_as_made_though_the_file_cannot_be_opened_again(
    store: FileStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(ITEM)
    real, renamed = os.open, os.replace

    def without_descriptors(*args: Any, **kwargs: Any) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    def renaming(*args: Any, **kwargs: Any) -> None:
        renamed(*args, **kwargs)
        broken.setattr(table_file, "sync_names", lambda path: broken.setattr(os, "open", without_descriptors))

    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", renaming)
        store.update_fields("A1", {"total": 7})
        assert os.open is not real
    for one in (store, FileStore("customer-orders", "orderId")):
        found = one.get("A1")
        assert found is not None
        assert found["total"] == 7
