"""`hold`: placed and released under the plan's guard, asked about first, and kept as a record."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from bluestar_store import AccessDeniedError, BatchStatus, PlanOnHoldError, Store
from bluestar_store.keys import Key
from bluestar_store.repositories.batches import BatchRepository
from tests.cli.conftest import Run, invoke


def _json(run: Run, *arguments: str) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def test_a_hold_keeps_a_batch_from_running_until_it_is_released(seeded_run: Run, opened: Callable[[], Store]) -> None:
    with opened() as store:
        batch = store.batches.start("ACME", "BiWeeklyFri", 2026, "b1")
    done = seeded_run(
        *("--actor", "pat", "hold", "place", "ACME", "--reason", "Missing data"),
        *("--id", "h1", "--batch", "b1", "--yes"),
    )
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("Hold on ACME: Missing data (batch b1)\nPlaced: bluestar-store --mode file --dir ")
    assert done.stdout.endswith(" --actor pat hold release ACME h1 releases it.\n")
    with opened() as store, pytest.raises(PlanOnHoldError):
        store.batches.advance(batch, status=BatchStatus.RUNNING)
    (found,) = _json(seeded_run, "hold", "list")
    assert (found["hold_id"], found["reason"], found["batch_id"]) == ("h1", "Missing data", "b1")
    assert (found["created_by"], found["written_by"], found["released"]) == ("pat", "pat", None)
    done = seeded_run("--actor", "kim", "hold", "release", "ACME", "h1", "--yes")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "Hold on ACME: Missing data\nReleased. ACME has no open hold.\n"
    with opened() as store:
        store.batches.advance(batch, status=BatchStatus.RUNNING)
    assert seeded_run("hold", "list").stdout == "Open holds\n(none)\n"
    (kept,) = _json(seeded_run, "hold", "list", "ACME")
    assert (kept["created_by"], kept["released_by"]) == ("pat", "kim")
    assert "Missing data" in seeded_run("inspect", "hold", "ACME").stdout


def test_the_command_that_releases_it_can_be_pasted(seeded_run: Run) -> None:
    shown = seeded_run("hold", "place", "Plan Ü's", "--reason", "Missing data", "--id", "h 1", "--yes").stdout
    command = shown.partition("Placed: ")[2].partition(" releases it.")[0]
    assert invoke(*shlex.split(command)[1:], "--yes").stdout.endswith("Plan Ü's has no open hold.\n")


def test_without_an_identifier_each_hold_is_another_one(seeded_run: Run) -> None:
    placed = [_json(seeded_run, "hold", "place", "ACME", "--reason", "r", "--yes")["hold_id"] for _ in range(2)]
    assert len({*placed}) == 2
    assert {one["hold_id"] for one in _json(seeded_run, "hold", "list", "ACME")} == {*placed}
    done = seeded_run("hold", "release", "ACME", placed[0], "--yes")
    assert done.stdout.endswith("Released. ACME has 1 other open hold.\n")


def test_doing_it_again_changes_nothing_and_asks_nothing(seeded_run: Run) -> None:
    place = ("hold", "place", "ACME", "--reason", "r", "--id", "h1")
    first = _json(seeded_run, *place, "--yes")
    done = seeded_run(*place)
    assert (done.exit_code, done.stdout) == (0, "Nothing to do: hold h1 of ACME is there already, open.\n")
    assert _json(seeded_run, *place) == first
    again = seeded_run("hold", "place", "ACME", "--reason", "another", "--id", "h1")
    assert again.stdout.endswith(" is there already, open. Its reason stays: r\n")
    released = _json(seeded_run, "hold", "release", "ACME", "h1", "--yes")
    done = seeded_run("hold", "release", "ACME", "h1")
    assert (done.exit_code, done.stdout) == (0, "Nothing to do: hold h1 of ACME is released already.\n")
    assert "it holds nothing" in seeded_run(*place).stdout
    assert _json(seeded_run, *place) == released


@pytest.mark.parametrize(("plan", "meant"), [("ACMEE", "ACME"), ("acme", "ACME"), ("ACME", None), ("ZZZ", None)])
def test_a_plan_that_may_be_misspelt_is_told_of(seeded_run: Run, plan: str, meant: str | None) -> None:
    done = seeded_run("hold", "place", plan, "--reason", "r", "--yes")
    note = f"note: {plan} has no rules of its own; if {meant} is meant, release this hold\n"
    assert (done.exit_code, done.stderr) == (0, note if meant else "")


def test_identifiers_are_whole_in_80_columns(seeded_run: Run) -> None:
    reason = "The custodian has not confirmed the participants' bank accounts yet"
    seeded_run("hold", "place", "ACME", "--reason", reason, "--batch", "ACME-2026-11-13-BiWeeklyFri", "--yes")
    (hold,) = _json(seeded_run, "hold", "list")
    for command in (("hold", "list"), ("hold", "list", "ACME")):
        assert hold["hold_id"] in seeded_run(*command, env={"COLUMNS": "80"}).stdout.split()


def test_nothing_is_written_where_nobody_answers(seeded_run: Run) -> None:
    done = seeded_run("hold", "place", "ACME", "--reason", "r", "--id", "h1")
    assert done.exit_code == 1
    assert "nothing was written" in done.stderr
    assert _json(seeded_run, "hold", "list") == []
    seeded_run("hold", "place", "ACME", "--reason", "r", "--id", "h1", "--yes")
    done = seeded_run("hold", "release", "ACME", "h1", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Hold on ACME: r" in done.stderr
    assert [one["hold_id"] for one in _json(seeded_run, "hold", "list")] == ["h1"]


def test_a_hold_that_there_is_not_and_one_without_a_reason_are_errors(seeded_run: Run) -> None:
    done = seeded_run("hold", "release", "ACME", "nope", "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no hold 'nope' of plan 'ACME'" in done.stderr
    assert seeded_run("hold", "place", "ACME", "--yes").exit_code == 2


@pytest.mark.parametrize(
    ("plan", "reason", "code", "why"),
    [
        ("A#B", "r", 1, "plan_id 'A#B' contains '#'"),
        ("GLOBAL", "r", 1, "reserved"),
        ("ACME", " ", 2, "--reason is empty"),
    ],
)
def test_a_hold_that_cannot_be_placed_is_not_shown_as_one(
    plan: str, reason: str, code: int, why: str, seeded_run: Run
) -> None:
    done = seeded_run("hold", "place", plan, "--reason", reason, "--yes")
    assert (done.exit_code, done.stdout) == (code, "")
    assert why in done.stderr
    assert _json(seeded_run, "hold", "list") == []


def test_a_hold_that_is_there_names_the_batches_that_run_too_and_one_is_placed_where_they_cannot_be_told(
    seeded_run: Run, opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened() as store:
        batch = store.batches.start("ACME", "BiWeeklyFri", 2026, "b1")
        store.batches.advance(batch, status=BatchStatus.RUNNING)
    command = ("hold", "place", "ACME", "--reason", "Missing data", "--id", "h1", "--yes")
    for _ in range(2):
        done = seeded_run(*command)
        assert (done.exit_code, "note: running now: b1 (step none yet)" in done.stderr) == (0, True)
    assert "is there already, open" in done.stdout

    def denied(*_: object, **__: object) -> None:
        raise AccessDeniedError("no right to query it")

    monkeypatch.setattr(BatchRepository, "for_plan", denied)
    done = seeded_run(*command[:-2], "h2", "--yes")
    assert done.exit_code == 0
    assert done.stderr == "note: which batches are running cannot be told: no right to query it\n"
    assert seeded_run("hold", "release", "ACME", "h1", "--yes").exit_code == 0
    assert seeded_run(*command).stderr == ""


def test_placing_one_names_the_batches_that_run(seeded_run: Run, opened: Callable[[], Store]) -> None:
    with opened() as store:
        first, second, _ = (store.batches.start("ACME", "BiWeeklyFri", 2026, name) for name in ("b1", "b2", "b3"))
        store.batches.advance(first, status=BatchStatus.RUNNING, step=first.step_numbers[0])
        store.batches.advance(second, status=BatchStatus.RUNNING)
    done = seeded_run("hold", "place", "ACME", "--reason", "Missing data", "--yes")
    assert done.exit_code == 0
    assert done.stderr == (
        "note: running now: b2 (step none yet), b1 (step 100); they begin no other step until it is released\n"
    )


def test_a_hold_that_cannot_be_read_can_be_released(seeded_run: Run, opened: Callable[[], Store]) -> None:
    key = Key("PLAN#ACME", "HOLD#h9")
    with opened() as store:
        item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, "reason": {"S": "x"}, "created": {"S": "some day"}}
        store.engine.put_many(store.tables.name(store.holds.mapper), [item])
    done = seeded_run("hold", "list", "ACME")
    assert done.exit_code == 1
    assert "`bluestar-store hold release ACME h9` mends it" in done.stderr
    done = seeded_run("hold", "release", "ACME", "h9", "--yes")
    assert done.exit_code == 0
    assert "its created cannot be read, and will be taken away" in done.stdout + done.stderr
    with opened() as store:
        assert (store.holds.get("ACME", "h9").is_open, store.holds.get("ACME", "h9").reason) == (False, "x")
