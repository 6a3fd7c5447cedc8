"""Exports with salts in their files, between the releases."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.mixed import jobs
from tests.mixed.releases import Partner

TEXT = "as for 123-45-6789"


@pytest.mark.parametrize("layout", ["eight", "single"])
def test_the_old_release_takes_a_salted_export_and_gives_it_back(
    old: Partner, new: Partner, settings: dict[str, Any], layout: str, tmp_path: Path
) -> None:
    def elsewhere() -> dict[str, Any]:
        folder = tmp_path / uuid.uuid4().hex
        return (
            settings
            | {"table_layout": layout, "table_suffix": f"-{folder.name[:12]}"}
            | ({"file_persistence_dir": str(folder)} if "file_persistence_dir" in settings else {})
        )

    new.open(settings)
    new.do(jobs.create)
    new.do(jobs.put_text, "ACME", TEXT)
    new.do(jobs.put_account, "ACME", "900012345678")
    new.do(jobs.start_with_result, "b1", TEXT)
    new.do(jobs.export_to, str(tmp_path / "first"))
    assert sum(b"!DIGEST-SALTS" in path.read_bytes() for path in (tmp_path / "first").iterdir()) == 2
    old.open(elsewhere())
    old.do(jobs.create)
    old.do(jobs.import_from, str(tmp_path / "first"), False)
    assert old.do(jobs.text, "ACME") == TEXT
    assert old.do(jobs.account, "ACME") == "900012345678"
    old.do(jobs.import_from, str(tmp_path / "first"), True)
    old.do(jobs.export_to, str(tmp_path / "second"))
    new.open(elsewhere())
    new.do(jobs.create)
    new.do(jobs.import_from, str(tmp_path / "second"), False)
    assert new.do(jobs.text, "ACME") == TEXT
    new.do(jobs.export_to, str(tmp_path / "third"))
    for name in ("calculation-rules.jsonl", "processing-metadata.jsonl"):
        assert (tmp_path / "third" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()
