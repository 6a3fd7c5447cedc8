"""Work whose memory is measured, in a process of its own: `python -m benchmarks.child WORK SETTINGS [FOLDER]`.

Both libraries are imported first, whoever does the work: what grows then is what the work takes. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import all_tables, pynamodb_models
from benchmarks.resident import peak_bytes, resident_bytes
from bluestar_store import Settings, Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.store import tables_of

LINES = "pynamodb.jsonl"
"""The file that PynamoDB's export writes."""


def read_with_store(settings: Settings) -> dict[str, Any]:
    """A read of each table with one Store."""
    before = resident_bytes()
    with Store.open(settings) as store:
        answers = all_tables.read_with_store(store)
        return _grown(before, answers)


def read_with_pynamodb(settings: Settings) -> dict[str, Any]:
    """The same with eight Models."""
    before = resident_bytes()
    bound = all_tables.bound_models(settings)
    answers = all_tables.read_with_models(bound)
    return _grown(before, answers)


def _grown(before: int, answers: list[Any]) -> dict[str, Any]:
    return {"grown": resident_bytes() - before, "right": answers == all_tables.ANSWERS}


def export_with_store(settings: Settings, folder: Path) -> dict[str, Any]:
    """All items, sorted and with their digest: what `bluestar-store export` does."""
    from bluestar_store.transfer import export

    def work() -> int:
        with Store.open(settings) as store:
            return export(store, folder).tables[CALCULATION_RULE.table].items

    return _timed(work)


def export_with_pynamodb(settings: Settings, folder: Path) -> dict[str, Any]:
    """The items of one table, in the lines of our export, but in no order."""
    model = pynamodb_models.bound(pynamodb_models.Rule, settings, tables_of(settings).name(CALCULATION_RULE))
    encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode

    def work() -> int:
        count = 0
        with (folder / LINES).open("w", encoding="utf-8") as file:
            for found in model.scan(consistent_read=True):
                file.write(encode(found.to_dynamodb_dict()) + "\n")
                count += 1
        return count

    return _timed(work)


def _timed(work: Callable[[], int]) -> dict[str, Any]:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    items = work()
    wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    return {"items": items, "wall": wall, "cpu": cpu, "peak": peak_bytes()}


WORKS = {work.__name__: work for work in (read_with_store, read_with_pynamodb, export_with_store, export_with_pynamodb)}


def main(work: str, settings: str, *folder: str) -> None:
    """What a process does; `settings` are JSON."""
    answer = WORKS[work](Settings(**json.loads(settings)), *map(Path, folder))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
