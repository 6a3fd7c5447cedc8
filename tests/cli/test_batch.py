"""`batch`: a plan's batches, all that is known of one, and watching it move."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from bluestar_store import BatchStatus, CalculationRule, StepClaim, Store
from bluestar_store.cli import watching
from bluestar_store.cli.output import Output
from bluestar_store.models.batches import BatchState
from bluestar_store.persistence import EngineRulesStore
from bluestar_store.protocols import Put
from tests.cli.conftest import Run

Opened = Callable[[], Store]


@pytest.fixture
def running(opened: Opened) -> Opened:
    """The folder with batch b1 of ACME at its second step, and what agents old and new left of it."""
    with opened() as store:
        batch = store.batches.start("ACME", "BiWeeklyFri", 2026, "b1")
        batch = store.batches.advance(batch, status=BatchStatus.RUNNING, step=100)
        claim = store.claims.claim(batch, 100, "worker-1", 60)
        store.results.save(batch, 100, {"rows": 3, "account_number": "123456789"}, claim)
        store.batches.advance(batch, step=200, claim=claim)
        store.audit.append("b1", actor="pat", action="begin")
        old = EngineRulesStore(store.engine, store.tables)
        old.save_batch_state("b1", {"status": "in_progress"})
        old.save_processing_result("b1", "validate", {"ok": True})
        store.batches.start("ACME", "BiWeeklyFri", 2025, "b2")
    return opened


def test_the_batches_of_a_plan_are_listed_newest_first(
    running: Opened, seeded_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # a row a line
    found = json.loads(seeded_run("batch", "list", "ACME", "--json").stdout)
    assert [(one["batch_id"], one["status"]) for one in found] == [("b2", "RECEIVED"), ("b1", "RUNNING")]
    shown = seeded_run("batch", "list", "ACME").stdout.splitlines()
    assert shown[0] == "Batches of ACME"
    assert [line.split()[0] for line in shown[3:]] == ["b2", "b1"]
    newest = seeded_run("batch", "list", "ACME", "--limit", "1", "--json")
    assert [one["batch_id"] for one in json.loads(newest.stdout)] == ["b2"]
    assert newest.stderr == "the newest 1 only: there are older ones\n"
    assert seeded_run("batch", "list", "ACME", "--limit", "2").stderr == ""
    assert seeded_run("batch", "list", "NEWCO").stdout == "Batches of NEWCO\n(none)\n"


def test_a_batch_whose_state_is_in_another_programs_words_is_listed_behind_the_others(
    running: Opened, seeded_run: Run
) -> None:
    with running() as store:
        key = {"PK": {"S": "BATCH#theirs"}, "SK": {"S": "STATE"}}
        theirs = {"plan_id": {"S": "ACME"}, "status": {"S": "DONE"}, "iban": {"S": "DE12345678"}}
        store.engine.write(Put(store.tables.name(store.batches.mapper), key | theirs))
    done = seeded_run("batch", "list", "ACME", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [one["batch_id"] for one in found] == ["b2", "b1", "theirs"]
    assert found[2]["state"] == {"plan_id": "ACME", "status": "DONE", "iban": "******5678"}
    shown = seeded_run("batch", "list", "ACME").stdout
    assert "theirs" in shown.partition("in their own way")[2]
    assert "DE1234" not in shown
    done = seeded_run("batch", "show", "theirs")
    assert (done.exit_code, "attribute 'status'" in done.stderr) == (1, True)


def test_a_batch_is_shown_with_all_that_is_known_of_it(running: Opened, seeded_run: Run) -> None:
    found = json.loads(seeded_run("batch", "show", "b1", "--json").stdout)
    assert (found["plan_id"], found["status"], found["current_step"]) == ("ACME", "RUNNING", 200)
    assert [one["result"] for one in found["results"]] == [{"rows": 3, "account_number": "*****6789"}]
    assert [one["worker"] for one in found["claims"]] == ["worker-1"]
    assert [(one["actor"], one["action"]) for one in found["audit"]] == [("pat", "begin")]
    assert found["free_state"]["state"] == {"status": "in_progress"}
    assert [(one["step"], one["result"]) for one in found["free_results"]] == [("validate", {"ok": True})]
    assert "rules" not in found
    shown = seeded_run("batch", "show", "b1").stdout
    assert "in_progress" in shown
    assert "123456789" not in shown
    assert seeded_run("inspect", "batch", "b1").stdout == shown


def test_a_batch_that_there_is_not_is_an_error(seeded_run: Run) -> None:
    for command in ("show", "watch"):
        done = seeded_run("batch", command, "nope")
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == "error: no batch 'nope' in bluestar-processing-metadata\n"


def test_rules_that_changed_since_a_batch_was_started_are_named(running: Opened, seeded_run: Run) -> None:
    done = seeded_run("batch", "show", "b1", "--rules", "--json")
    assert (done.exit_code, json.loads(done.stdout)["rules"]["unchanged"]) == (0, True)
    assert "The rules are those" in seeded_run("batch", "show", "b1", "--rules").stdout
    with running() as store:
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="other"))
    done = seeded_run("batch", "show", "b1", "--rules", "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout)["rules"]["changed"] == ["calculation-rules/CLIENT#ACME/CALC#match"]
    shown = seeded_run("batch", "show", "b1", "--rules")
    assert shown.exit_code == 3
    assert shown.stdout.endswith("changed  calculation-rules/CLIENT#ACME/CALC#match\n")
    assert seeded_run("batch", "show", "b1").exit_code == 0


# ------------------------------------------------------------------------------------------------------------- watching


def script(opened: Opened, *moves: Callable[[Store], object]) -> tuple[Callable[[float], None], list[float]]:
    """In place of waiting: the batch moves. And the seconds that would have been waited."""
    left, waited = iter(moves), list[float]()

    def pause(seconds: float) -> None:
        waited.append(seconds)
        with opened() as store:
            next(left)(store)

    return pause, waited


def work(store: Store) -> StepClaim:
    return store.claims.claim("b1", 200, "worker-2", 60)


def save(store: Store) -> object:
    return store.results.save("b1", 200, {"rows": 3})


def end(status: BatchStatus) -> Callable[[Store], object]:
    return lambda store: store.batches.advance(store.batches.get("b1"), status=status)


def nothing(store: Store) -> None:
    """The batch stays as it is."""


@pytest.mark.parametrize("status", [BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED])
def test_a_pipe_is_told_of_each_change_until_the_batch_is_over(
    status: BatchStatus, running: Opened, seeded_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause, waited = script(running, nothing, work, nothing, save, end(status))
    monkeypatch.setattr(watching, "pause", pause)
    done = seeded_run("batch", "watch", "b1", "--interval-seconds", "7.5")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ  ", "", line) for line in done.stdout.splitlines()]
    assert lines == [
        "Step 100 IDP FILE_INGEST: done (worker-1)",
        "Step 200 VALIDATOR FILE_VALIDATION: current",
        "Batch b1 of ACME, BiWeeklyFri, 2026: RUNNING, step 200, 1 of 12 steps done",
        "Step 200 VALIDATOR FILE_VALIDATION: working (worker-2)",
        "Step 200 VALIDATOR FILE_VALIDATION: done (worker-2)",
        "Batch b1 of ACME, BiWeeklyFri, 2026: RUNNING, step 200, 2 of 12 steps done",
        f"Batch b1 of ACME, BiWeeklyFri, 2026: {status}, step 200, 2 of 12 steps done",
    ]
    assert waited == [7.5] * 5


def test_json_is_a_line_for_each_change(running: Opened, seeded_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pause, _ = script(running, work, nothing, save, end(BatchStatus.COMPLETED))
    monkeypatch.setattr(watching, "pause", pause)
    found = [json.loads(line) for line in seeded_run("batch", "watch", "b1", "--json").stdout.splitlines()]
    assert [one["batch"]["status"] for one in found] == ["RUNNING", "RUNNING", "RUNNING", "COMPLETED"]
    assert [one["steps"][1]["status"] for one in found] == ["current", "working", "done", "done"]
    assert found[2]["steps"][1]["owner"] == "worker-2"
    assert found[2]["steps"][1]["saved"].endswith("Z")
    assert found[-1]["steps"][2]["status"] == "not done"


def test_a_claim_that_expired_has_lapsed_and_a_step_without_a_result_is_passed(running: Opened) -> None:
    with running() as store:
        batch = store.batches.advance(store.batches.get("b1"), step=400)
        store.claims.claim(batch, 200, "gone", 1e-6)
        seen = watching.look(store, "b1", watching.pipeline_of(store, batch))
        assert [step.status for step in seen.steps[:5]] == ["done", "lapsed", "passed", "current", "waiting"]
        assert seen.behind == 2


def test_a_batch_of_another_program_is_watched_by_what_there_is(opened: Opened, seeded_run: Run) -> None:
    with opened() as store:
        store.results.save("b9", 7, {})
        for batch_id, plan in (("b8", {}), ("b9", {"plan_id": {"S": "NEWCO"}, "pay_freq": {"S": "Never"}})):
            item = {"PK": {"S": f"BATCH#{batch_id}"}, "SK": {"S": "STATE"}, "status": {"S": "FAILED"}, **plan}
            store.engine.write(Put("bluestar-processing-metadata", item))
    assert seeded_run("batch", "watch", "b8").stdout.endswith("Z  Batch b8: FAILED\n")
    shown = seeded_run("batch", "watch", "b9").stdout
    assert "Step 7: done" in shown
    assert shown.endswith("Batch b9 of NEWCO, Never: FAILED, 1 of 1 steps done\n")


def test_a_long_title_takes_another_line_of_a_terminal_and_none_of_its_words_is_cut_off() -> None:
    batch = BatchState(
        batch_id="01M8" * 6, plan_id="ACME", pay_freq="BiWeeklyFri", year=2026, status=BatchStatus.RUNNING
    )
    seen = replace(_look(3, 40), state=batch)
    console = Console(width=80, height=14, file=io.StringIO())
    drawn = console.render_lines(watching._drawn(seen, console))
    shown = " ".join("".join(part.text for part in line).strip() for line in drawn)
    assert seen.title in shown
    assert len(drawn) < console.height


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_and_keeps_the_whole_at_the_end(running: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(store: Store) -> Iterator[watching.Look]:
        pause, _ = script(running, work, save, end(BatchStatus.COMPLETED))
        pipeline = watching.pipeline_of(store, store.batches.get("b1"))
        return watching.follow(lambda: watching.look(store, "b1", pipeline), lambda: pause(0))

    terminal = Terminal()
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "14"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", terminal)
    with running() as store:
        watching.redraw(Output(as_json=False), looks(store))
    text = terminal.getvalue()
    drawn, _, kept = text.rpartition("\x1b[2K")  # lines taken back
    assert drawn.count("Batch b1 of ACME") >= 4
    assert "\x1b[1A" in drawn
    assert "(5 more)" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", kept).splitlines()
    assert "Batch b1 of ACME, BiWeeklyFri, 2026: COMPLETED, step 200, 2 of 12 steps done" in plain
    assert len(plain) == 1 + 2 + 12
    assert max(map(len, plain)) <= 80
    assert re.fullmatch(r" 200 +VALIDATOR +FILE_VALIDATION +done +worker-2 +\d\d:\d\d:\d\dZ *", plain[4])


def _look(done: int, total: int) -> watching.Look:
    steps = tuple(
        watching.StepLook(n, None, None, "done" if n < done else "waiting", None, None, None) for n in range(total)
    )
    return watching.Look(BatchState(batch_id="b"), steps)


@pytest.mark.parametrize("total", [0, 1, 5, 6, 30])
@pytest.mark.parametrize("lines", [3, 6, 40])
def test_a_window_has_the_first_step_that_is_not_done_and_is_full(total: int, lines: int) -> None:
    for done in range(total + 1):
        first, last = watching.window(_look(done, total), lines)
        assert 0 <= first <= last <= total
        assert last - first == min(lines, total)
        assert done == total or first <= done < last


@pytest.mark.parametrize("wrong", ["0", "-1", "soon"])
def test_an_interval_of_no_time_is_bad_usage(wrong: str, seeded_run: Run) -> None:
    done: Any = seeded_run("batch", "watch", "b1", "--interval-seconds", wrong)
    assert done.exit_code == 2
