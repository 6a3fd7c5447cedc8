"""Merging an export into tables that have items: what is written, left alone, overwritten, and with which version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Store, VersionConflictError
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Put, Write
from bluestar_store.transfer import export, import_
from bluestar_store.transfer.merge.comparing import ImportReport
from tests.transfer.importing_stores import COUNT, RULE, exported, item, source, stored, target
from tests.transfer.test_transfer_round_trip import SINGLE, fill, in_memory

__all__ = ["exported", "source", "target"]  # fixtures


@pytest.mark.parametrize("layout", ["per_table", "single"])
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
@pytest.mark.parametrize("layout", ["per_table", "single"])
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
    write, rules = MemoryEngine.write, target.tables.name(target.calculation_rules.mapper)
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
            write(engine, Put(target.tables.name(target.calculation_rules.mapper), theirs))
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
