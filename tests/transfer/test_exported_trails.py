"""Audit trails in an export: what was done to it is found without a store, also by who knows how exports are made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store import FileMissingError, Settings, Store, Trail
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.protocols import Item
from bluestar_store.repositories.trail import entry_hash
from bluestar_store.transfer import export
from bluestar_store.transfer.exported_trails import exported_trail_report
from bluestar_store.transfer.files import Manifest, TableDigest, items_path, line_of, read_items

TABLE = "processing-metadata"
B = Trail(batch_id="b")


@pytest.fixture(params=["per_table", "single"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An export of a store with trails of three batches, b between the others, and of a rule."""
    with Store.open(Settings(persistence_mode="memory", table_layout=request.param)) as store:
        store.create_tables()
        for trail in ("a", "b", "c", Trail(table="calculation-rules", partition="CLIENT#ACME")):
            for number in range(1, 5):
                store.audit.append(trail, actor="A", action=f"act{number}")
        export(store, tmp_path / "out")
    return tmp_path / "out"


def rewrite(folder: Path, change: Callable[[list[Item]], object], *, manifest: bool) -> None:
    """Change the items of trail b in the file; with `manifest`, so that the manifest tells of what is there then."""
    found = Manifest.read(folder)
    records = [record.item for record in read_items(folder, TABLE, found.tables[TABLE])]
    own = [item for item in records if item["PK"] == {"S": "BATCH#b"} and item["SK"] != {"S": "CHAIN"}]
    head = next(item for item in records if (item["PK"], item["SK"]) == ({"S": "BATCH#b"}, {"S": "CHAIN"}))
    rest = [item for item in records if item["PK"] != {"S": "BATCH#b"}]
    change(own)
    items = sorted([*rest, *own, head], key=lambda item: (item["PK"]["S"], item["SK"]["S"]))
    content = b"".join(line_of(item) + b"\n" for item in items)
    items_path(folder, TABLE).write_bytes(content)
    if manifest:
        import hashlib

        digest = TableDigest(len(items), hashlib.sha256(content).hexdigest())
        (folder / "manifest.json").write_bytes(Manifest({**found.tables, TABLE: digest}).to_bytes())


def _swapped(own: list[Item]) -> None:
    own[1], own[2] = ({**own[2], "SK": own[1]["SK"], "seq": own[1]["seq"]},
                      {**own[1], "SK": own[2]["SK"], "seq": own[2]["seq"]})  # fmt: skip


def _appended(own: list[Item]) -> None:
    added = {**own[3], "SK": {"S": "AUDIT#00000005"}, "seq": {"N": "5"}, "previous": own[3]["hash"]}
    own.append({**added, "hash": {"S": entry_hash(AUDIT_ENTRY.decode(added))}})


CHANGES: dict[str, tuple[Callable[[list[Item]], object], int, str]] = {
    "changed": (lambda own: own[1].update(actor={"S": "B"}), 2, "changed"),
    "removed": (lambda own: own.pop(1), 2, "removed"),
    "cut off": (lambda own: own.pop(), 4, "cut off"),
    "reordered": (_swapped, 2, "changed"),
    "put in": (_appended, 5, "put in"),
}


def test_a_whole_trail_is_whole_and_others_are_not_looked_at(folder: Path) -> None:
    for trail in (B, Trail(table="calculation-rules", partition="CLIENT#ACME")):
        found = exported_trail_report(folder, trail)
        assert (found.entries, found.faults) == (4, ())
    rewrite(folder, CHANGES["changed"][0], manifest=True)
    assert exported_trail_report(folder, Trail(batch_id="a")).faults == ()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("manifest", [True, False], ids=["with its manifest", "without its manifest"])
def test_what_was_done_to_a_trail_is_found_and_named(folder: Path, change: str, manifest: bool) -> None:
    done, seq, what = CHANGES[change]
    rewrite(folder, done, manifest=manifest)
    faults = exported_trail_report(folder, B).faults
    assert what in next(fault.what for fault in faults if fault.seq == seq)
    told = [fault.what for fault in faults if fault.seq is None]
    assert ["was changed since it was exported" in one for one in told] == ([] if manifest else [True])


def test_lines_that_changed_places_are_a_fault_that_names_the_entry(folder: Path) -> None:
    path = items_path(folder, TABLE)
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b"BATCH#b" in line and b"AUDIT#00000002" in line)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    path.write_bytes(b"".join(lines))
    (fault,) = exported_trail_report(folder, B).faults
    assert (fault.seq, f"line {at + 2}: " in fault.what) == (2, True)
    assert "does not come after the line before: PK=BATCH#b SK=AUDIT#00000003" in fault.what
    (fault,) = exported_trail_report(folder, Trail(batch_id="a")).faults  # of which nobody knows what lay behind
    assert (fault.seq, f"line {at + 2}: " in fault.what) == (None, True)


def test_a_line_that_no_export_has_is_a_fault(folder: Path) -> None:
    path = items_path(folder, TABLE)
    path.write_bytes(path.read_bytes() + b"{}\n")
    (fault,) = exported_trail_report(folder, B).faults
    assert (fault.seq, "restore the file or export again" in fault.what) == (None, True)


def test_a_trail_that_is_not_in_it_has_no_entries(folder: Path) -> None:
    assert exported_trail_report(folder, Trail(batch_id="d")).entries == 0
    items_path(folder, TABLE).unlink()
    with pytest.raises(FileMissingError):
        exported_trail_report(folder, B)
