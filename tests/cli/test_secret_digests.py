"""Planted account numbers and SSNs, and every command: no hash that is shown or written is one of theirs.

Whoever knows the rest of an item finds a number in it by trying, if somewhere there is a hash that takes no key.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, Settings, Store
from bluestar_store.errors import BlueStarError
from bluestar_store.mapping.canonical import canonical
from bluestar_store.mapping.values import plain_value
from bluestar_store.mapping.wire import from_wire
from bluestar_store.protocols import Item, Put, key_of, scan_pages
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.repositories.digests import is_sensitive
from bluestar_store.transfer.files import line_of
from tests.cli.conftest import Run, on
from tests.cli.test_secrets import COMMANDS, HOLDS_DATA, OTHER, SSN, planted
from tests.store_suite.side_door import wire

__all__ = ["planted"]  # a fixture

TELLING = """
audit show --table calculation-rules --partition CLIENT#ACME --long
audit show --table agent-config --partition CLIENT#ACME_Weekly --long
audit show b2 --long
batch show b2
batch show b2 --rules
inspect batch b2
inspect snapshot ACME Weekly 2026 --long
export EXPORT
"""
"""Commands that show hashes."""
ALGORITHMS = ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s", "sha3_256")


def items_of(settings: Settings) -> list[Item]:
    """Everything that lies in the tables."""
    with Store.open(settings) as store:
        return [item for spec in store.tables.specs() for page in scan_pages(store.engine, spec.name) for item in page]


def texts_of(store: Store, item: Item) -> Iterator[bytes]:
    """What a hash of an item with something secret may be of."""
    said = {name: from_wire(value) for name, value in item.items() if name not in ("PK", "SK")}
    mapper = next((mapper for mapper in store.tables.kinds if mapper.keys.parse(key_of(item)) is not None), None)
    found: list[Any] = []
    if mapper is not None:
        try:
            entity = mapper.decode(item)
        except BlueStarError:
            return
        if not is_sensitive(mapper, entity):
            return
        whole = canonical(entity)
        found += [whole, whole["fields"], whole["extra"], *whole["fields"].values(), *whole["extra"].values()]
        without = dict(whole["fields"]) | {"hash": None}  # as an entry of a trail without its own
        found += [{"fields": {name: value for name, value in without.items() if value is not None}, "extra": {}}]
    elif not has_secrets(said):
        return
    else:
        found += [plain_value(value) for value in said.values()]
    line = line_of(item)
    yield from (line, line + b"\n")
    for value in found:
        if value is None or not any(map(str.isdigit, str(value))) or len(str(value)) < 9:
            continue
        yield json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        yield json.dumps(value, sort_keys=True).encode()
        yield str(value).encode()


def hashes(texts: Iterator[bytes]) -> Iterator[str]:
    """Of each text, as they may be spelled."""
    for text in set(texts):
        for algorithm in ALGORITHMS:
            made = hashlib.new(algorithm, text).digest()
            yield made.hex()[:12]
            yield base64.b64encode(made).decode()[:16]


def hidden_hashes(settings: Settings) -> set[str]:
    """Of all items that have something to hide, and of each table's file in an export."""
    items = items_of(settings)
    with Store.open(settings) as store:
        return {made for item in items for made in hashes(texts_of(store, item))}


@pytest.mark.parametrize(("flags", "commands"), [((), TELLING), (("--json",), TELLING + COMMANDS)], ids=["", "json"])
def test_no_hash_of_a_secret_is_shown_or_written(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], commands: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BLUESTAR_FILES_URL", f"file://{tmp_path}/files")
    monkeypatch.setenv("BLUESTAR_ACTOR", "tester")
    (tmp_path / "files").mkdir()
    settings = Settings(persistence_mode="file", file_persistence_dir=planted)
    with Store.open(settings) as store:
        rule = CalculationRule(plan_id="ACME", calc_type="match", description=f"as for {SSN}")
        store.calculation_rules.put(rule)
        store.calculation_rules.put(rule.model_copy(update={"calc_type": "other"}))
        table = store.tables.name(store.calculation_rules.mapper)
        store.engine.write(Put(table, wire("CLIENT#ACME", "CALC#foreign", bank_account=OTHER, formula="1")))
        batch = store.batches.start("ACME", "Weekly", 2026, "b2")
        store.results.save(batch, 100, {"note": f"as for {SSN}"})
    run: Run = on(planted)
    known, shown = hidden_hashes(settings), list[str]()
    assert len(known) > 100
    for line in filter(None, commands.split("\n")):
        done = run(*line.split(), *flags)
        if line.split()[0] not in ("cache", "documents", "files", "iam-policy", "inspect"):
            known |= hidden_hashes(settings)
        said = done.stdout + done.stderr
        shown += [f"{line}: {made}" for made in known if made in said]
        shown += [f"{line}: {path}" for path, text in written(tmp_path).items() for made in known if made in text]
        if shown:
            break
    assert shown == []


def written(folder: Path) -> dict[str, str]:
    """What lies in files that are not there to hold the data."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not HOLDS_DATA.search(str(path))]
    return {str(path): path.read_bytes().decode(errors="replace") for path in paths}
