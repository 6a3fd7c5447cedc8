"""Exporting: complete or no export at all, limited to plans, in constant memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AccessDeniedError,
    CalculationRule,
    FileStoreError,
    PersistenceMode,
    Settings,
    Store,
    ThrottledError,
)
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import Item, Page
from bluestar_store.testing import FaultEngine
from bluestar_store.transfer import export, exporting, import_, importing, sorting
from tests.transfer.test_transfer_round_trip import content, in_memory


@pytest.fixture
def store() -> Iterator[Store]:
    with in_memory() as opened:
        yield opened


def put(store: Store, table: str, pk: str, sk: str, **attributes: str) -> None:
    item: Item = {"PK": {"S": pk}, "SK": {"S": sk}} | {name: {"S": text} for name, text in attributes.items()}
    store.engine.put_many(f"{store.tables.prefix}{table}{store.tables.suffix}", [item])


def keys(folder: Path) -> set[str]:
    """PK and SK of everything in an export."""
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines()]
    return {" ".join(json.loads(line)[name]["S"] for name in ("PK", "SK")) for line in lines}


def test_an_export_of_plans_has_all_that_is_theirs(store: Store, tmp_path: Path) -> None:
    for plan in ("A", "B"):
        put(store, "processing-pipeline", f"CLIENT#{plan}_Weekly", "STEP#1")
        put(store, "validation-rules", f"CATEGORY#SSN#CLIENT#{plan}", "RULE#001")
        put(store, "vendor-schema-mapping", f"VENDOR#{plan}", "SCHEMA#1", plan_id=plan)
        put(store, "batch-state", f"GUARD#{plan}", "HOLDS", plan_id="other")
        put(store, "processing-metadata", f"BATCH#{plan}1", "STATE", plan_id=plan)
        put(store, "processing-metadata", f"BATCH#{plan}1", "AUDIT#00000001")
        put(store, "processing-metadata", f"TRAIL#processing-metadata#BATCH#{plan}1", "CHAIN")
        put(store, "processing-metadata", f"TRAIL#calculation-rules#CLIENT#{plan}", "AUDIT#00000001")
        put(store, "agent-config", f"THEIRS#{plan}", "X", plan_id=plan)
        put(store, "calculation-rules", "CLIENT#GLOBAL", f"CALC#{plan}", plan_id=plan)
    put(store, "irs-limits", "YEAR#2026", "LIMITS")
    put(store, "processing-metadata", "TRAIL#irs-limits#YEAR#2026", "CHAIN")
    manifest = export(store, tmp_path, plans=["A"])
    assert manifest.plans == ("A",)
    assert keys(tmp_path) == {
        "CLIENT#A_Weekly STEP#1",
        "CATEGORY#SSN#CLIENT#A RULE#001",
        "VENDOR#A SCHEMA#1",
        "GUARD#A HOLDS",
        "BATCH#A1 STATE",
        "BATCH#A1 AUDIT#00000001",
        "TRAIL#processing-metadata#BATCH#A1 CHAIN",
        "TRAIL#calculation-rules#CLIENT#A AUDIT#00000001",
        "THEIRS#A X",
    }


@pytest.mark.parametrize("plans", ["ACME", []])
def test_plans_that_cannot_be_meant_are_refused(store: Store, tmp_path: Path, plans: Any) -> None:
    with pytest.raises(ValueError, match="collection of plan ids"):
        export(store, tmp_path / "x", plans=plans)
    assert not (tmp_path / "x").exists()


def test_an_export_is_replaced_only_when_asked(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path)
    before = content(tmp_path)
    store.calculation_rules.put(CalculationRule(plan_id="A", calc_type="match"))
    with pytest.raises(FileStoreError, match="holds an export already"):
        export(store, tmp_path)
    assert content(tmp_path) == before
    assert export(store, tmp_path, replace=True).items == 3  # the rule, and its trail: an entry and the head
    assert content(tmp_path) != before


def test_an_interrupted_export_is_none_and_the_next_one_clears_up(store: Store, tmp_path: Path) -> None:
    store.calculation_rules.put(CalculationRule(plan_id="A", calc_type="match"))

    def interrupt(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(store, tmp_path, progress=interrupt)
    assert not list(tmp_path.iterdir())
    (tmp_path / ".export-killed").mkdir()
    export(store, tmp_path)
    assert len(list(tmp_path.iterdir())) == len({mapper.table for mapper in KINDS}) + 1  # the manifest


def test_a_folder_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(FileStoreError, match="is not a folder"):
            export(store, folder)


def test_progress_counts_the_items_up_to_the_total(store: Store, tmp_path: Path) -> None:
    for number in range(3):
        store.calculation_rules.put(CalculationRule(plan_id=f"P{number}", calc_type="match"))
    told: list[tuple[str, int, int | None]] = []
    export(store, tmp_path, progress=lambda *step: told.append(step))
    # Three rules, a trail of each (an entry and the head), and the revision of each plan, which is read and left out.
    assert told[-1] == ("export", 12, 12)


class Wide(FaultEngine):
    """Worth several calls at once, as DynamoDB is."""

    parallel_calls = 4


def test_segments_read_at_once_make_the_same_export_and_wait_when_they_are_throttled(
    store: Store, tmp_path: Path
) -> None:
    for number in range(3):
        items = [{"PK": {"S": f"CLIENT#P{n}"}, "SK": {"S": f"CALC#{number}"}} for n in range(1000)]
        store.engine.put_many(store.tables.name(CALCULATION_RULE), items)
    wide = Wide(store.engine)
    wide.faults.fail("scan", ThrottledError, times=5)
    with Store(store.settings, wide) as other:
        assert export(other, tmp_path / "wide") == export(store, tmp_path / "plain")
        wide.faults.fail("scan", ThrottledError, times=2)
        assert export(other, tmp_path / "wide of P1", plans=["P1"]) == export(store, tmp_path / "of P1", plans=["P1"])
    asked = [call.arguments["segment"] for call in wide.faults.calls if call.arguments.get("segment")]
    assert {segment.number for segment in asked} == set(range(4))
    assert content(tmp_path / "wide") == content(tmp_path / "plain")


def test_an_error_in_one_segment_is_not_held_up_by_the_patience_of_the_others(store: Store, tmp_path: Path) -> None:
    items = [{"PK": {"S": f"CLIENT#P{n}"}, "SK": {"S": "CALC#match"}} for n in range(2000)]
    store.engine.put_many(store.tables.name(CALCULATION_RULE), items)
    wide = Wide(store.engine)

    def of(*numbers: int) -> Callable[[Any], bool]:
        return lambda call: call.arguments["segment"] is not None and call.arguments["segment"].number in numbers

    wide.faults.fail("scan", ThrottledError, which=of(0, 1, 2))
    wide.faults.fail("scan", AccessDeniedError, which=of(3))
    with Store(store.settings, wide) as other, pytest.raises(AccessDeniedError):
        export(other, tmp_path)
    assert len(wide.faults.calls) < exporting.THROTTLED_TRIES


ITEMS, ITEM_BYTES, PAGE = 5000, 3000, 200


class Endless(MemoryEngine):
    """Makes the items when they are asked for, and forgets those it is given."""

    def scan(self, table: str, **options: Any) -> Page:
        if "processing-metadata" not in table or options.get("limit"):
            return Page([], None)
        start = int(options["cursor"] or 0)
        page = [self._item(number * 7919 % ITEMS) for number in range(start, start + PAGE)]  # not in order
        return Page(page, str(start + PAGE) if start + PAGE < ITEMS else None)

    def _item(self, number: int) -> Item:
        text = f"{number:08d}" * (ITEM_BYTES // 8)
        return {"PK": {"S": f"BATCH#{number // 9}"}, "SK": {"S": f"RESULT#{number:04d}"}, "text": {"S": text}}

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        return sum(1 for _ in items)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that parts are sorted, merged and written on the way, as they are of millions of items.
    monkeypatch.setattr(sorting, "RUN_BYTES", 1024 * 1024)
    monkeypatch.setattr(sorting, "MAX_RUNS", 4)
    monkeypatch.setattr(importing, "ROUND_BYTES", 1024 * 1024)
    store = Store(Settings(persistence_mode=PersistenceMode.MEMORY), Endless())
    tracemalloc.start()
    try:
        assert export(store, tmp_path).items == ITEMS
        _, exporting_bytes = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert import_(store, tmp_path).written == ITEMS
        _, importing_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    whole = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert whole > 15_000_000
    assert exporting_bytes < whole / 4
    assert importing_bytes < whole / 2.5


def test_an_export_over_another_one_keeps_permissions(store: Store, tmp_path: Path) -> None:
    export(store, tmp_path)
    files = [tmp_path / "manifest.json", tmp_path / "calculation-rules.jsonl"]
    for path, mode in zip(files, (0o600, 0o640), strict=True):
        path.chmod(mode)
    export(store, tmp_path, replace=True)
    assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o640]


@pytest.mark.parametrize("name", ["manifest.json", "calculation-rules.jsonl"])
def test_an_export_over_a_symbolic_link_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "export"
    export(store, folder)
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(FileStoreError, match="is a symbolic link"):
        export(store, folder, replace=True)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
