"""The file engine's folder: readable, shared by engines, forbidden, locked."""

from __future__ import annotations

import base64
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.engines.file import engine as file
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.file.journal import NAME, JournalEntry
from bluestar_store.errors import (
    AccessDeniedError,
    ConfigurationError,
    UnavailableError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, Delete, IndexSpec, Put, TableSpec, Update
from bluestar_store.testing.engine_case import item
from tests.engines.folders import (
    KEY,
    OTHER,
    TABLE,
    attempts,
    content,
    contents_of,
    opened,
    path_of,
)


def test_the_files_are_readable_and_current_after_close(engine: FileEngine) -> None:
    stored = item("CLIENT#ACMÉ", "CALC#match", version=1, max_pct={"N": "6"}, logo={"B": b"\x00\xff"})
    engine.write(Put(TABLE, stored), Put(OTHER, item("B")))
    engine.write(Delete(OTHER, Key("B", "A")))
    engine.close()
    text = path_of(engine).read_text(encoding="utf-8")
    assert "CLIENT#ACMÉ" in text
    found = json.loads(text)
    assert found["table"] == TABLE
    assert found["items"] == [stored | {"logo": {"B": base64.b64encode(b"\x00\xff").decode()}}]
    assert json.loads(path_of(engine, OTHER).read_text())["items"] == []
    [line] = (engine.folder / NAME).read_bytes().splitlines()
    assert json.loads(line.partition(b" ")[2])["images"] == []
    assert sorted(entry.name for entry in engine.folder.glob("*.tmp")) == []


def test_each_item_is_a_line_of_its_own(engine: FileEngine) -> None:
    engine.put_many(TABLE, [item(f"P{number}", text="a\nb") for number in range(5)])
    engine.close()
    lines = [line for line in path_of(engine).read_text().splitlines() if '"PK"' in line]
    assert len(lines) == 5


def test_nothing_is_rewritten_by_an_engine_that_only_reads(engine: FileEngine) -> None:
    engine.write(Put(TABLE, item("A")))
    engine.close()
    before = {path: path.stat().st_mtime_ns for path in engine.folder.iterdir() if path.name != ".lock"}
    reader = opened(engine)
    assert content(reader) == [item("A")]
    reader.close()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_folder_that_was_never_written_is_not_made_by_reading(tmp_path: Path) -> None:
    engine = FileEngine(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="create"):
        engine.get(TABLE, [KEY])
    engine.close()
    assert not engine.folder.exists()


def test_engines_over_one_folder_see_each_others_writes_at_once(engine: FileEngine) -> None:
    engines = [engine, opened(engine), opened(engine)]
    for number in range(30):
        writer = engines[number % 3]
        if number == 0:
            writer.write(Put(TABLE, item("A", version=1), ABSENT))
        else:
            writer.write(Update(TABLE, KEY, {"version": {"N": str(number + 1)}}, expect=number))
        for one in engines:
            assert one.get(TABLE, [KEY]) == {KEY: item("A", version=number + 1)}
    with pytest.raises(VersionConflictError):
        engines[1].write(Update(TABLE, KEY, {"version": {"N": "2"}}, expect=1))


def test_tables_made_upgraded_and_deleted_by_one_engine_are_so_for_all(engine: FileEngine) -> None:
    other = opened(engine)
    assert content(other) == []
    spec = TableSpec("bluestar-new", (IndexSpec("by_level", "bs_kind", "bs_level"),))
    engine.create_tables([TableSpec(spec.name)])
    other.write(Put(spec.name, item("A", bs_kind="k", bs_level="l")))
    engine.create_tables([spec], upgrade=True)
    assert len(other.query(spec.name, "k", index="by_level").items) == 1
    other.delete_tables([spec.name])
    assert not engine.describe(spec).exists
    engine.create_tables([spec])
    assert content(other, spec.name) == []
    assert content(opened(engine), spec.name) == []


def test_an_open_engine_keeps_its_answers_through_everybodys_checkpoints(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 300)
    reader, second = opened(engine), opened(engine)
    for number in range(120):
        writer = (engine, second)[number % 2]
        writer.write(Put(TABLE, item("A", f"S{number:04d}", text="x" * 20)), Put(OTHER, item("B", f"S{number:04d}")))
        for one in (reader, opened(engine)) if number % 10 == 0 else (reader,):
            assert len(content(one)) == len(content(one, OTHER)) == number + 1
    number = int(json.loads(path_of(engine).read_text())["applied"])
    assert number > 60  # it was folded, many times over
    assert content(opened(engine)) == content(engine)


def test_a_journal_that_is_folded_just_before_it_is_read_hides_nothing(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = opened(engine)
    engine.write(Put(TABLE, item("A")))
    assert content(reader) == [item("A")]
    engine.write(Put(TABLE, item("B")))
    entries = reader._journal.entries

    def folded_first() -> Iterator[JournalEntry]:
        monkeypatch.setattr(reader._journal, "entries", entries)
        engine.close()
        return entries()

    monkeypatch.setattr(reader._journal, "entries", folded_first)
    assert content(reader) == [item("A"), item("B")]


def test_a_table_file_is_replaced_whole_or_not_at_all(engine: FileEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.put_many(TABLE, [item(f"P{number}") for number in range(100)])
    engine.close()
    engine.write(Put(TABLE, item("LAST")))
    before = contents_of(engine.folder)

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")  # where a killed process would have ended

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        engine.close()  # the journal has it all
    after = contents_of(engine.folder)
    assert {name: data for name, data in after.items() if not name.endswith(".tmp")} == before
    assert len(content(opened(engine))) == 101


def test_a_folder_that_is_a_file_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    for place in (path, path / "below"):
        engine = FileEngine(place)
        with pytest.raises(ConfigurationError, match="is not a folder"):
            engine.create_tables([TableSpec(TABLE)])
        for call in attempts(engine):
            with pytest.raises(ConfigurationError, match="is not a folder"):
                call()
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_access_denied() -> None:
    engine = FileEngine(Path("/proc/bluestar"))  # root may write everywhere else
    with pytest.raises((AccessDeniedError, UnavailableError), match="/proc"):
        engine.create_tables([TableSpec(TABLE)])


def test_a_folder_of_somebody_else_is_access_denied(engine: FileEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.write(Put(TABLE, item("A")))
    real_open = os.open

    def refusing(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).startswith(str(engine.folder)):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(path, *args, **kwargs)

    before = contents_of(engine.folder)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        with pytest.raises(AccessDeniedError, match="Permission denied") as caught:
            engine.write(Put(TABLE, item("B")))
        assert str(engine.folder) in str(caught.value)
    assert contents_of(engine.folder) == before
    assert content(engine) == [item("A")]


def test_a_lock_that_another_process_keeps_is_unavailable(tmp_path: Path) -> None:
    engine = FileEngine(tmp_path, lock_timeout_seconds=0.05)
    engine.create_tables([TableSpec(TABLE)])
    other = opened(engine)
    with other._locks.processes, pytest.raises(UnavailableError, match="lock"):
        engine.write(Put(TABLE, item("A")))
    engine.write(Put(TABLE, item("A")))
    assert content(other) == [item("A")]
