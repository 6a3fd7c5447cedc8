"""Importing: all or, after kill -9, the rest; nothing over what others wrote; damage refused before any write."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    CalculationRule,
    ConflictError,
    FileMissingError,
    FileStoreError,
    ItemDecodeError,
    Store,
    VersionConflictError,
)
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Put, Write
from bluestar_store.transfer import export, import_, importing
from bluestar_store.transfer.files import Manifest, TableDigest
from bluestar_store.transfer.merge.comparing import ImportReport
from tests.transfer.test_transfer_round_trip import SINGLE, content, fill, in_folder, in_memory

COUNT = 90
RULE = Key("CLIENT#A", "CALC#match")


def item(key: Key, **attributes: Any) -> Item:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}} | attributes


@pytest.fixture
def source() -> Iterator[Store]:
    """Three tables with items, 90 of them in the largest."""
    with in_memory() as store:
        results = [item(Key(f"BATCH#{n % 7}", f"RESULT#{n:04d}"), n={"N": str(n)}) for n in range(COUNT)]
        foreign = [item(Key("THEIRS", str(n)), b={"BS": [b"2", b"1"]}) for n in range(10)]
        rules = [item(RULE, max_pct={"N": "6"}, version={"N": "3"}, note={"S": "theirs"})]
        fill(store, {"processing-metadata": results, "agent-config": foreign, "calculation-rules": rules})
        yield store


@pytest.fixture
def exported(source: Store, tmp_path: Path) -> Path:
    export(source, tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def target() -> Iterator[Store]:
    with in_memory() as store:
        yield store


def has_items(store: Store) -> bool:
    return any(store.engine.scan(spec.name).items for spec in store.tables.specs())


def stored(store: Store, key: Key) -> Item | None:
    return store.engine.get(store.tables.name(store.calculation_rules.mapper), [key]).get(key)


# ------------------------------------------------------------------------------------------------------ interruptions

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
@pytest.mark.parametrize("layout", ["eight", "single"])
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


# ----------------------------------------------------------------------------------------------------- what is refused


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


# -------------------------------------------------------------------------------------------------------------- merging


@pytest.mark.parametrize("layout", ["eight", "single"])
def test_merging_writes_what_is_absent_and_leaves_what_differs(exported: Path, layout: Any) -> None:
    theirs = item(RULE, max_pct={"N": "7"}, version={"N": "9"})
    with in_memory(layout) as target:
        fill(target, {"calculation-rules": [theirs], "batch-state": [item(Key("PLAN#A", "HOLD#1"))]})
        report = import_(target, exported, merge=True)
        assert report == ImportReport(written=COUNT + 10, left_alone=1, left_alone_keys=(("calculation-rules", RULE),))
        assert stored(target, RULE) == theirs
        assert import_(target, exported, merge=True).same == COUNT + 10


def test_overwriting_replaces_what_differs_by_what_was_exported(source: Store, target: Store, exported: Path) -> None:
    fill(target, {"calculation-rules": [item(RULE, max_pct={"N": "7"})]})
    report = import_(target, exported, merge=True, overwrite=True)
    assert report == ImportReport(written=COUNT + 10, overwritten=1)
    assert stored(target, RULE) == stored(source, RULE)


@pytest.mark.parametrize(
    ("exported_version", "found", "written"),
    [
        ("3", "7", "8"),
        ("3", "3", "4"),
        ("9", "7", "9"),
        (None, "7", "8"),
        ("0", "7", "8"),
        ("3", None, "3"),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("layout", ["eight", "single"])
def test_what_overwrites_an_item_has_a_version_that_nobody_who_read_that_knows(
    tmp_path: Path, layout: Any, exported_version: str | None, found: str | None, written: str | None
) -> None:
    def at(version: str | None, max_pct: str) -> Item:
        return item(RULE, max_pct={"N": max_pct}) | ({} if version is None else {"version": {"N": version}})

    with in_memory() as source, in_memory(layout) as target:
        fill(source, {"calculation-rules": [at(exported_version, "6")]})
        fill(target, {"calculation-rules": [at(found, "7")]})
        read = target.calculation_rules.get("A", "match")
        export(source, tmp_path)
        assert import_(target, tmp_path, merge=True, overwrite=True) == ImportReport(overwritten=1)
        assert stored(target, RULE) == at(written, "6")
        assert import_(target, tmp_path, merge=True, overwrite=True) == ImportReport(same=1)  # it may be run again
        assert stored(target, RULE) == at(written, "6")
        if written is not None:
            with pytest.raises(VersionConflictError):
                target.calculation_rules.put(read.model_copy(update={"max_pct": 1}))


def test_an_item_that_changes_while_it_is_overwritten_gets_a_version_above_the_latest(
    target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(target, {"calculation-rules": [item(RULE, version={"N": "7"})]})
    write, rules = MemoryEngine.write, target.tables.name(target.calculation_rules.kind)
    left = 1

    def racing(engine: MemoryEngine, *writes: Write) -> None:
        nonlocal left
        if left and any(one.key == RULE for one in writes):
            left -= 1
            write(engine, Put(rules, item(RULE, version={"N": "8"})))
        write(engine, *writes)

    monkeypatch.setattr(MemoryEngine, "write", racing)
    assert import_(target, exported, merge=True, overwrite=True).overwritten == 1
    assert (stored(target, RULE) or {})["version"] == {"N": "9"}


@pytest.mark.parametrize("version", [{"N": "1.5"}, {"S": "v1"}])
def test_a_version_of_another_program_that_is_no_number_to_count_up_overwrites_as_it_is(
    source: Store, target: Store, tmp_path: Path, version: Any
) -> None:
    fill(source, {"calculation-rules": [item(RULE, version=version)]})
    fill(target, {"calculation-rules": [item(RULE, version={"N": "7"})]})
    export(source, tmp_path)
    assert import_(target, tmp_path, merge=True, overwrite=True).overwritten == 1
    assert (stored(target, RULE) or {})["version"] == version


def test_without_overwrite_an_item_that_differs_in_its_version_only_is_left_alone(
    source: Store, target: Store, exported: Path
) -> None:
    fill(target, {"calculation-rules": [(stored(source, RULE) or {}) | {"version": {"N": "9"}}]})
    assert import_(target, exported, merge=True).left_alone == 1


@pytest.mark.parametrize("version", [{"N": "0"}, {"N": "1.5"}, {"S": "3"}])
def test_an_item_whose_version_no_condition_can_check_is_not_overwritten(
    target: Store, exported: Path, version: Any
) -> None:
    fill(target, {"calculation-rules": [item(RULE, version=version)]})
    assert import_(target, exported, merge=True, overwrite=True).left_alone == 1


def test_an_item_of_another_table_is_not_overwritten_in_layout_single(source: Store, tmp_path: Path) -> None:
    export(source, tmp_path)
    with in_memory(SINGLE) as target:
        theirs = item(Key("THEIRS", "1"), bs_table={"S": "irs-limits"})
        fill(target, {"store": []})
        target.engine.put_many(target.tables.specs()[0].name, [theirs])
        report = import_(target, tmp_path, merge=True, overwrite=True)
        assert report.left_alone_keys == (("agent-config", Key("THEIRS", "1")),)
        assert target.engine.get(target.tables.specs()[0].name, [Key("THEIRS", "1")]) == {Key("THEIRS", "1"): theirs}


def test_overwrite_without_merge_makes_no_sense(target: Store, exported: Path) -> None:
    with pytest.raises(ValueError, match="belongs to merge"):
        import_(target, exported, overwrite=True)


def test_what_changes_between_comparison_and_write_is_compared_again(
    target: Store, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = MemoryEngine.write
    theirs = item(RULE, max_pct={"N": "9"}, version={"N": "1"})

    def racing(engine: MemoryEngine, *writes: Write) -> None:
        if any(one.key == RULE for one in writes) and stored(target, RULE) is None:
            write(engine, Put(target.tables.name(target.calculation_rules.kind), theirs))
        write(engine, *writes)

    monkeypatch.setattr(MemoryEngine, "write", racing)
    report = import_(target, exported, merge=True)
    assert (report.written, report.left_alone) == (COUNT + 10, 1)
    assert stored(target, RULE) == theirs


def test_large_items_are_merged_though_no_transaction_takes_all_of_them(target: Store, tmp_path: Path) -> None:
    with in_memory() as source:
        large = [item(Key("THEIRS", str(n)), text={"S": "x" * 400_000}) for n in range(25)]
        fill(source, {"irs-limits": large})
        export(source, tmp_path)
    assert import_(target, tmp_path, merge=True).written == 25


def test_progress_tells_checking_and_importing_up_to_the_total(target: Store, exported: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    import_(target, exported, progress=lambda *step: told.append(step))
    assert [step for step in told if step[1] == step[2]] == [
        ("check", COUNT + 11, COUNT + 11),
        ("import", COUNT + 11, COUNT + 11),
    ]
