"""Stores to export from and to import into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Store
from bluestar_store.keys import Key
from bluestar_store.protocols import Item
from bluestar_store.transfer import export
from tests.transfer.test_transfer_round_trip import fill, in_memory

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


def stored(store: Store, key: Key) -> Item | None:
    return store.engine.get(store.tables.name(store.calculation_rules.mapper), [key]).get(key)
