"""The JSON Schemas in the package: current, referenced by the rule files, and telling mistakes as the reader does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bluestar_store.rulesets.json_schemas import json_schemas, schema_name, write_schemas
from bluestar_store.rulesets.reading import rule_files

ROOT = Path(__file__).parents[2]
RULESETS = ROOT / "bluestar_store" / "rulesets"
SCHEMAS = RULESETS / "schemas"
RULE_FILES = sorted([*(RULESETS / "baseline").glob("*.json"), *(ROOT / "fixtures" / "demo").glob("*.json")])


def contents(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_schemas_in_the_package_are_current(tmp_path: Path) -> None:
    """If not: make docs."""
    written = write_schemas(tmp_path / "new")
    assert [path.name for path in written] == sorted(map(schema_name, rule_files()))
    assert {path.name for path in SCHEMAS.iterdir()} == {path.name for path in written}
    for path in written:
        assert contents(SCHEMAS / path.name) == contents(path)


@pytest.mark.parametrize("schema", json_schemas().values(), ids=json_schemas())
def test_each_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", RULE_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_baseline_and_demo_name_their_schema_and_follow_it(path: Path) -> None:
    content = contents(path)
    named = (path.parent / content["$schema"]).resolve()
    assert named == SCHEMAS / schema_name(path.name)
    Draft202012Validator(contents(named)).validate(content)


def test_there_are_rule_files() -> None:
    assert len(RULE_FILES) == 10


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("calculation-rules.json", {"calculation_rules": [{"plan_id": "A"}]}),
        ("calculation-rules.json", {"calculation_rules": [{"plan_id": "A", "calc_type": "b", "max_pc": 1}]}),
        ("calculation-rules.json", {"calculation_rules": [{"plan_id": "A", "calc_type": "b", "age_threshold": -1}]}),
        ("calculation-rules.json", {"rules": []}),
        ("agent-config.json", {"client_configs": [{"plan_id": "A", "pay_freq": "W", "deadline_hour": 24}]}),
        ("irs-limits.json", {"irs_limits": [{"year": "2026"}]}),
        ("irs-limits.json", []),
    ],
)
def test_a_mistake_is_seen_in_the_editor(file: str, content: Any) -> None:
    assert not Draft202012Validator(json_schemas()[schema_name(file)]).is_valid(content)


def test_a_vendor_schema_may_leave_out_its_fingerprint() -> None:
    schema = json_schemas()["vendor-schema-mapping.schema.json"]
    Draft202012Validator(schema).validate({"vendor_schemas": [{"vendor_id": "V", "columns": ["SSN"]}]})
