"""A query is not isolated from a transaction: it may see any of its items before it and any other after it.

DynamoDB Local answers queries as of one moment, so no race against it shows this; here the torn answers are made:
50 of each kind of read, with --soak 500.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestar_store import DEFAULT, PersistenceMode, PipelineStep, PlanSnapshot, Settings, Store
from bluestar_store.keys import Key
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import Delete, Item, Page, key_of
from tests.store_suite.side_door import wire

PK = "CLIENT#ACME_Weekly"
State = dict[Key, Item]
NUMBERS = st.lists(st.integers(1, 8), unique=True, max_size=6)
KEYS = ("STEP#0001", "STEP#2", "STEP#0003", "STEP#4", "STEP#0005", "STEP#6", "STEP#0007", "STEP#8")


def pipeline(numbers: list[int], agent: str) -> list[PipelineStep]:
    return [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number, agent=agent) for number in numbers]


def state_of(store: Store) -> State:
    """The steps as they are on disk."""
    page = store.engine.query(store.tables.name(PIPELINE_STEP), PK, "STEP#")
    return {key_of(item): item for item in page.items}


def become(store: Store, state: State) -> None:
    """Make the steps on disk these."""
    table = store.tables.name(PIPELINE_STEP)
    store.engine.write(*(Delete(table, key) for key in state_of(store)))
    store.engine.put_many(table, state.values())


@contextmanager
def states_of(store: Store) -> Iterator[list[State]]:
    """The steps on disk at the beginning and after each transaction of the block."""
    states = [state_of(store)]
    engine: Any = store.engine
    write = engine.write

    def writing(*writes: Any) -> None:
        write(*writes)
        states.append(state_of(store))

    engine.write = writing
    try:
        yield states
    finally:
        engine.write = write


@contextmanager
def torn(store: Store, answers: list[State]) -> Iterator[None]:
    """Let the first queries of the pipeline's partition be answered by these."""
    engine: Any = store.engine
    query = engine.query
    waiting = [[state[key] for key in sorted(state)] for state in answers]

    def answer(table: str, pk: str, *args: Any, **kwargs: Any) -> Page:
        if pk == PK and waiting:
            return Page(waiting.pop(0), None)
        page: Page = query(table, pk, *args, **kwargs)
        return page

    engine.query = answer
    try:
        yield
    finally:
        engine.query = query


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """Without a cache, which would keep an answer from before a write that was made behind its back."""
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY, cache_max_entries=0)) as store:
        store.create_tables()
        default = PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=99, agent="default")
        store.pipelines.replace(DEFAULT, "Weekly", [default])
        store.irs_limits.put(IrsLimits(year=2026))
        yield store


def by_steps(store: Store) -> tuple[PipelineStep, ...]:
    return store.pipelines.steps("ACME", "Weekly")


def by_snapshot(store: Store) -> tuple[PipelineStep, ...]:
    snapshot: PlanSnapshot = store.plan_snapshot("ACME", "Weekly", 2026)
    return snapshot.steps


@pytest.mark.parametrize("read", [by_steps, by_snapshot])
@given(data=st.data(), before=NUMBERS, after=NUMBERS, theirs=st.booleans())
@settings(max_examples=settings().max_examples // 2)
def test_no_torn_answer_makes_a_mixture_or_a_part(
    store: Store,
    read: Callable[[Store], tuple[PipelineStep, ...]],
    data: st.DataObject,
    before: list[int],
    after: list[int],
    theirs: bool,
) -> None:
    check(store, read, data, before, after, theirs=theirs)


def test_empty_answers_in_a_row_do_not_let_a_plan_fall_back(store: Store) -> None:
    store.pipelines.replace("ACME", "Weekly", pipeline([1], "before"))
    store.pipelines.replace("ACME", "Weekly", pipeline([2], "after"))
    with torn(store, [{}, {}]):  # the old step gone already, the new one not yet there
        assert [(step.step_order, step.agent) for step in by_steps(store)] == [(2, "after")]


def test_a_pipeline_of_which_a_part_is_still_to_be_seen_after_its_removal_is_gone(store: Store) -> None:
    store.pipelines.replace("ACME", "Weekly", pipeline([1, 2], "before"))
    left = state_of(store)
    del left[Key(PK, "STEP#0001")]
    store.pipelines.remove("ACME", "Weekly")
    with torn(store, [left]):
        assert [(step.step_order, step.agent) for step in by_steps(store)] == [(99, "default")]


def check(
    store: Store,
    read: Callable[[Store], tuple[PipelineStep, ...]],
    data: st.DataObject,
    before: list[int],
    after: list[int],
    *,
    theirs: bool,
) -> None:
    """Replace one pipeline by another, and read while one of the transactions becomes visible item by item."""
    store.pipelines.remove("ACME", "Weekly")
    if theirs:
        items = [wire(PK, KEYS[number - 1], agent="before") for number in before]
        store.engine.put_many(store.tables.name(PIPELINE_STEP), items)
    elif before:
        store.pipelines.replace("ACME", "Weekly", pipeline(before, "before"))
    with states_of(store) as states:
        if after:
            store.pipelines.replace("ACME", "Weekly", pipeline(after, "after"))
        else:
            store.pipelines.remove("ACME", "Weekly")
    if len(states) == 1:
        return
    number = data.draw(st.integers(0, len(states) - 2))
    old, new = states[number], states[number + 1]
    become(store, new)
    sides = {key: data.draw(st.sampled_from([old, new])) for key in sorted(old.keys() | new.keys())}
    answers = [{key: side[key] for key, side in sides.items() if key in side}]
    with torn(store, answers):
        found = [(step.step_order, step.agent) for step in read(store)]
    default = [(99, "default")]
    whole = [sorted((n, agent) for n in ns) for ns, agent in ((before, "before"), (after, "after"))]
    assert found in [pipeline or default for pipeline in whole]
