"""Two releases side by side, on one store and one Redis: neither loses, misreads or breaks what the other wrote.

A new line of it is one small test of two processes, `one` and `other`: each is run with either release in either place.
What they do stands in jobs.py.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cache.stores import until
from tests.mixed import jobs
from tests.mixed.conftest import Pair
from tests.mixed.releases import JobError, Partner


def is_seen(process: Partner, plan: str, value: int | None) -> bool:
    return process.do(jobs.rule, plan) == value


def test_the_processes_are_of_two_releases(old: Partner, new: Partner) -> None:
    assert old.do(jobs.origin) != new.do(jobs.origin)
    assert not old.do(jobs.origin).startswith(str(Path(jobs.__file__).parents[2]))


def test_what_one_puts_the_other_reads_changes_and_deletes(pair: Pair) -> None:
    one, other, _ = pair
    assert one.do(jobs.put_rule, "ACME", 4) == 1
    assert other.do(jobs.rule, "ACME") == 4
    assert other.do(jobs.put_rule, "ACME", 5) == 2
    assert one.do(jobs.rule, "ACME", True) == 5
    assert one.do(jobs.put_rule, "ACME", 6) == 3
    other.do(jobs.delete_rule, "ACME")
    assert one.do(jobs.rule, "ACME", True) is None
    assert one.do(jobs.put_rule, "ACME", 7) == 1
    assert other.do(jobs.rule, "ACME", True) == 7
    assert one.do(jobs.faults_of_rules, "ACME") == other.do(jobs.faults_of_rules, "ACME") == []
    assert one.do(jobs.actions_of_rules, "ACME") == ["create", "put", "put", "delete", "create"]


def test_what_one_writes_the_others_cache_gives_up(pair: Pair) -> None:
    for process in pair[:2]:
        process.do(jobs.put_rule, "FIRST", 1)
        process.do(jobs.rule, "FIRST")
        until(lambda process=process: process.do(jobs.channel), "the channel is there")  # type: ignore[misc]
    one, other, _ = pair
    one.do(jobs.put_rule, "GLOBAL", 1)
    for value in (2, 3, 4):
        for writer, reader in ((one, other), (other, one)):
            writer.do(jobs.put_rule, "ACME", value)
            until(lambda reader=reader, value=value: is_seen(reader, "ACME", value), "a put is seen")  # type: ignore[misc]
            assert writer.do(jobs.rules_of, "ACME") == {"match": value}
            writer.do(jobs.delete_rule, "ACME")
            until(lambda reader=reader: is_seen(reader, "ACME", 1), "a delete is seen")  # type: ignore[misc]


def test_all_sorts_of_rules_are_read_by_both(pair: Pair) -> None:
    one, other, _ = pair
    for number, (writer, reader) in enumerate(((one, other), (other, one), (one, other))):
        writer.do(jobs.put_all_sorts, "ACME", f"text {number}")
        wanted = [f"text {number}"] * 4
        until(lambda reader=reader, wanted=wanted: reader.do(jobs.all_sorts, "ACME") == wanted, "all is seen")  # type: ignore[misc]
    assert one.do(jobs.plans) == other.do(jobs.plans) == ["ACME"]


def test_pipelines_are_replaced_by_both_and_seen_whole(pair: Pair) -> None:
    one, other, _ = pair
    one.do(jobs.replace_pipeline, "DEFAULT", "D", 1)
    for number, (writer, reader) in enumerate(((one, other), (other, one), (one, other), (other, one)), 1):
        writer.do(jobs.replace_pipeline, "ACME", f"A{number}", 1 + number % 3)
        wanted = [[100 * step, f"A{number}"] for step in range(1, 2 + number % 3)]
        until(lambda reader=reader, wanted=wanted: reader.do(jobs.pipeline, "ACME") == wanted, "a pipeline is seen")  # type: ignore[misc]
    one.do(jobs.remove_pipeline, "ACME")
    until(lambda: other.do(jobs.pipeline, "ACME") == [[100, "D"]], "the plan falls back")


def test_a_batch_is_worked_on_by_both(pair: Pair) -> None:
    one, other, _ = pair
    one.do(jobs.prepare, "ACME")
    digest = one.do(jobs.start, "ACME", "b1")
    assert other.do(jobs.are_rules_unchanged, "b1")
    assert other.do(jobs.start, "ACME", "b2") == digest
    other.do(jobs.run, "b1")
    one.do(jobs.do_step, "b1", 100, "one")
    other.do(jobs.do_step, "b1", 200, "other")
    one.do(jobs.do_step, "b1", 300, "one")
    other.do(jobs.finish, "b1", "COMPLETED")
    wanted = {
        "status": "COMPLETED",
        "step": 300,
        "results": [[100, "one"], [200, "other"], [300, "one"]],
        "audit": ["step 100", "step 200", "step 300"],
        "digest": digest,
    }
    for process in (one, other):
        assert process.do(jobs.history, "b1") == wanted
        assert process.do(jobs.faults, "b1") == []
        assert sorted(process.do(jobs.batches_of, "ACME")) == ["b1", "b2"]
    with pytest.raises(JobError, match="InvalidTransitionError"):
        one.do(jobs.run, "b1")


def test_a_change_of_rules_is_found_by_both(pair: Pair) -> None:
    one, other, _ = pair
    one.do(jobs.prepare, "ACME")
    one.do(jobs.start, "ACME", "b1")
    other.do(jobs.start, "ACME", "b2")
    other.do(jobs.put_rule, "ACME", 6)
    for process in (one, other):
        for batch in ("b1", "b2"):
            assert not process.do(jobs.are_rules_unchanged, batch)
    one.do(jobs.put_rule, "ACME", 5)
    for process in (one, other):
        for batch in ("b1", "b2"):
            assert process.do(jobs.are_rules_unchanged, batch)


def test_a_step_that_one_owns_the_other_does_not(pair: Pair) -> None:
    one, other, _ = pair
    one.do(jobs.prepare, "ACME")
    one.do(jobs.start, "ACME", "b1")
    other.do(jobs.run, "b1")
    first = one.do(jobs.claim, "b1", 100, "worker")
    with pytest.raises(JobError, match="ClaimTakenError"):
        other.do(jobs.claim, "b1", 100, "another")
    second = other.do(jobs.claim, "b1", 100, "worker")  # the same worker's again
    assert first is not None
    assert second is not None
    assert second > first


def test_a_hold_of_one_stops_the_others_batch(pair: Pair) -> None:
    one, other, _ = pair
    one.do(jobs.prepare, "ACME")
    other.do(jobs.start, "ACME", "b1")
    for placing, running in ((one, other), (other, one)):
        name = placing.name.replace(" ", "-")
        placing.do(jobs.place, "ACME", name)
        assert running.do(jobs.open_holds, "ACME") == [name]
        with pytest.raises(JobError, match="PlanOnHoldError"):
            running.do(jobs.run, "b1")
        running.do(jobs.release, "ACME", name)
        assert placing.do(jobs.open_holds, "ACME") == []
    one.do(jobs.run, "b1")
    assert other.do(jobs.history, "b1")["status"] == "RUNNING"


def test_a_trail_that_both_append_to_is_whole_for_both(pair: Pair) -> None:
    one, other, _ = pair
    for number in range(4):
        one.do(jobs.append, "trail", f"one {number}")
        other.do(jobs.append, "trail", f"other {number}")
    wanted = [f"{name} {number}" for number in range(4) for name in ("one", "other")]
    for process in (one, other):
        assert process.do(jobs.actions, "trail") == wanted
        assert process.do(jobs.faults, "trail") == []


def test_both_at_once_lose_none_of_each_others_work(pair: Pair) -> None:
    times = 8
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(lambda process: process.do(jobs.work_at_once, process.name, times), pair[:2]))
    for process in pair[:2]:
        assert process.do(jobs.version, "RACE") == 2 * times
        actions = process.do(jobs.actions, "race")
        assert sorted(map(str, actions)) == sorted(f"{one.name} {n}" for one in pair[:2] for n in range(times))
        assert process.do(jobs.faults, "race") == process.do(jobs.faults_of_rules, "RACE") == []


def test_what_one_exports_the_other_merges(pair: Pair, tmp_path: Path) -> None:
    """Over what the other has: its own rule stays, what it lacks comes."""
    one, other, settings = pair
    one.do(jobs.prepare, "ACME")
    one.do(jobs.put_rule, "OMEGA", 3)
    one.do(jobs.export_to, str(tmp_path / "export"))
    there = settings | {"table_suffix": f"-{uuid.uuid4().hex[:12]}"}
    if settings["persistence_mode"] == "file":
        there["file_persistence_dir"] = str(tmp_path / "there")
    other.open(there)
    other.do(jobs.create)
    other.do(jobs.put_rule, "ACME", 9)
    other.do(jobs.import_from, str(tmp_path / "export"), True)
    assert (other.do(jobs.rule, "ACME", True), other.do(jobs.rule, "OMEGA", True)) == (9, 3)
    assert other.do(jobs.pipeline, "ACME") == one.do(jobs.pipeline, "ACME")
    one.open(there)
    assert one.do(jobs.faults_of_rules, "ACME") == one.do(jobs.faults_of_rules, "OMEGA") == []
    assert one.do(jobs.pipeline, "ACME") == other.do(jobs.pipeline, "ACME")


def test_what_one_seeds_the_other_finds_loaded_and_healthy(pair: Pair) -> None:
    one, other, _ = pair
    created, _ = one.do(jobs.seed)
    assert created > 0
    assert other.do(jobs.differences) == 0
    assert other.do(jobs.seed) == [0, 0]
    for process in (other, one):
        assert process.do(jobs.create) == process.do(jobs.create, True) == []
        assert process.do(jobs.complaints) == []
        assert process.do(jobs.differences) == 0


def test_what_one_exports_the_other_imports(pair: Pair, tmp_path: Path) -> None:
    one, other, settings = pair
    one.do(jobs.prepare, "ACME")
    one.do(jobs.start, "ACME", "b1")
    one.do(jobs.run, "b1")
    one.do(jobs.do_step, "b1", 100, "one")
    one.do(jobs.place, "ACME", "h")
    count = one.do(jobs.export_to, str(tmp_path / "export"))
    there = settings | {"table_suffix": f"-{uuid.uuid4().hex[:12]}"}
    if settings["persistence_mode"] == "file":
        there["file_persistence_dir"] = str(tmp_path / "there")
    other.open(there)
    other.do(jobs.create)
    other.do(jobs.import_from, str(tmp_path / "export"))
    assert len(other.do(jobs.items)) == count
    assert other.do(jobs.history, "b1") == one.do(jobs.history, "b1")
    assert other.do(jobs.faults, "b1") == []
    assert other.do(jobs.open_holds, "ACME") == ["h"]
    other.do(jobs.release, "ACME", "h")


def test_documents_are_written_by_both(pair: Pair, tmp_path: Path) -> None:
    one, other, _ = pair
    table = f"orders-{uuid.uuid4().hex[:8]}"
    one.do(jobs.create_document, table, "a", {"total": "1.50", "count": 3})
    assert other.do(jobs.document, table, "a")["count"] == 3
    other.do(jobs.create_document, table, "b", {"total": "2"})
    with pytest.raises(JobError, match="ClientError"):
        other.do(jobs.create_document, table, "a", {"total": "9"})
    other.do(jobs.update_document, table, "a", {"total": "3"})
    one.do(jobs.update_document, table, "a", {"count": 4})
    for process in (one, other):
        found = process.do(jobs.document, table, "a")
        assert (found["total"], found["count"]) == ("3", 4)
        assert process.do(jobs.documents, table) == ["a", "b"]
    one.do(jobs.delete_document, table, "b")
    assert other.do(jobs.documents, table) == ["a"]


def test_a_document_is_changed_by_both_and_neither_shows_anything_else_on_it(pair: Pair) -> None:
    one, other, _ = pair
    expected: dict[str, object] = {"id": "a", "value": "v0"}
    assert one.do(jobs.change_document, "v0") == [expected]
    for number, process in enumerate((other, one, other), 1):
        expected |= {"value": f"v{number}", f"v{number}": True}
        assert process.do(jobs.change_document, f"v{number}") == [expected]
