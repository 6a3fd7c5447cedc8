"""Salts of exported files: where something is shown masked, and nowhere else."""

from __future__ import annotations

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, Settings, Store, TableLayout, Trail
from bluestar_store.models.digest_keys import SALTS
from bluestar_store.transfer import export, import_, migrate
from bluestar_store.transfer.files import line_of
from tests.encryption.conftest import FIRST
from tests.store_suite.side_door import wire

SSN = "123-45-6789"
METADATA, RULES, CONFIGS = "processing-metadata", "calculation-rules", "agent-config"


def opened(layout: TableLayout = TableLayout.PER_TABLE, **fields: Any) -> Store:
    store = Store.open(Settings(persistence_mode="memory", table_layout=layout, **fields))
    store.create_tables()
    return store


def put(store: Store, table: str, pk: str, sk: str, **attributes: Any) -> None:
    """As another program does."""
    mapper = next(mapper for mapper in store.tables.kinds if mapper.table == table)
    store.engine.put_many(store.tables.name(mapper), [wire(pk, sk, **attributes)])


def checksums(folder: Path) -> dict[str, str]:
    """Those of the manifest, by table."""
    tables = json.loads((folder / "manifest.json").read_text())["tables"]
    return {name: table["sha256"] for name, table in tables.items()}


@pytest.mark.parametrize("layout", list(TableLayout), ids=str)
@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "encrypting"])
@pytest.mark.parametrize(
    ("table", "pk", "sk", "attributes"),
    [
        (METADATA, "BATCH#1", "RESULT#0100", {"result": {"M": {"ssn": {"S": SSN}}}}),
        (METADATA, "BATCH#1", "RESULT#0100", {"result": {"M": {"people": {"L": [{"S": f"for {SSN}"}]}}}}),
        (METADATA, "BATCH#1", "notes", {"acct": "900012345678"}),
        (RULES, "CLIENT#ACME", "CALC#match", {"description": f"as for {SSN}"}),
        (RULES, "CLIENT#ACME", "CALC#match", {"card": {"N": "4111111111111111"}}),
        (CONFIGS, "CLIENT#ACME_Weekly", "CONFIG", {"employee_ssn": "123456789"}),
        ("no table of ours", "X", "Y", {"iban": "DE02120300000000202051"}),
    ],
    ids=str,
)
def test_a_file_with_something_that_is_masked_has_a_salt(
    layout: TableLayout, keyed: bool, table: str, pk: str, sk: str, attributes: dict[str, Any], tmp_path: Path
) -> None:
    store = opened(layout, encryption_key=FIRST if keyed else None)
    if table.startswith("no"):
        if layout is TableLayout.PER_TABLE:
            return
        table = METADATA
        name = "store"
    else:
        name = table if sk != "notes" or layout is TableLayout.PER_TABLE else "store"
    put(store, table, pk, sk, **attributes)
    export(store, tmp_path / "out")
    line = line_of(wire(pk, sk, **attributes)) + b"\n"
    made = checksums(tmp_path / "out")
    assert made[name] != hashlib.sha256(line).hexdigest()
    assert {other for other, one in made.items() if one != hashlib.sha256().hexdigest()} <= {name, CONFIGS}
    assert line in (tmp_path / "out" / f"{name}.jsonl").read_bytes()
    if name == "store":
        return
    target = opened(layout)
    import_(target, tmp_path / "out")
    assert not [
        item
        for page in [target.engine.scan(spec.name) for spec in target.tables.specs()]
        for item in page.items
        if item["PK"]["S"] == SALTS
    ]


@pytest.mark.parametrize(
    "attributes",
    [{"description": "as for 123456789"}, {"discard": "1"}, {"max_pct": {"N": "021000021"}}, {"note": "401(k) 12345"}],
    ids=str,
)
def test_a_file_with_nothing_of_the_kind_has_none(attributes: dict[str, Any], tmp_path: Path) -> None:
    store = opened()
    put(store, RULES, "CLIENT#ACME", "CALC#match", **attributes)
    export(store, tmp_path / "out")
    line = line_of(wire("CLIENT#ACME", "CALC#match", **attributes)) + b"\n"
    assert checksums(tmp_path / "out")[RULES] == hashlib.sha256(line).hexdigest()
    assert checksums(tmp_path / "out")[CONFIGS] == hashlib.sha256().hexdigest()


@pytest.mark.parametrize("layouts", list(product(TableLayout, TableLayout)), ids="-".join)
@pytest.mark.parametrize("keyed", [False, True], ids=["no key", "a key"])
def test_what_has_salts_is_migrated_merged_and_exported_again(
    layouts: tuple[TableLayout, TableLayout], keyed: bool, tmp_path: Path
) -> None:
    source, target = map(opened, layouts)
    for plan in ("ACME", "ZED"):
        put(source, RULES, f"CLIENT#{plan}", "CALC#match", description=f"as for {SSN}")
    put(source, METADATA, "BATCH#1", "RESULT#0100", result={"M": {"ssn": {"S": SSN}}})
    if keyed:
        source.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="other", description=SSN))
    migrate(source, target, tmp_path / "work")
    first, second = tmp_path / "work" / "migration", tmp_path / "again"
    export(target, second)
    for path in first.glob("*.json*"):
        if not path.name.startswith("."):
            assert path.read_bytes() == (second / path.name).read_bytes()
    assert target.calculation_rules.get("ACME", "match").description == f"as for {SSN}"
    assert import_(target, first, merge=True).written == 0
    if keyed:
        trail = Trail(table=RULES, partition="CLIENT#ACME")
        assert len(target.audit.entries(trail)) == 1
        assert target.audit.verify(trail) == ()


def test_a_salt_that_an_old_release_imported_is_not_exported_again(tmp_path: Path) -> None:
    store = opened()
    put(store, RULES, "CLIENT#ACME", "CALC#match", description=f"as for {SSN}")
    put(store, RULES, SALTS, RULES, salt={"B": b"0" * 32})
    put(store, METADATA, SALTS, METADATA, salt={"B": b"0" * 32})
    manifest = export(store, tmp_path)
    assert (manifest.tables[RULES].items, manifest.tables[METADATA].items) == (2, 0)
