"""Importing: all or, after kill -9, the rest; nothing over what others wrote; damage refused before any write."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, ConflictError, FileMissingError, FileStoreError, ItemDecodeError, Store
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Put, Write
from bluestar_store.transfer import export, import_, importing
from bluestar_store.transfer.files import Manifest, TableDigest
from bluestar_store.transfer.merge.comparing import ImportReport
from tests.transfer.importing_stores import COUNT, RULE, exported, item, source, stored, target
from tests.transfer.test_transfer_round_trip import SINGLE, content, fill, in_folder, in_memory

__all__ = ["exported", "source", "target"]  # fixtures


def has_items(store: Store) -> bool:
    return any(store.engine.scan(spec.name).items for spec in store.tables.specs())


CHILD = """
import os, signal, sys
from pathlib import Path
from bluestar_store import Settings, Store
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.transfer import importing

folder, store, suffix, layout, point, number = sys.argv[1:]
importing.ROUND_ITEMS = 10
left = int(number)

def count_down():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def killing(function):
    def call(*arguments, **options):
        if point == "before": count_down()
        function(*arguments, **options)
        if point == "after": count_down()
    return call

if point == "progress":
    told = lambda what, done, total: what == "import" and count_down()
else:
    told = None
    FileEngine._commit = killing(FileEngine._commit)
settings = Settings(persistence_mode="file", file_persistence_dir=store, table_suffix=suffix, table_layout=layout)
importing.import_(Store.open(settings), Path(folder), progress=told)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "number"), [("progress", 1), ("progress", 7), ("before", 1), ("after", 1), ("before", 5), ("after", 8)]
)
@pytest.mark.parametrize("layout", ["per_table", "single"])
def test_after_kill_9_the_next_run_completes_it_and_writes_nothing_twice(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Any, point: str, number: int
) -> None:
    with in_folder(tmp_path / "store", layout) as target:
        arguments = [exported, tmp_path / "store", target.settings.table_suffix, layout, point, number]
        child = subprocess.run([sys.executable, "-c", CHILD, *map(str, arguments)], capture_output=True, check=False)
        assert child.returncode == -signal.SIGKILL, child.stderr
        before = sum(len(target.engine.scan(spec.name).items) for spec in target.tables.specs())
        written: list[Write] = []
        write = FileEngine.write

        def noting(engine: FileEngine, *writes: Write) -> None:
            write(engine, *writes)
            written.extend(one for one in writes if isinstance(one, Put))  # and not what readers are told

        monkeypatch.setattr(FileEngine, "write", noting)
        report = import_(target, exported)
        if before:
            assert report.resumed + report.same == before
            assert len(written) == report.written == COUNT + 11 - before
        else:
            assert report == ImportReport(written=COUNT + 11)
        again = export(target, tmp_path / "again")
    assert again == Manifest.read(exported)
    assert content(tmp_path / "again") == content(exported)  # and no notes are left beside the export


class Failing(Exception):
    pass


def interrupted(target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch, after: int = 20) -> None:
    """An import that ended after some of its items."""

    def stop(what: str, done: int, total: int | None) -> None:
        if what == "import" and done >= after:
            raise Failing

    monkeypatch.setattr(importing, "ROUND_ITEMS", 10)
    with pytest.raises(Failing):
        import_(target, exported, progress=stop)


def test_what_others_wrote_after_the_interruption_is_left_alone(
    target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(target, exported, monkeypatch, after=11)
    key = Key("BATCH#6", "RESULT#0083")
    theirs = item(key, n={"S": "theirs"})
    target.engine.write(Put(f"bluestar-processing-metadata{target.tables.suffix}", theirs))
    report = import_(target, exported)
    assert (report.left_alone, report.left_alone_keys) == (1, (("processing-metadata", key),))
    assert report.resumed + report.written == COUNT + 10


def test_a_target_made_anew_after_the_interruption_gets_everything(
    target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(target, exported, monkeypatch)
    names = [spec.name for spec in target.tables.specs()]
    target.engine.delete_tables(names)
    target.create_tables()
    assert import_(target, exported) == ImportReport(written=COUNT + 11)


def test_notes_of_another_export_or_target_do_not_count(
    source: Store, target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(target, exported, monkeypatch)
    with in_memory() as other:
        assert import_(other, exported).resumed == 0
    source.calculation_rules.put(CalculationRule(plan_id="B", calc_type="match"))
    export(source, exported, replace=True)
    with pytest.raises(ConflictError, match="is not empty"):
        import_(target, exported)


def test_a_changed_file_is_refused_before_anything_is_written(target: Store, exported: Path) -> None:
    path = exported / "processing-metadata.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"N":"89"', b'"N":"88"'))
    with pytest.raises(FileStoreError, match=r"processing-metadata\.jsonl was changed"):
        import_(target, exported)
    path.write_bytes(path.read_bytes().replace(b'"N":"88"', b'"N":88', 1))
    with pytest.raises(ItemDecodeError, match=r"processing-metadata\.jsonl line \d+"):
        import_(target, exported)
    path.unlink()
    with pytest.raises(FileMissingError, match=r"processing-metadata\.jsonl is missing"):
        import_(target, exported)
    assert not has_items(target)


@pytest.mark.parametrize("name", ["../calculation-rules", "payrolls"])
def test_a_table_that_is_not_known_is_refused(target: Store, exported: Path, name: str) -> None:
    manifest = Manifest({name: TableDigest(0, "")})
    (exported / "manifest.json").write_bytes(manifest.to_bytes())
    with pytest.raises(FileStoreError, match="not known here"):
        import_(target, exported)


def test_a_folder_that_is_not_there_or_no_export_is_refused(target: Store, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(FileMissingError):
            import_(target, folder)


def test_a_target_with_items_is_refused_and_its_tables_named(target: Store, exported: Path) -> None:
    target.calculation_rules.put(CalculationRule(plan_id="Z", calc_type="match"))
    with pytest.raises(ConflictError, match="bluestar-calculation-rules") as caught:
        import_(target, exported)
    assert "irs-limits" not in str(caught.value)
    assert "merge=True, or --merge at the terminal" in str(caught.value)
    assert stored(target, RULE) is None


def test_keys_that_two_tables_share_cannot_go_into_layout_single(source: Store, tmp_path: Path) -> None:
    same = [item(Key("THEIRS", f"{n:02d}")) for n in range(12)]
    fill(source, {"batch-state": same, "irs-limits": same, "validation-rules": same})
    export(source, tmp_path)
    with in_memory(SINGLE) as target:
        with pytest.raises(ConflictError) as caught:
            import_(target, tmp_path)
        assert not has_items(target)
    text = str(caught.value)
    assert text.startswith("12 items cannot lie in")
    assert text.count("\n") == 11
    assert "batch-state and irs-limits and validation-rules: PK=THEIRS SK=00:" in text


def test_an_item_that_layout_single_would_make_a_rule_of_cannot_go_there(target: Store, tmp_path: Path) -> None:
    fill(target, {"batch-state": [item(RULE)]})
    export(target, tmp_path)
    with in_memory(SINGLE) as single, pytest.raises(ConflictError, match="would become a calculation-rule"):
        import_(single, tmp_path)


def test_items_that_tell_no_table_cannot_go_into_layout_eight(target: Store, tmp_path: Path) -> None:
    with in_memory(SINGLE) as single:
        single.engine.put_many(single.tables.specs()[0].name, [item(Key("THEIRS", "1"))])
        export(single, tmp_path)
    with pytest.raises(ConflictError, match="PK=THEIRS SK=1: tells no table"):
        import_(target, tmp_path)


def test_an_item_without_room_for_the_name_of_its_table_cannot_go_into_layout_single(
    target: Store, tmp_path: Path
) -> None:
    room = 400 * 1024 - len("PKTHEIRSSK1text")
    fill(target, {"batch-state": [item(Key("THEIRS", "1"), text={"S": "x" * room})]})
    export(target, tmp_path)
    with in_memory(SINGLE) as single, pytest.raises(ConflictError, match="too large for the name of its table"):
        import_(single, tmp_path)


def test_progress_tells_checking_and_importing_up_to_the_total(target: Store, exported: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    import_(target, exported, progress=lambda *step: told.append(step))
    assert [step for step in told if step[1] == step[2]] == [
        ("check", COUNT + 11, COUNT + 11),
        ("import", COUNT + 11, COUNT + 11),
    ]
