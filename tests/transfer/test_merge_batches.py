"""Merging the export of a batch into tables that have a batch, a trail or what is left of a batch under the same id.

The outcome is one of the two wholes and never some of each, and what there is then works: with an interruption after
every write, and with a writer who comes in before every call.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AlreadyExistsError,
    BatchNotFoundError,
    BatchStatus,
    BlueStarError,
    IrsLimits,
    PipelineStep,
    Settings,
    Store,
    TableLayout,
)
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.merge_marks import is_merge_mark
from bluestar_store.persistence.free_form import FreeForm
from bluestar_store.protocols import Delete, Item, key_of, pages
from bluestar_store.protocols.items import chunks
from bluestar_store.repositories.batch_traces import DELETED
from bluestar_store.repositories.revisions import says_nothing_else, without_moves
from bluestar_store.testing import FrozenClock
from bluestar_store.transfer import export, import_
from tests.transfer.merging_beside import Beside, Between, Killed

Act = Callable[[Store], object]
PK, STEPS = "BATCH#b1", 9


def store_of(layout: TableLayout = TableLayout.PER_TABLE, *, later: float = 0) -> Store:
    """One whose plan can start batches. `later`: seconds that its clock is ahead."""
    clock = FrozenClock()
    store = Store.open(Settings(persistence_mode="memory", table_layout=layout), clock=clock)
    store.create_tables()
    store.irs_limits.put(IrsLimits(year=2026))
    steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number) for number in range(1, STEPS + 1)]
    store.pipelines.replace("ACME", "Weekly", steps)
    clock.advance(100 + later)
    return store


def start(store: Store) -> None:
    store.batches.start("ACME", "Weekly", 2026, "b1")


def untouched(store: Store) -> None:
    start(store)


def claimed(store: Store) -> None:
    start(store)
    store.claims.claim("b1", 1, "w1", 60)


def worked_on(store: Store, results: int = 2, entries: int = 2) -> None:
    """Claimed, running, with results and entries."""
    claimed(store)
    batch = store.batches.advance(store.batches.get("b1"), status=BatchStatus.RUNNING, step=1)
    with store.unit_of_work() as uow:
        for number in range(1, results + 1):
            uow.results.save(batch, number, {"rows": number})
    for numbers in chunks(range(1, entries + 1), 80):
        with store.unit_of_work() as uow:
            for number in numbers:
                uow.audit.append("b1", action=f"entry {number}")


def moved_on(store: Store) -> None:
    """What goes on in a batch that was worked on."""
    store.results.save("b1", 5, {"rows": 5})
    store.batches.advance(store.batches.get("b1"), step=5)
    store.audit.append("b1", action="three")


def without_trail(store: Store) -> None:
    """As release 0.1.0 keeps it: work leaves no head of a trail."""
    claimed(store)
    store.results.save("b1", 2, {"rows": 2})
    store.engine.write(Delete(store.tables.name(BATCH_STATE), Key(PK, "CHAIN")))


def deleted(store: Store) -> None:
    start(store)
    store.batches.delete(store.batches.get("b1"))


def asked_about(store: Store) -> None:
    """Deleted, and its trail goes on."""
    deleted(store)
    store.audit.append("b1", action="asked about")


def trail_only(store: Store) -> None:
    store.audit.append("b1", action="file received")


def old_agents(store: Store) -> None:
    """What agents of the drop-in keep: a state and results in words of their own, and entries."""
    free = FreeForm(store)
    free.save_state("b1", {"status": "in progress"})
    free.save_result("b1", "match", {"rows": 1})
    trail_only(store)


def results_only(store: Store) -> None:
    store.results.save("b1", 3, {"rows": "theirs"})


def old_results_only(store: Store) -> None:
    """As release 0.1.0 saves them under an id that has no batch."""
    results_only(store)
    store.engine.write(Delete(store.tables.name(BATCH_STATE), Key(PK, "CHAIN")))


MADE: dict[str, Act] = {
    "untouched": untouched,
    "claimed": claimed,
    "worked on": worked_on,
    "large": partial(worked_on, results=7, entries=110),
    "without a trail": without_trail,
    "deleted": deleted,
    "deleted and asked about": asked_about,
    "a trail only": trail_only,
    "old agents'": old_agents,
    "results only": results_only,
    "old results only": old_results_only,
}
EXPORTS = [name for name in MADE if name != "old results only"]
OTHERS = [name for name in MADE if name != "large"]
"""What a target has of its own under the id."""


def made(what: str, layout: TableLayout = TableLayout.PER_TABLE, *, later: float = 0) -> Store:
    store = store_of(layout, later=later)
    MADE[what](store)
    return store


def partition(store: Store) -> dict[str, Item]:
    """What there is of the batch, but for what says what transactions wrote of late."""
    name = store.tables.name(BATCH_STATE)
    found = pages(lambda cursor: store.engine.query(name, PK, cursor=cursor, consistent=True))
    items = {key_of(item).sk: item for page in found for item in page}
    return {sk: without_moves(item) for sk, item in items.items() if sk != "CHAIN" or not says_nothing_else(item)}


def works(store: Store) -> None:
    """What is there is one batch, one trail, or what is left of a batch, and goes on as such."""
    assert store.audit.verify("b1") == ()
    there = partition(store)
    if "STATE" in there:
        assert DELETED not in there.get("CHAIN", {})
        claim = store.claims.claim("b1", 9, "worker", 60)
        store.results.save("b1", 9, {"rows": 9}, claim=claim)
        assert store.results.get("b1", 9).result == {"rows": 9}
        store.audit.append("b1", action="by worker", claim=claim)
        store.batches.advance(store.batches.get("b1"), status=BatchStatus.RUNNING, claim=claim)
    elif DELETED in there.get("CHAIN", {}):
        with pytest.raises(AlreadyExistsError):
            start(store)
        for late in (lambda: store.claims.claim("b1", 1, "w", 60), lambda: store.results.save("b1", 1, {})):
            with pytest.raises(BatchNotFoundError):
                late()
    else:
        start(store)
        store.claims.claim("b1", 9, "worker", 60)
    store.audit.append("b1", action="at last")
    assert store.audit.entries("b1")[-1].action == "at last"
    assert store.audit.verify("b1") == ()
    assert not any(is_merge_mark(Key(PK, sk)) for sk in partition(store))


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Item]]]:
    """A folder for each of what a source may have, and what it has."""
    found = {}
    for what in EXPORTS:
        with made(what) as source:
            folder = tmp_path_factory.mktemp("export")
            export(source, folder)
            found[what] = folder, partition(source)
    return found


def killed(_: Store) -> None:
    raise Killed


def outcome(before: dict[str, Item], exported: dict[str, Item]) -> dict[str, Item]:
    """The whole that has to be there after a merge."""
    return before or exported


@pytest.mark.parametrize(
    ("ours", "theirs", "layout", "overwrite"),
    [
        (ours, theirs, list(TableLayout)[number % 2], bool(number // 2 % 2))
        for number, (ours, theirs) in enumerate(itertools.product(EXPORTS, ("nothing", *OTHERS)))
    ],
)
def test_another_batch_of_the_same_id_stays_as_it_is(
    exports: dict[str, tuple[Path, dict[str, Item]]], ours: str, theirs: str, layout: TableLayout, overwrite: bool
) -> None:
    folder, exported = exports[ours]
    with store_of(layout, later=50) as target:
        MADE.get(theirs, id)(target)
        before = partition(target)
        report = import_(target, folder, merge=True, overwrite=overwrite)
        after = partition(target)
        if ours == theirs == "old agents'" and overwrite:
            return  # of which nothing says that it is another one
        assert after == outcome(before, exported)
        assert any(key.pk == PK for _, key in report.left_alone_keys) == bool(before)
        works(target)


# ------------------------------------------------------------------------------------- one batch, at different points


def same_batch(first: Act, before: Act, after: Act, folder: Path) -> tuple[Store, dict[str, Item]]:
    """A store with a batch, and the export of one that went another way since; both are the same batch."""
    source, target = store_of(), store_of()
    with source:
        first(source)
        export(source, folder / "first")
        before(source)
        export(source, folder / "later")
        exported = partition(source)
    import_(target, folder / "first", merge=True)
    after(target)
    return target, exported


@pytest.mark.parametrize("after", [id, moved_on], ids=["behind", "ahead"])
@pytest.mark.parametrize("before", [id, moved_on], ids=["then", "later"])
@pytest.mark.parametrize("first", ["worked on", "large", "old agents'"])
def test_a_batch_that_the_target_has_goes_on_there_as_it_is(
    tmp_path: Path, first: str, before: Act, after: Act
) -> None:
    if first == "old agents'":
        before, after = (partial(store_in_words, one) if one is moved_on else id for one in (before, after))
    target, _ = same_batch(MADE[first], before, after, tmp_path)
    with target:
        kept = partition(target)
        for _ in range(2):
            import_(target, tmp_path / "later", merge=True)
            assert partition(target) == kept
        works(target)


def store_in_words(_: Act, store: Store) -> None:
    FreeForm(store).save_state("b1", {"status": "done"})
    store.audit.append("b1", action="done")


# --------------------------------------------------------------------------------------- interruptions and writers


@pytest.mark.parametrize("theirs", ["nothing", "untouched", "worked on", "deleted"])
@pytest.mark.parametrize("ours", ["large", "worked on", "deleted", "a trail only"])
def test_a_merge_that_was_killed_before_any_write_ends_like_any_other_when_it_is_run_again(
    exports: dict[str, tuple[Path, dict[str, Item]]], ours: str, theirs: str
) -> None:
    folder, exported = exports[ours]
    for number in range(1, 100):
        with store_of(later=50) as target:
            MADE.get(theirs, id)(target)
            before = partition(target)
            try:
                if not merge_with(target, folder, number, killed, ("write",)):
                    return
            except Killed:
                pass
            assert target.audit.verify("b1") == ()
            import_(target, folder, merge=True)
            assert partition(target) == outcome(before, exported)
            works(target)


ACTS: dict[str, Act] = {
    "start": start,
    "claim": lambda store: store.claims.claim("b1", 1, "live", 60),
    "claim of another step": lambda store: store.claims.claim("b1", 8, "live", 60),
    "result": lambda store: store.results.save("b1", 8, {"rows": "live"}),
    "append": lambda store: store.audit.append("b1", action="live"),
    "delete": lambda store: store.batches.delete(store.batches.get("b1")),
    "start and claim": claimed,
    "start and delete": deleted,
    "state in words": partial(store_in_words, id),
}


def merge_with(target: Store, folder: Path, number: int, act: Act, calls: tuple[str, ...]) -> bool:
    """Merge, and do something before one of the calls; whether it came to that."""
    engine = Between(target.engine, number, partial(act, target), calls, PK)
    beside: Any = Beside(target, engine)
    import_(beside, folder, merge=True)
    return engine.acted


def done(store: Store, act: Act) -> None:
    """Whether it is refused is the library's matter."""
    with contextlib.suppress(BlueStarError):
        act(store)


def in_turn(folder: Path, prepare: Act, *acts: Act | None) -> dict[str, Item]:
    """What there is after a merge (None) and a writer, one after the other."""
    with store_of(later=50) as target:
        prepare(target)
        for act in acts:
            if act is None:
                import_(target, folder, merge=True)
            else:
                done(target, act)
        return partition(target)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param("large", "nothing", marks=pytest.mark.slow),
        *itertools.product(("worked on", "deleted", "a trail only"), ("nothing", "untouched")),
    ],
)
def test_beside_a_writer_the_outcome_is_that_of_one_after_the_other(
    exports: dict[str, tuple[Path, dict[str, Item]]], ours: str, theirs: str, act: str
) -> None:
    folder, _ = exports[ours]
    prepare = MADE.get(theirs, id)
    one_by_one = [(ACTS[act], None), (None, ACTS[act])]
    if act == "start and delete":  # refused, while records of the export's lie there
        one_by_one.append((start, None))
    wanted = [in_turn(folder, prepare, *acts) for acts in one_by_one]
    for number in range(1, 100):
        with store_of(later=50) as target:
            prepare(target)
            acted = merge_with(
                target, folder, number, partial(done, act=ACTS[act]), ("get", "get_isolated", "query", "write")
            )
            if not acted:
                return
            assert partition(target) in wanted, number
            assert target.audit.verify("b1") == ()
