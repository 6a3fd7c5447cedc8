"""Entities with one value to be looked at, and rule sets of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Entity, Settings, Store, ValidationRule
from bluestar_store.rulesets.reading import rule_files


def check(**values: Any) -> ValidationRule:
    defaults: dict[str, Any] = {"category": "SSN", "plan_id": "ACME", "number": 7}
    return ValidationRule(**defaults | values)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode="memory")) as opened:
        opened.create_tables()
        yield opened


def kind_of(store: Store, entity: Entity) -> Any:
    return next(mapper for mapper in store.tables.kinds if mapper.entity is type(entity))


def write_rule_set(store: Store, folder: Path, *entities: Entity) -> Path:
    for entity in entities:
        mapper = kind_of(store, entity)
        (file,) = (name for name, lists in rule_files().items() if mapper.rule_list in lists)
        values = entity.model_dump(mode="json", exclude_none=True)
        (folder / file).write_text(json.dumps({mapper.rule_list: [values]}))
    return folder
