"""Files, schemas, items and identifiers of strangers: one clear error, soon, and in bounded memory."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, ItemDecodeError, Settings, Store
from bluestar_store.cli.errors import BadUsage
from bluestar_store.cli.secrets import with_secrets
from bluestar_store.documents import get_store
from bluestar_store.documents.data_files import read_data
from bluestar_store.errors import BlueStarError, FileStoreError, SeedError
from bluestar_store.files.local import LocalFileStore
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.rulesets.editing import read_columns, read_steps
from bluestar_store.rulesets.plan_file import read_plan
from bluestar_store.seeding import read
from bluestar_store.transfer.exporting import export as export_
from bluestar_store.transfer.files import Manifest, TableDigest
from bluestar_store.transfer.importing import ImportProgress, import_
from tests.machine import seconds
from tests.strangers import MEGABYTES, bounded

__all__ = ["bounded"]  # fixtures


def rule_set(path: Path) -> None:
    read(path.rename(path.with_name("calculation-rules.json")).parent)


def engine(path: Path) -> None:
    table = path.rename(path.with_name("bluestar-calculation-rules.json"))
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=table.parent)) as store:
        store.calculation_rules.get("ACME", "match")


def documents(path: Path) -> None:
    (path.with_name(".orders.documents.lock")).touch()
    folder = path.rename(path.with_name("orders.json")).parent
    get_store("orders", "id", settings=Settings(persistence_mode="file", file_persistence_dir=folder))


def data(path: Path) -> None:
    folder = path.parent / "documents"
    settings = Settings(persistence_mode="file", file_persistence_dir=folder, test_data_file=path)
    get_store("items", "id", settings=settings)


def schema(path: Path) -> None:
    content = path.with_name("data.json")
    content.write_text('{"orders": []}')
    read_data(content, path)


def columns(path: Path) -> None:
    read_columns(path)


def export(path: Path) -> None:
    path.rename(path.with_name("manifest.json"))
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        import_(store, path.parent)


def plan(path: Path) -> None:
    read_plan(path)


def steps(path: Path) -> None:
    read_steps(path, "ACME", "Weekly")


def journal(path: Path) -> None:
    path.rename(path.with_name("journal.jsonl"))
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=path.parent)) as store:
        store.calculation_rules.get("ACME", "match")


def items(path: Path) -> None:
    table = TableDigest(1, "0" * 64)
    (path.with_name("manifest.json")).write_bytes(Manifest({"calculation-rules": table}).to_bytes())
    path.rename(path.with_name("calculation-rules.jsonl"))
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        import_(store, path.parent)


def file_store(path: Path) -> None:
    with LocalFileStore(path.parent).open(path.name) as file:
        file.read(4)
    raise FileStoreError("a file store gives files as they are")


READERS = [rule_set, engine, documents, data, schema, columns, export, plan, steps, journal, items, file_store]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 1024**3)


def nested(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def nested_less(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": ' + "[" * 900 + "]" * 900 + '}], "items": ' + "[" * 900 + "]" * 900 + "}"
    )


def long_number(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": ' + "9" * 100_000 + "}]}"
    )


def large_number(path: Path) -> None:
    path.write_text('{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": 1E+999999}]}')


def folder(path: Path) -> None:
    path.mkdir()


def circle(path: Path) -> None:
    other = path.with_name("circle")
    other.symlink_to(other)
    path.symlink_to(other)


def empty(path: Path) -> None:
    path.touch()


def nothing_but_zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 1000)


def no_utf8(path: Path) -> None:
    path.write_bytes(b'{"calculation_rules": [{"plan_id": "\xff\xfe"}]}')


def half_characters(path: Path) -> None:
    path.write_text('{"calculation_rules": [{"plan_id": "\\ud800", "calc_type": "match"}], "format": 1, "\\udfff": 1}')


def marked(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"calculation_rules": 5}')


def no_number(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": NaN}], "a": -Infinity}'
    )


def names_twice(path: Path) -> None:
    names = "".join(f'"n{n}": 1, ' for n in range(100_000))
    path.write_text("{" + names + '"n99999": 1}')


MADE = [pipe, device, gigabytes, nested, nested_less, long_number, large_number, folder, circle, nothing_but_zeros]
MADE += [no_utf8, half_characters, marked, no_number, names_twice]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make", [*MADE, empty])
def test_a_file_that_a_stranger_made_is_one_error(
    make: Callable[[Path], None], reader: Callable[[Path], None], tmp_path: Path
) -> None:
    if reader is journal and make is empty:
        pytest.skip("what a writer that died at once left behind")
    path = tmp_path / "made"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(BlueStarError) as raised:
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 1024**2
    finally:
        tracemalloc.stop()
    assert 0 < len(str(raised.value)) < 2000
    assert len(str(raised.value).splitlines()) <= 5


@pytest.mark.parametrize("reader", [rule_set, data, schema, columns, export, steps])
def test_a_file_of_nothing_but_separators_is_not_parsed(reader: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(b"[" + b"[]," * 15_000_000 + b"[]]")
    began = time.thread_time()
    with pytest.raises(BlueStarError, match="more than 2,000,000 values"):
        reader(path)
    assert time.thread_time() - began < seconds(2)


def test_of_20_000_mistakes_the_first_hundred_are_told(tmp_path: Path) -> None:
    rules = [{"plan_id": "ACME", "calc_type": "match", "max_pt": 5}] * 20_000
    (tmp_path / "calculation-rules.json").write_text(json.dumps({"calculation_rules": rules}))
    with pytest.raises(SeedError, match="may have more: these are the first ones") as raised:
        read(tmp_path)
    assert len(raised.value.problems) == 101
    (tmp_path / "data.json").write_text(json.dumps({"orders": [{"a": 1}] * 20_000}))
    (tmp_path / "schema.json").write_text('{"additionalProperties": {"items": {"required": ["id"]}}}')
    with pytest.raises(SeedError, match="may have more: these are the first ones") as raised:
        read_data(tmp_path / "data.json", tmp_path / "schema.json")
    assert len(raised.value.problems) == 101
    (tmp_path / "orders.json").write_text(json.dumps([1] * 20_000))
    with pytest.raises(BlueStarError):
        get_store("orders", "id", settings=Settings(persistence_mode="file", file_persistence_dir=tmp_path))


def interrupted(folder: Path) -> tuple[Store, Path]:
    """A store that an export is to be imported into, and the place of the notes of an import that was cut off."""
    with Store.open(Settings(persistence_mode="memory")) as source:
        source.create_tables()
        source.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        export_(source, folder)
    target = Store.open(Settings(persistence_mode="memory"))
    target.create_tables()
    return target, ImportProgress(folder, target, Manifest.read(folder))._path


@pytest.mark.parametrize("make", [*MADE, empty])
def test_notes_of_an_import_that_a_stranger_made_count_as_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    target, notes = interrupted(tmp_path / "export")
    make(notes)
    with target:
        try:
            import_(target, tmp_path / "export")
        except (BlueStarError, OSError):  # where no notes can be made
            assert make in (folder, pipe, circle, device)
            return
        assert target.calculation_rules.get("ACME", "match").plan_id == "ACME"


@pytest.mark.parametrize("make", [make for make in MADE if make is not folder])
def test_a_mark_of_a_journal_that_a_stranger_made_counts_as_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path)
    rule = CalculationRule(plan_id="ACME", calc_type="match")
    with Store.open(settings) as store:
        store.create_tables()
        store.calculation_rules.put(rule)
    (tmp_path / ".journal.synced").unlink(missing_ok=True)
    make(tmp_path / ".journal.synced")
    with Store.open(settings) as store:
        store.calculation_rules.put(rule.model_copy(update={"description": "d"}))
    with Store.open(settings) as store:
        assert store.calculation_rules.get("ACME", "match").description == "d"


@pytest.mark.parametrize(
    "entry",
    [
        {"number": "x", "images": []},
        {"number": 1.5, "images": []},
        {"number": 1, "images": [["t", "p", "s", {"PK": {"S": "p"}, "SK": {"S": "s"}, "n": {"N": "1E+999999"}}]]},
        {"number": 1, "images": [[1]]},
        {"number": 1},
        [],
    ],
    ids=str,
)
def test_an_entry_of_a_journal_that_is_none_is_one_error(entry: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"number": 0, "images": []}).encode(), json.dumps(entry).encode()]
    (tmp_path / "journal.jsonl").write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    (tmp_path / "bluestar-calculation-rules.json").write_text('{"items": []}')
    with (
        Store.open(Settings(persistence_mode="file", file_persistence_dir=tmp_path)) as store,
        pytest.raises(ItemDecodeError, match=r"journal.jsonl line 2: was damaged"),
    ):
        store.calculation_rules.get("ACME", "match")


@pytest.mark.parametrize("make", [pipe, device, folder, circle, nothing_but_zeros, empty, no_utf8])
def test_a_bank_number_in_a_file_of_a_stranger_is_bad_usage(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "number"
    make(path)
    with pytest.raises(BadUsage, match=r"^account_number: "):
        list(with_secrets(ACH_CONFIG, [f"account_number=@{path}"]))
