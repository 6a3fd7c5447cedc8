"""Tables that this release marked as indexed, under an earlier release that knows no marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.mixed import jobs
from tests.mixed.releases import Partner


@pytest.fixture
def both(old: Partner, new: Partner, settings: dict[str, Any]) -> tuple[Partner, Partner]:
    """The earlier release and this one, which made the tables and marked them."""
    for process in (new, old):
        process.open(settings)
    new.do(jobs.create, True)
    return old, new


def test_each_lists_what_the_other_writes_to_marked_tables(both: tuple[Partner, Partner]) -> None:
    old, new = both
    for process, plan in ((old, "ACME"), (new, "BETA")):
        process.do(jobs.prepare, plan)
        process.do(jobs.put_all_sorts, plan, plan)
    for plan in ("ACME", "BETA"):
        digests = [process.do(jobs.start, plan, f"{plan}-{number}") for number, process in enumerate(both)]
        assert digests[0] == digests[1]
        for process in both:
            assert process.do(jobs.plans) == ["ACME", "BETA"]
            assert process.do(jobs.batches_of, plan) == [f"{plan}-1", f"{plan}-0"]
            assert process.do(jobs.history, f"{plan}-1")["digest"] == digests[0]
            assert process.do(jobs.complaints) == []


@pytest.mark.parametrize("importer", ["old", "new"])
def test_an_export_of_marked_tables_by_the_earlier_release_is_imported(
    both: tuple[Partner, Partner], settings: dict[str, Any], tmp_path: Path, importer: str
) -> None:
    old, new = both
    old.do(jobs.prepare, "ACME")
    old.do(jobs.start, "ACME", "b1")
    old.do(jobs.export_to, str(tmp_path / "export"))
    target = old if importer == "old" else new
    there = settings | {"table_suffix": settings["table_suffix"] + "-b"}
    if settings["persistence_mode"] == "file":
        there["file_persistence_dir"] = str(tmp_path / "there")
    target.open(there)
    target.do(jobs.create)
    target.do(jobs.import_from, str(tmp_path / "export"))
    assert target.do(jobs.batches_of, "ACME") == ["b1"]
    assert target.do(jobs.complaints) == []
