"""The rule sets that ship: the baseline, and the plans of fixtures/demo."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import bluestar_store
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.models.vendor import VENDOR_SCHEMA

BASELINE = Path(bluestar_store.__file__).parent / "rulesets" / "baseline"


DEMO = Path(__file__).parent.parent / "fixtures" / "demo"


E = TypeVar("E", bound=Entity)


LISTS: dict[str, dict[str, Mapper[Any]]] = {
    "processing-pipeline": {"steps": PIPELINE_STEP},
    "validation-rules": {"validation_rules": VALIDATION_RULE},
    "calculation-rules": {"calculation_rules": CALCULATION_RULE},
    "irs-limits": {"irs_limits": IRS_LIMITS},
    "agent-config": {"client_configs": CLIENT_CONFIG, "ach_configs": ACH_CONFIG},
    "vendor-schema-mapping": {"vendor_schemas": VENDOR_SCHEMA},
}


def documents(folder: Path) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The files of a rule set, by table; without the schema that they name, see seeding/test_json_schemas.py."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        content = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        found[file.stem] = {name: rows for name, rows in content.items() if name != "$schema"}
    return found


def entities(folder: Path) -> list[Entity]:
    return [
        LISTS[table][name].entity.model_validate(values)
        for table, lists in documents(folder).items()
        for name, rows in lists.items()
        for values in rows
    ]


def of_type(folder: Path, entity: type[E]) -> list[E]:
    return [found for found in entities(folder) if isinstance(found, entity)]


def baseline_pipeline(pay_freq: str) -> list[PipelineStep]:
    return [step for step in of_type(BASELINE, PipelineStep) if step.pay_freq == pay_freq]


def rule(folder: Path, plan_id: str, category: str, number: int) -> ValidationRule:
    identity = (plan_id, category, number)
    rules = of_type(folder, ValidationRule)
    return next(found for found in rules if (found.plan_id, found.category, found.number) == identity)
