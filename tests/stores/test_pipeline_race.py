"""A reader of a pipeline never sees a part of it, or a mixture, while somebody replaces it.

Each race has 10 rounds at least (3 with another program, whose reads begin anew each time), and with --soak 250 (50).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bluestar_store import DEFAULT, PipelineStep, Settings, Store, TableLayout
from bluestar_store.models.pipeline import PIPELINE_STEP
from tests.store_suite.side_door import wire
from tests.stores.conftest import MakeStore

LONG = range(100, 2700, 100)
SHORT = range(150, 1350, 100)
"""Shares no step with LONG: a reader between the two would find some of both, or none."""
PK = "CLIENT#ACME_Weekly"


def steps(numbers: range, agent: str) -> list[PipelineStep]:
    return [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number, agent=agent) for number in numbers]


def seen(store: Store) -> str:
    """Which of the known pipelines is there now; fails for anything else."""
    read = store.pipelines.steps("ACME", "Weekly")
    numbers = [step.step_order for step in read]
    (agent,) = {step.agent for step in read}
    known = {"long": list(LONG), "short": list(SHORT), "theirs": list(LONG), "default": [1]}
    assert agent is not None
    assert numbers == known[agent]
    return agent


@contextmanager
def reading(stores: list[Store]) -> Iterator[Counter[str]]:
    """Each Store read by a thread of its own, over and over, until the block ends; what they saw."""
    counts: Counter[str] = Counter()
    errors: list[BaseException] = []
    ended = threading.Event()

    def read(store: Store) -> None:
        try:
            while not ended.is_set():
                counts[seen(store)] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    try:
        yield counts
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


@pytest.fixture(params=["memory", pytest.param("dynamodb-local", marks=pytest.mark.slow)])
def stores(request: pytest.FixtureRequest, make_store: MakeStore, layout: TableLayout) -> Iterator[list[Store]]:
    """Three Stores over the same tables; in memory it is one Store three times."""
    if request.param == "memory":
        yield [make_store(persistence_mode="memory", table_layout=layout)] * 3
        return
    url = request.getfixturevalue("dynamodb_local_url")
    first = make_store(table_layout=layout, dynamodb_endpoint_url=url)
    others = [Store.open(Settings(**dict(first.settings))) for _ in range(2)]
    yield [first, *others]
    for store in others:
        store.close()


def test_a_reader_sees_the_old_pipeline_or_the_new_one(stores: list[Store], soak: bool) -> None:
    writer, *readers = stores
    writer.pipelines.replace("ACME", "Weekly", steps(LONG, "long"))
    with reading(readers) as counts:
        for round_ in range(1000):
            writer.pipelines.replace("ACME", "Weekly", steps(SHORT, "short"))
            writer.pipelines.replace("ACME", "Weekly", steps(LONG, "long"))
            if round_ >= (250 if soak else 10) and len(counts) == 2:
                break
    assert counts.keys() == {"long", "short"}


def test_a_reader_sees_the_plans_own_pipeline_or_defaults(stores: list[Store], soak: bool) -> None:
    writer, *readers = stores
    default = PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=1, agent="default")
    writer.pipelines.replace(DEFAULT, "Weekly", [default])
    with reading(readers) as counts:
        for round_ in range(1000):  # in memory a writer may be so fast that readers have not had their turn yet
            writer.pipelines.replace("ACME", "Weekly", steps(LONG, "long"))
            writer.pipelines.remove("ACME", "Weekly")
            if round_ >= (250 if soak else 10) and len(counts) == 2:
                break
    assert counts.keys() == {"long", "default"}


def test_a_reader_sees_another_programs_pipeline_or_ours(stores: list[Store], soak: bool) -> None:
    writer, *readers = stores
    writer.pipelines.replace("ACME", "Weekly", steps(SHORT, "short"))
    table = writer.tables.name(PIPELINE_STEP)
    for _ in range(50 if soak else 3):
        writer.pipelines.remove("ACME", "Weekly")
        # Another program writes item by item, so nobody reads meanwhile.
        writer.engine.put_many(table, [wire(PK, f"STEP#{number}", agent="theirs") for number in LONG])
        with reading(readers) as counts:
            while not counts:
                threading.Event().wait(0.002)
            writer.pipelines.replace("ACME", "Weekly", steps(SHORT, "short"))
        assert counts.keys() <= {"theirs", "short"}
        assert seen(writer) == "short"
