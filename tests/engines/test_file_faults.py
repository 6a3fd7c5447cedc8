"""The file engine on a disk that fails, and in processes that die between steps: nobody counts what may not stay."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.file.journal import NAME
from bluestar_store.engines.file.journal_mark import NAME as MARK
from bluestar_store.errors import ConfigurationError, UnavailableError
from bluestar_store.protocols import Put, TableSpec
from bluestar_store.testing.engine_case import item
from tests.case_blind import ignore_case
from tests.engines.folders import OTHER, TABLE, content, contents_of, opened, path_of

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from bluestar_store import disk
from bluestar_store.engines.file import engine as file
from bluestar_store.engines.file import journal
from bluestar_store import whole_files
from bluestar_store.protocols import Put

folder, step = Path(sys.argv[1]), sys.argv[2]
engine = file.FileEngine(folder)
engine.scan("bluestar-one")
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if step == "before the journal is on disk":
    journal.sync_data = die
elif step == "after the new journal has its name":
    file.CHECKPOINT_BYTES = 1
    journal.sync_names = die
elif step == "before a table's file has its name":
    file.CHECKPOINT_BYTES = 1
    whole_files.sync = die
elif step == "after the tables' files have their names":
    file.CHECKPOINT_BYTES = 1
    file.sync_names = die
items = ({"PK": {"S": f"KILLED{number}"}, "SK": {"S": "A"}, "x": {"S": "x" * 300}} for number in (1, 2))
engine.write(*(Put("bluestar-one", item) for item in items))
"""


def failing(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def killed(folder: Path, step: str) -> None:
    """A process writes two items, and dies at a step."""
    done = subprocess.run([sys.executable, "-c", KILLED_AT, str(folder), step], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What this process waits for to be on disk, in order: names of files, and `folder/`."""
    done: list[str] = []

    def noting(call: Callable[[int], None]) -> Callable[[int], None]:
        def noted(descriptor: int) -> None:
            call(descriptor)
            slash = "/" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else ""
            done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")) + slash)

        return noted

    monkeypatch.setattr(os, "fsync", noting(os.fsync))
    monkeypatch.setattr(os, "fdatasync", noting(os.fdatasync))
    return done


def test_nobody_sees_a_write_while_it_waits_for_the_disk_nor_after_that_failed(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.write(Put(TABLE, item("A")))
    readers = [opened(engine), opened(engine)]
    assert content(readers[0]) == [item("A")]  # the second one opens the folder meanwhile
    seen: list[object] = []
    threads = [threading.Thread(target=lambda one=one: seen.append(content(one))) for one in readers]

    def slow_and_failing(_: int) -> None:
        assert len((engine.folder / NAME).read_bytes().splitlines()) == 3
        monkeypatch.setattr(os, "fdatasync", real)
        for thread in threads:
            thread.start()
        threads[0].join(0.2)
        assert not [one for one in seen if one != [item("A")]]
        failing()

    real = os.fdatasync
    before = contents_of(engine.folder)
    monkeypatch.setattr(os, "fdatasync", slow_and_failing)
    with pytest.raises(UnavailableError, match="Input/output error") as caught:
        engine.write(Put(TABLE, item("B")))
    assert not caught.value.outcome_unknown
    for thread in threads:
        thread.join(10)
    assert seen == [[item("A")]] * 2
    assert contents_of(engine.folder) == before
    engine.write(Put(TABLE, item("C")))
    for one in (engine, *readers, opened(engine)):
        assert content(one) == [item("A"), item("C")]


def test_a_write_that_is_on_disk_is_told_as_made_though_closing_the_journal_fails(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, close = [False], os.close

    def syncing(descriptor: int) -> None:
        os.fsync(descriptor)
        synced[0] = True

    def closing(descriptor: int) -> None:
        close(descriptor)
        if synced[0]:
            synced[0] = False
            failing()

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", syncing)
        broken.setattr(os, "close", closing)
        engine.write(Put(TABLE, item("A")))
    assert content(engine) == content(opened(engine)) == [item("A")]


def test_a_write_that_cannot_be_taken_back_is_in_doubt_and_counts_for_nobody_until_it_is_on_disk(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    engine.write(Put(TABLE, item("A")))
    reader = opened(engine)
    assert content(reader) == [item("A")]
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing)
        broken.setattr(os, "ftruncate", failing)
        with pytest.raises(UnavailableError) as caught:
            engine.write(Put(TABLE, item("B")))
        assert caught.value.outcome_unknown
        for one in (engine, reader, opened(engine)):
            with pytest.raises(UnavailableError) as refused:
                one.write(Put(TABLE, item("C")))
            assert not refused.value.outcome_unknown
        with pytest.raises(UnavailableError):
            content(opened(engine))
        assert content(engine) == content(reader) == [item("A")]
    synced.clear()
    reader.write(Put(TABLE, item("D")))
    assert synced == [NAME, NAME]  # written once more before it counts
    for one in (engine, reader, opened(engine)):
        assert content(one) == [item("A"), item("B"), item("D")]


def test_what_a_killed_writer_left_counts_only_once_it_is_on_disk(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    engine.write(Put(TABLE, item("A")))
    readers = [engine, opened(engine)]
    assert content(readers[1]) == [item("A")]
    killed(engine.folder, "before the journal is on disk")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", failing)
        assert [content(one) for one in readers] == [[item("A")]] * 2
        with pytest.raises(UnavailableError):
            content(opened(engine))
        with pytest.raises(UnavailableError):
            engine.write(Put(TABLE, item("B")))
    synced.clear()
    assert len(content(opened(engine))) == 3
    assert synced == [f"{engine.folder.name}/", NAME]
    assert [len(content(one)) for one in readers] == [3, 3]
    assert synced[2:] == []  # known to be there


@pytest.mark.parametrize(
    "step",
    [
        "after the new journal has its name",
        "after the tables' files have their names",
        "before a table's file has its name",
    ],
)
def test_a_fold_that_is_killed_loses_nothing_and_its_names_stay_before_the_next_acknowledgement(
    engine: FileEngine, synced: list[str], step: str
) -> None:
    engine.write(Put(TABLE, item("A")))
    killed(engine.folder, step)
    synced.clear()
    engine.write(Put(TABLE, item("Z")))
    assert synced[-1] == NAME
    assert f"{engine.folder.name}/" in synced or step.startswith("before")
    for one in (engine, opened(engine)):
        assert [found["PK"]["S"] for found in content(one)] == ["A", "KILLED1", "KILLED2", "Z"]
    engine.close()
    assert [path.name for path in engine.folder.glob(".*.tmp")] == []


def test_a_new_journal_has_a_lasting_name_before_it_takes_a_write(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    engine.write(Put(TABLE, item("A")))
    with monkeypatch.context() as broken:
        broken.setattr("bluestar_store.engines.file.journal.sync_names", failing)
        engine.close()
    synced.clear()
    engine.write(Put(TABLE, item("B")))
    assert synced.index(f"{engine.folder.name}/") < synced.index(NAME)
    assert content(opened(engine)) == content(engine) == [item("A"), item("B")]


@pytest.mark.parametrize("broken_call", ["fsync", "replace"])
def test_a_fold_that_fails_leaves_no_file_behind(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch, broken_call: str
) -> None:
    engine.write(Put(TABLE, item("A")))
    before = contents_of(engine.folder)
    with monkeypatch.context() as broken:
        broken.setattr(os, broken_call, failing)
        engine.close()
        with pytest.raises(UnavailableError):
            engine.create_tables([TableSpec("bluestar-new")])
    assert contents_of(engine.folder) == before
    assert content(opened(engine)) == [item("A")]


def test_a_table_and_the_journal_may_be_symbolic_links(engine: FileEngine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    engine.write(Put(TABLE, item("A")))
    engine.close()
    links = [path_of(engine), engine.folder / NAME]
    for link in links:
        link.rename(elsewhere / link.name)
        link.symlink_to(elsewhere / link.name)
    for number in range(3):
        for one in (engine, opened(engine)):
            one.write(Put(TABLE, item(f"B{number}")))
            one.close()
    assert all(link.is_symlink() for link in links)
    assert '"B2"' in (elsewhere / path_of(engine).name).read_text()
    assert [path.name for path in (*engine.folder.glob(".*.tmp"), *elsewhere.glob(".*.tmp"))] == []
    assert len(content(engine)) == len(content(opened(engine))) == 4


def test_a_link_that_leads_nowhere_good_is_refused(engine: FileEngine) -> None:
    path = engine.folder / "bluestar-new.json"
    path.symlink_to(path)
    with pytest.raises(UnavailableError, match="symbolic links"):
        engine.create_tables([TableSpec("bluestar-new")])
    assert path.is_symlink()


def test_permissions_that_somebody_gave_a_file_stay(engine: FileEngine) -> None:
    files = [path_of(engine), path_of(engine, OTHER), engine.folder / NAME]
    engine.write(Put(TABLE, item("A")))
    for path, mode in zip(files, (0o640, 0o600, 0o660), strict=True):
        path.chmod(mode)
    engine.write(Put(TABLE, item("B")))
    engine.close()
    assert [path.stat().st_mode & 0o777 for path in files] == [0o640, 0o600, 0o660]


def test_a_journal_of_an_older_release_is_taken_over_and_kept_apart_from_what_is_known(
    engine: FileEngine, synced: list[str]
) -> None:
    """It sets no mark, and may have acknowledged what lies behind one."""
    engine.write(Put(TABLE, item("A")))
    mark = (engine.folder / MARK).read_bytes()
    engine.write(Put(TABLE, item("B")))
    reader = opened(engine)
    for left in (mark, mark[:20], b"", None):
        if left is None:
            (engine.folder / MARK).unlink()
        else:
            (engine.folder / MARK).write_bytes(left)
        synced.clear()
        assert content(opened(engine)) == [item("A"), item("B")]
        assert synced == [f"{engine.folder.name}/", NAME]
        assert content(reader) == content(engine) == [item("A"), item("B")]


def test_names_of_tables_that_differ_in_case_only_are_refused_where_the_disk_takes_them_for_one(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.create_tables([TableSpec("bluestar-New"), TableSpec("bluestar-NEW")])  # told apart here
    engine.delete_tables(["bluestar-New"])
    engine.write(Put("bluestar-NEW", item("A")))
    ignore_case(monkeypatch)
    with pytest.raises(ConfigurationError, match=r"has bluestar-NEW\.json.*takes bluestar-new\.json for the same"):
        engine.create_tables([TableSpec("bluestar-new")])
    engine.create_tables([TableSpec("bluestar-NEW")], upgrade=True)
    engine.close()
    assert FileEngine(engine.folder.with_name("STORE")).data_id == engine.data_id
    assert content(opened(engine), "bluestar-NEW") == [item("A")]
