"""Reading rule sets: every mistake at once, with file and JSON pointer."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import CalculationRule, IrsLimits, SeedError, VendorSchema, seeding


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name.replace('_', '-')}.json").write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(SeedError) as caught:
        seeding.read(folder)
    assert str(caught.value).count("\n") == len(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_the_baseline_and_the_demo_are_valid() -> None:
    assert len(seeding.baseline()) == len(set(seeding.baseline().entities)) > 150
    assert len(seeding.read("fixtures/demo")) > 20


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    exact = "0.12345678901234567890123456789012345678"
    text = '{"calculation_rules": [{"plan_id": "A", "calc_type": "b", "max_pct": ' + exact + "}]}"
    (rule,) = seeding.read(write(tmp_path, calculation_rules=text)).entities
    assert isinstance(rule, CalculationRule)
    assert rule.max_pct == Decimal(exact)


def test_a_name_given_twice_is_a_mistake(tmp_path: Path) -> None:
    text = '{"calculation_rules": [{"plan_id": "A", "calc_type": "b", "max_pct": 1, "max_pct": 2}]}'
    write(tmp_path, calculation_rules=text)
    assert problems(tmp_path) == ['calculation-rules.json: has "max_pct" twice in one object']


def test_a_fingerprint_left_out_follows_from_the_columns(tmp_path: Path) -> None:
    schema = {"vendor_id": "V", "columns": ["SSN ", "Gross  Pay"], "mapping": {"SSN ": "ssn"}}
    (read,) = seeding.read(write(tmp_path, vendor_schema_mapping={"vendor_schemas": [schema]})).entities
    assert isinstance(read, VendorSchema)
    assert read.fingerprint == VendorSchema.fingerprint_of(["ssn", "gross pay"])


def test_a_wrong_fingerprint_is_a_problem(tmp_path: Path) -> None:
    schema = {"vendor_id": "V", "columns": ["SSN"], "fingerprint": "0" * 64}
    (problem,) = problems(write(tmp_path, vendor_schema_mapping={"vendor_schemas": [schema]}))
    assert problem.startswith("vendor-schema-mapping.json#/vendor_schemas/0/fingerprint: does not belong")


def test_every_mistake_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        calculation_rules={
            "calculation_rules": [
                {"plan_id": "A#B", "calc_type": "match"},
                {"plan_id": "A", "calc_typ": "match"},
                {"plan_id": "A", "calc_type": "match", "max_pct": "six"},
                {"plan_id": "A", "calc_type": "match", "age_threshold": -1},
                {"plan_id": "DEFAULT", "calc_type": "match"},
                {"plan_id": "A", "calc_type": "cap"},
                {"plan_id": "A", "calc_type": "cap"},
                "match",
            ],
            "rules": [],
        },
        irs_limits={"irs_limits": {"year": 2026}},
        validation_rules={"validation_rules": [{"category": "SSN", "number": 1, "pattern": "("}]},
        agent_config="[",
        calc="{}",
    )
    found = problems(tmp_path)
    assert [problem.split(": ")[0] for problem in found] == [
        "agent-config.json",
        "calc.json",
        "calculation-rules.json#/calculation_rules/0",
        "calculation-rules.json#/calculation_rules/1/calc_type",
        "calculation-rules.json#/calculation_rules/1/calc_typ",
        "calculation-rules.json#/calculation_rules/2/max_pct",
        "calculation-rules.json#/calculation_rules/3/age_threshold",
        "calculation-rules.json#/calculation_rules/4",
        "calculation-rules.json#/calculation_rules/6",
        "calculation-rules.json#/calculation_rules/7",
        "calculation-rules.json#/rules",
        "irs-limits.json#/irs_limits",
        "validation-rules.json#/validation_rules/0/pattern",
    ]
    assert "line 1, column 2" in found[0]
    assert "did you mean calc_type?" in found[4]


@pytest.mark.parametrize("text", ['{"irs_limits": [{"year": NaN}]}', '{"irs_limits": [{"year": 1, "year": 2}]}', "[]"])
def test_json_that_hides_or_lacks_something_is_a_problem(tmp_path: Path, text: str) -> None:
    assert problems(write(tmp_path, irs_limits=text))[0].startswith("irs-limits.json: ")


def test_a_file_that_is_not_utf8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "irs-limits.json").write_bytes(b'{"irs_limits": "\xff"}')
    assert "utf-8" in problems(tmp_path)[0]


def test_a_folder_without_rule_files_is_a_problem(tmp_path: Path) -> None:
    assert "holds none of" in problems(tmp_path)[0]
    assert problems(tmp_path / "nowhere")[0].endswith("is not a folder")


def test_a_schema_reference_is_allowed(tmp_path: Path) -> None:
    rules = {"$schema": "../schema/irs-limits.json", "irs_limits": [{"year": 2026, "max_401k": 24500}]}
    assert seeding.read(write(tmp_path, irs_limits=rules)).entities == (
        IrsLimits(year=2026, max_401k=Decimal("24500")),
    )


def test_a_pipeline_too_long_for_one_transaction_is_a_problem(tmp_path: Path) -> None:
    steps = [{"plan_id": "A", "pay_freq": "W", "step_order": number} for number in range(100)]
    assert "98 fit" in problems(write(tmp_path, processing_pipeline={"steps": steps}))[0]


def step(number: int, **values: Any) -> dict[str, Any]:
    return {"plan_id": "A", "pay_freq": "W", "step_order": number, **values}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vendor_schema_mapping", {"vendor_schemas": [{"vendor_id": "V", "columns": ["a"], "plan_id": "A#B"}]}),
        ("vendor_schema_mapping", {"vendor_schemas": [{"vendor_id": "V", "columns": ["a"], "mapping": {"": "x"}}]}),
        ("vendor_schema_mapping", {"vendor_schemas": [{"vendor_id": "V", "columns": ["\ud800"]}]}),
        ("calculation_rules", {"calculation_rules": [{"plan_id": "A", "calc_type": "b", "age_threshold": 10**40 + 1}]}),
        ("processing_pipeline", {"steps": [step(n, description="x" * 300_000) for n in range(20)]}),
        ("processing_pipeline", {"steps": [step(1) | {"plan_id": "x" * 2020}]}),
        ("irs_limits", "[" * 100_000),
        ("irs_limits", '{"irs_limits": [{"year": 2030, "max_401k": 1e99999999999999999999}]}'),
    ],
)
def test_what_a_write_would_refuse_is_a_problem_of_the_rule_set(tmp_path: Path, file: str, content: Any) -> None:
    assert problems(write(tmp_path, **{file: content}))
