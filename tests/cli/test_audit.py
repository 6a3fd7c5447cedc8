"""`audit`: trails are shown and verified, in a store and in an export without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import Store, Trail
from bluestar_store.keys import Key
from bluestar_store.protocols import Delete, Put
from tests.cli.conftest import Run

METADATA = "bluestar-processing-metadata"
RULES = ("--table", "calculation-rules", "--partition", "CLIENT#ACME")


@pytest.fixture
def store(opened: Callable[[], Store]) -> Any:
    with opened() as store:
        for number in range(1, 4):
            store.audit.append("b1", actor="pat", action=f"act {number}", details={"n": number, "iban": "DE12345678"})
        store.audit.append(Trail(table="calculation-rules", partition="CLIENT#ACME"), actor="kim", action="put")
        yield store


def test_a_trail_is_shown_in_order(store: Store, seeded_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")  # a row a line
    found = json.loads(seeded_run("audit", "show", "b1", "--json").stdout)
    assert [(one["seq"], one["actor"], one["action"]) for one in found] == [(n, "pat", f"act {n}") for n in (1, 2, 3)]
    assert found[1]["previous"] == found[0]["hash"]
    shown = seeded_run("audit", "show", "b1", "--long").stdout
    assert "DE12345678" not in shown
    assert found[0]["hash"][:20] in shown
    assert found[0]["hash"][:20] not in seeded_run("audit", "show", "b1").stdout
    (put,) = json.loads(seeded_run("audit", "show", *RULES, "--json").stdout)
    assert (put["actor"], put["action"]) == ("kim", "put")
    assert seeded_run("audit", "show", "none").stdout == "Audit trail of batch none\n(none)\n"


@pytest.mark.parametrize(("trail", "name", "count"), [(("b1",), "batch b1", 3), (RULES, "calculation-rules", 1)])
def test_a_whole_trail_is_said_to_be_whole_in_the_store_and_in_an_export(
    trail: tuple[str, ...], name: str, count: int, store: Store, seeded_run: Run, run: Run, tmp_path: Path
) -> None:
    assert seeded_run("export", str(tmp_path / "out")).exit_code == 0
    for command, place in ((seeded_run, ()), (run, ("--from", str(tmp_path / "out")))):
        done = command("audit", "verify", *trail, *place)
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith(f"The audit trail of {name}")
        found = json.loads(command("audit", "verify", *trail, *place, "--json").stdout)
        assert (found["entries"], found["whole"], found["faults"]) == (count, True, [])


def test_what_was_done_to_a_trail_is_named_with_exit_code_3(store: Store, seeded_run: Run, run: Run) -> None:
    key = Key("BATCH#b1", "AUDIT#00000002")
    item = store.engine.get(METADATA, [key], consistent=True)[key]
    store.engine.write(Put(METADATA, item | {"actor": {"S": "sam"}}))
    store.engine.write(Delete(METADATA, Key("BATCH#b1", "AUDIT#00000003")))
    folder = str(store.settings.file_persistence_dir) + "-export"
    assert seeded_run("export", folder).exit_code == 0
    for done in (
        seeded_run("audit", "verify", "b1", "--json"),
        run("audit", "verify", "b1", "--from", folder, "--json"),
    ):
        assert (done.exit_code, done.stderr) == (3, "")
        found = json.loads(done.stdout)
        assert (found["batch_id"], found["entries"], found["whole"]) == ("b1", 2, False)
        assert [fault["seq"] for fault in found["faults"]] == [2, 3]
    shown = seeded_run("audit", "verify", "b1").stdout
    assert shown.startswith("The audit trail of batch b1 is not whole: 2 entries\n")
    assert "changed: its hash" in shown
    assert "cut off" in shown
    assert seeded_run("audit", "verify", *RULES).exit_code == 0


def test_lines_of_an_export_that_changed_places_are_a_fault_with_exit_code_3(
    store: Store, seeded_run: Run, run: Run, tmp_path: Path
) -> None:
    assert seeded_run("export", str(tmp_path / "out")).exit_code == 0
    path = tmp_path / "out" / "processing-metadata.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    salts, first, second, *rest = lines
    path.write_bytes(b"".join([salts, second, first, *rest]))
    done = run("audit", "verify", "b1", "--from", str(tmp_path / "out"), "--json")
    assert (done.exit_code, done.stderr) == (3, "")
    (fault,) = json.loads(done.stdout)["faults"]
    assert (fault["seq"], "line 3: " in fault["what"]) == (1, True)


def test_a_trail_that_there_is_not_is_an_error_and_not_called_whole(
    store: Store, seeded_run: Run, run: Run, tmp_path: Path
) -> None:
    seeded_run("export", str(tmp_path / "out"))
    for done in (seeded_run("audit", "verify", "b2"), run("audit", "verify", "b2", "--from", str(tmp_path / "out"))):
        assert (done.exit_code, done.stdout) == (1, "")
        assert "batch b2 has no audit trail in" in done.stderr
    done = run("audit", "verify", "b1", "--from", str(tmp_path / "none"))
    assert (done.exit_code, "holds no complete export" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments", [(), ("b1", *RULES), RULES[:2], RULES[2:], ("b1", *RULES[:2])], ids=["none", "both", "t", "p", "bt"]
)
def test_a_trail_is_named_in_one_way(arguments: tuple[str, ...], seeded_run: Run) -> None:
    for command in ("show", "verify"):
        done = seeded_run("audit", command, *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert "give either a BATCH, or both" in done.stderr
