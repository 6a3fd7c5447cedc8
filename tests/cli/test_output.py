"""What is printed: exact numbers, nothing cut off, nothing interpreted, no whole bank number."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import BatchState, CalculationRule, PlanHold, Store
from bluestar_store.cli.output import cell, to_json
from bluestar_store.cli.records import plain
from bluestar_store.protocols import Put
from tests.cli.conftest import TABLES, Run

DIGITS = "1234567890.1234567890123456789012345678"  # 38 of them


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("6.50"), "6.5"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal(DIGITS), DIGITS),
        (Decimal(0), "0"),
        (7, "7"),
        (True, "true"),
        (None, "null"),
        ({}, "{}"),
        ([], "[]"),
        ('a"\n\x1b\u202eé', r'"a\"\n\u001b\u202e\u00e9"'),
        (datetime(2024, 1, 15, 9, 30, 0, 5, UTC), '"2024-01-15T09:30:00.000005Z"'),
    ],
)
def test_json_is_exact(value: Any, text: str) -> None:
    assert to_json(value) == text


def test_json_of_nested_values_parses_back() -> None:
    value = {"a": [1, {"b": [], "c": {}}, [None, True, "x\ny"]], "d": {"e": "€"}}
    assert json.loads(to_json(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (Decimal("6.50"), "6.5"),
        ("line\nbreak\x1b[31m\x9b\u202e", r"line\nbreak\x1b[31m\x9b\u202e"),
        ("👩\u200d🌾 é", "👩\u200d🌾 é"),
        (datetime(2024, 1, 15, 9, 30, 0, 5, UTC), "2024-01-15 09:30:00Z"),
        ({"a": 1, "b": {"c": None}, "d": ["x", False]}, "a=1, b=(c=none), d=(x, no)"),
    ],
)
def test_a_cell_is_one_line(value: Any, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize("value", ["123456789", Decimal(123456789), ["123456789"], {"x": ("123456789",)}])
def test_what_lies_under_the_name_of_a_bank_number_is_masked(value: Any) -> None:
    assert "12345" not in to_json(plain({"deep": {"bankAccountNo": value}}))
    assert "6789" in to_json(plain({"ROUTING": value}))


def test_bank_numbers_are_masked_everywhere(seeded_run: Run, opened: Callable[[], Store]) -> None:
    ach = {"account_number": {"S": "1234567890"}, "iban": {"S": "DE891234567890"}, "other": {"N": "1234567890"}}
    result = {"result": {"M": {"debit": {"M": {"accountNumber": {"S": "1234567890"}}}}}}
    with opened() as store:
        name = store.tables.name
        from bluestar_store.models.batches import STEP_RESULT
        from bluestar_store.models.config import ACH_CONFIG

        keys = {"PK": {"S": "CLIENT#ACME_BiWeeklyFri"}, "SK": {"S": "ACH"}}
        store.engine.write(Put(name(ACH_CONFIG), keys | ach))
        keys = {"PK": {"S": "BATCH#b1"}, "SK": {"S": "RESULT#0100"}}
        store.engine.write(Put(name(STEP_RESULT), keys | result))
        store.batches.put(BatchState(batch_id="b1"))
    for command in (
        ["config", "ACME", "BiWeeklyFri"],
        ["plan", "ACME"],
        ["snapshot", "ACME", "BiWeeklyFri", "2026"],
        ["batch", "b1"],
    ):
        for flags in ([], ["--json"]):
            done = seeded_run("inspect", *command, *flags)
            assert done.exit_code == 0
            assert "567890" not in done.stdout, command
            if command[0] != "snapshot" or flags:
                assert "******7890" in done.stdout, command


def test_a_vendors_column_that_is_called_account_number_is_not_masked(seeded_run: Run) -> None:
    from bluestar_store.cli.records import record
    from bluestar_store.models.vendor import VendorSchema

    schema = VendorSchema(vendor_id="V", fingerprint="f", mapping={"Account Number": "account_number"})
    assert record(schema)["mapping"] == {"Account Number": "account_number"}


def test_names_and_values_are_never_markup_and_never_move_the_cursor(
    seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUESTAR_CHECKS_OFF", "formula")
    plan = "[red]A[/red] [/] 😀"
    with opened() as store:
        store.calculation_rules.put(CalculationRule(plan_id=plan, calc_type="[b]", formula="[/] :smile: \x1b[2J\r\n"))
        store.holds.put(PlanHold(plan_id=plan, hold_id="[link=x]", reason="\x07\x1b]0;title\x07"))
    shown = seeded_run("inspect", "rule", plan, "[b]").stdout
    assert f"Rule [b] for {plan}\n" in shown
    assert r"[/] :smile: \x1b[2J\r\n" in shown
    for command in (["plans"], ["hold"], ["hold", plan], ["plan", plan], ["rules", plan]):
        done = seeded_run("inspect", *command)
        assert done.exit_code == 0
        assert not set(done.stdout) & set("\x1b\x07\r")
        if command != ["hold"]:
            assert plan in done.stdout


@pytest.mark.parametrize("columns", ["20", "80", "120", None])
def test_a_narrow_table_wraps_and_loses_nothing(
    columns: str | None, seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUESTAR_CHECKS_OFF", "formula")
    formula = "ŧ" * 400
    with opened() as store:
        store.calculation_rules.put(CalculationRule(plan_id="WIDE", calc_type="long", formula=formula))
    shown = seeded_run("inspect", "rules", "WIDE", env={"COLUMNS": columns} if columns else None).stdout
    lines = shown.splitlines()
    assert max(map(len, lines)) <= max(40, int(columns or 120))
    assert shown.count("ŧ") == len(formula)
    assert not any(line != line.rstrip() for line in lines)


def test_the_pipe_has_no_colours(seeded_run: Run) -> None:
    assert "\x1b" not in seeded_run("inspect", "rules", "ACME").stdout


def test_the_folder_is_not_made_by_looking_into_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "none"
    done = run("--mode", "file", "--dir", str(folder), "inspect")
    assert done.exit_code == 0
    assert done.stdout.count("  missing\n") == TABLES
    assert "bluestar-store create makes the tables that are missing" in done.stdout
    assert not folder.exists()
