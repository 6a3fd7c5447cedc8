"""Merging an export into tables that others write to at the same time, and that stops half-way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import AlreadyExistsError, BatchNotFoundError, IrsLimits, PipelineStep, Settings, Store, TableLayout
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE, STEP_NUMBERS
from bluestar_store.protocols import EXISTS, Update
from bluestar_store.protocols.items import chunks
from bluestar_store.transfer import export, import_
from tests.transfer.merging_beside import Beside, Between, Killed, KilledBefore

LONG = 120
"""Entries of a trail, or results of a batch, that one transaction does not take."""


def store_of(layout: TableLayout = TableLayout.PER_TABLE) -> Store:
    store = Store.open(Settings(persistence_mode="memory", table_layout=layout))
    store.create_tables()
    return store


EVERY_CALL = ("get", "query", "write")


def merge_with(
    target: Store,
    folder: Path,
    number: int,
    act: Callable[[], object],
    calls: tuple[str, ...] = EVERY_CALL,
) -> bool:
    """Merge, and do something before one of the calls; whether it came to that."""
    engine = Between(target.engine, number, act, calls)
    beside: Any = Beside(target, engine)
    import_(beside, folder, merge=True)
    return engine.acted


def beside(
    layout: TableLayout, folder: Path, act: Callable[[Store], object], prepare: Callable[[Store], object] = id
) -> Iterator[Store]:
    """The target after a merge into which a writer came, once before each of its calls."""
    number = 0
    while True:
        number += 1
        with store_of(layout) as target:
            prepare(target)
            if not merge_with(target, folder, number, partial(act, target)):
                return
            yield target


def steps(*numbers: int, agent: str = "A") -> list[PipelineStep]:
    return [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number, agent=agent) for number in numbers]


def pipeline(store: Store) -> list[tuple[int, str | None]]:
    return [(step.step_order, step.agent) for step in store.pipelines.steps("ACME", "Weekly", fresh=True)]


def actions(store: Store, trail: str = "b1") -> list[str | None]:
    return [entry.action for entry in store.audit.entries(trail)]


def append(store: Store, count: int, trail: str = "b1") -> None:
    for numbers in chunks(range(1, count + 1), 90):
        with store.unit_of_work() as uow:
            for number in numbers:
                uow.audit.append(trail, action=f"a{number}")


def rules(store: Store) -> None:
    store.irs_limits.put(IrsLimits(year=2026))
    store.pipelines.replace("ACME", "Weekly", steps(1, 2))


def batch(store: Store, results: int) -> None:
    rules(store)
    started = store.batches.start("ACME", "Weekly", 2026, "b1", actor="exported")
    place = store.tables.name(BATCH_STATE), BATCH_STATE.keys.build({"batch_id": "b1"})
    store.engine.write(Update(*place, remove=frozenset({STEP_NUMBERS}), expect=EXISTS))  # so that it may have any step
    store.results.save(started, 1, {"rows": 1}, claim=store.claims.claim(started, 1, "w1", 60))
    for steps_at_once in chunks(range(2, results + 1), 90):
        with store.unit_of_work() as uow:
            for step in steps_at_once:
                uow.results.save(started, step, {"rows": step})


def few_and(many: int) -> list[Any]:
    """Few items in both layouts; many too, where the layout makes no difference that it does not make for few."""
    both = [(TableLayout.PER_TABLE, many), pytest.param(TableLayout.SINGLE, many, marks=pytest.mark.slow)]
    return [(TableLayout.PER_TABLE, 1), (TableLayout.SINGLE, 1), *both]


@pytest.fixture(params=list(TableLayout), ids=str)
def layout(request: pytest.FixtureRequest) -> TableLayout:
    found: TableLayout = request.param
    return found


@pytest.mark.parametrize(("layout", "versions"), few_and(80))
def test_a_pipeline_that_is_replaced_meanwhile_is_the_writers_and_no_mixture(
    layout: TableLayout, tmp_path: Path, versions: int
) -> None:
    with store_of(layout) as source:
        for number in range(versions):
            source.pipelines.replace("ACME", "Weekly", steps(*range(3, 30), agent=f"v{number}"))
        export(source, tmp_path)
    met = 0
    for target in beside(layout, tmp_path, lambda store: store.pipelines.replace("ACME", "Weekly", steps(1, 2))):
        met += 1
        assert pipeline(target) == [(1, "A"), (2, "A")]
        target.pipelines.replace("ACME", "Weekly", steps(7))
        assert pipeline(target) == [(7, "A")]
    assert met > 3


def test_a_pipeline_that_others_removed_before_is_taken_whole_or_is_the_writers(
    layout: TableLayout, tmp_path: Path
) -> None:
    def removed(store: Store) -> None:
        store.pipelines.replace("ACME", "Weekly", steps(9))
        store.pipelines.remove("ACME", "Weekly")

    with store_of(layout) as source:
        source.pipelines.replace("ACME", "Weekly", steps(3, 5))
        export(source, tmp_path)
    for target in beside(
        layout, tmp_path, lambda store: store.pipelines.replace("ACME", "Weekly", steps(1, 2)), removed
    ):
        assert pipeline(target) == [(1, "A"), (2, "A")]
    with store_of(layout) as target:
        removed(target)
        import_(target, tmp_path, merge=True)
        assert pipeline(target) == [(3, "A"), (5, "A")]
        assert not target.pipelines.is_lost("ACME", "Weekly")


@pytest.mark.parametrize(("layout", "entries"), few_and(LONG))
def test_a_trail_that_is_begun_meanwhile_is_the_writers_or_goes_on_behind_the_merged_one(
    layout: TableLayout, tmp_path: Path, entries: int
) -> None:
    with store_of(layout) as source:
        append(source, entries)
        export(source, tmp_path)
        exported = actions(source)
    for target in beside(layout, tmp_path, lambda store: store.audit.append("b1", action="live")):
        assert actions(target) in (["live"], [*exported, "live"])
        append(target, entries)
        assert target.audit.verify("b1") == ()


@pytest.mark.parametrize(
    ("layout", "results"), [(TableLayout.PER_TABLE, 2), (TableLayout.SINGLE, 2), (TableLayout.PER_TABLE, LONG)]
)
def test_a_batch_that_is_started_meanwhile_is_the_writers_and_no_mixture(
    layout: TableLayout, tmp_path: Path, results: int
) -> None:
    with store_of(layout) as source:
        batch(source, results)
        export(source, tmp_path)
        exported = source.batches.history("b1")

    def start(store: Store) -> None:
        with contextlib.suppress(AlreadyExistsError):
            store.batches.start("ACME", "Weekly", 2026, "b1", actor="live")

    for target in beside(layout, tmp_path, start, rules):
        history = target.batches.history("b1")
        if history.state.created == exported.state.created:  # it came too late
            assert history == exported
        else:
            assert (history.claims, history.results) == ((), ())
            assert history.rules is not None


def test_of_several_that_are_brought_in_together_only_the_one_that_others_began_is_left(tmp_path: Path) -> None:
    with store_of() as source:
        for number in range(20):
            source.audit.append(f"b{number}", action="exported")
        export(source, tmp_path)
    for target in beside(TableLayout.PER_TABLE, tmp_path, lambda store: store.audit.append("b7", action="live")):
        assert actions(target, "b7") in (["live"], ["exported", "live"])
        assert all(actions(target, f"b{number}") == ["exported"] for number in range(20) if number != 7)


def test_readers_see_nothing_of_what_is_half_there_and_the_next_run_completes_it(tmp_path: Path) -> None:
    def kill() -> None:
        raise Killed

    with store_of() as source:
        batch(source, LONG // 2)
        append(source, LONG)
        append(source, 4, "b2")
        whole = export(source, tmp_path / "one")
        history = source.batches.history("b1")
    killed = 0
    for number in range(1, 100):
        with store_of() as target:
            target.irs_limits.put(IrsLimits(year=1999))
            try:
                if not merge_with(target, tmp_path / "one", number, kill, ("write",)):
                    break
            except Killed:
                killed += 1
            assert target.pipelines.steps("ACME", "Weekly", fallback=False, fresh=True) in ((), target_steps(target))
            for trail in ("b1", "b2"):
                assert target.audit.verify(trail) == ()
                assert len(target.audit.entries(trail)) in (0, LONG if trail == "b1" else 4)
            for read, records in ((target.results, history.results), (target.claims, history.claims)):
                found: Any = read.for_batch("b1")
                assert found in ((), records)
                if found:
                    assert target.batches.history("b1") == history
                else:
                    with pytest.raises(BatchNotFoundError):
                        read.get("b1", 1)
            import_(target, tmp_path / "one", merge=True)
            assert target.batches.history("b1") == history
            assert target.audit.verify("b1") == target.audit.verify("b2") == ()
            assert import_(target, tmp_path / "one", merge=True).same == whole.items
    assert killed > 4


def target_steps(store: Store) -> tuple[PipelineStep, ...]:
    found = store.pipelines.stored_steps("ACME", "Weekly")
    return found if len(found) == 2 else ()


@pytest.mark.parametrize("killed_before", [2, 3])
def test_what_others_began_after_a_merge_was_killed_is_theirs_once_it_is_run_again(
    tmp_path: Path, killed_before: int
) -> None:
    def kill() -> None:
        raise Killed

    with store_of() as source:
        batch(source, LONG // 2)
        append(source, LONG)
        export(source, tmp_path)
    with store_of() as target:
        rules(target)
        with pytest.raises(Killed):
            merge_with(target, tmp_path, killed_before, kill, ("write",))
        target.audit.append("b1", action="live")
        target.batches.start("ACME", "Weekly", 2026, "b1")
        import_(target, tmp_path, merge=True)
        history = target.batches.history("b1")
        assert (history.claims, history.results) == ((), ())
        append(target, LONG)
        assert target.audit.verify("b1") == ()
        assert len(actions(target)) in (LONG + 1, 2 * LONG + 1)  # the latter when the merge had done with the trail


def test_writers_in_threads_and_a_merge_leave_each_whole(tmp_path: Path) -> None:
    with store_of() as source:
        for number in range(8):
            append(source, 3 + number * 20, f"b{number}")
            source.pipelines.replace(
                f"P{number}",
                "Weekly",
                [
                    PipelineStep(plan_id=f"P{number}", pay_freq="Weekly", step_order=n, agent="exported")
                    for n in (2, 4, 6)
                ],
            )
        export(source, tmp_path)
    for _ in range(3):
        with store_of() as target:
            begin = threading.Barrier(3)

            def write(part: int, target: Store = target, begin: threading.Barrier = begin) -> None:
                begin.wait()
                for number in range(part, 8, 2):
                    plan = f"P{number}"
                    target.audit.append(f"b{number}", action="live")
                    made = [
                        PipelineStep(plan_id=plan, pay_freq="Weekly", step_order=n, agent="live") for n in (1, 2, 3)
                    ]
                    target.pipelines.replace(plan, "Weekly", made)

            threads = [threading.Thread(target=write, args=(part,)) for part in range(2)]
            for thread in threads:
                thread.start()
            begin.wait()
            import_(target, tmp_path, merge=True)
            for thread in threads:
                thread.join()
            for number in range(8):
                found = target.pipelines.steps(f"P{number}", "Weekly", fresh=True)
                assert {step.agent for step in found} == {"live"}
                assert [step.step_order for step in found] == [1, 2, 3]
                assert actions(target, f"b{number}")[-1] == "live"
                assert target.audit.verify(f"b{number}") == ()


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(TableLayout), ids=str)
def test_on_dynamodb_a_merge_that_was_killed_is_completed_and_a_writer_goes_before_it(
    tmp_path: Path, dynamodb_local_url: str, layout: TableLayout
) -> None:
    with store_of(layout) as source:
        batch(source, LONG)
        append(source, LONG)
        append(source, 3, "b2")
        export(source, tmp_path)
        history = source.batches.history("b1")
    suffix = f"-merge-{layout}"
    settings = Settings(dynamodb_endpoint_url=dynamodb_local_url, table_suffix=suffix, table_layout=layout)
    with Store.open(settings) as target:
        target.create_tables()
        beside: Any = Beside(target, KilledBefore(target.engine, Key("BATCH#b1", "CHAIN")))
        with pytest.raises(Killed):
            import_(beside, tmp_path, merge=True)
        assert target.audit.entries("b1") == target.audit.verify("b1") == ()
        target.audit.append("b2", action="live")
        target.pipelines.replace("ACME", "Weekly", steps(7))
        report = import_(target, tmp_path, merge=True)
        assert target.batches.history("b1") == history
        assert actions(target, "b2") in (["live"], ["a1", "a2", "a3", "live"])  # the latter: before it was killed
        assert pipeline(target) == [(7, "A")]
        assert report.left_alone > 0
        assert target.audit.verify("b1") == target.audit.verify("b2") == ()
