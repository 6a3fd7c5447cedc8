"""Pipelines that lost steps, are a mixture or are being replaced: found, named, and mended by what the advice says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bluestar_store import PipelineChangingError, PipelineStep, Store
from bluestar_store.doctor import examine
from bluestar_store.doctor.pipelines import fault
from bluestar_store.keys import Key
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import Delete, Item
from tests.doctor.conftest import Damage, told
from tests.doctor.items import ACME, indexed, stamped
from tests.store_suite.side_door import wire


@pytest.mark.parametrize(
    ("plan", "freq", "seed", "without"),
    [
        ("DEFAULT", "Weekly", "bluestar-store seed --overwrite, or with --from FOLDER,", "have none"),
        ("A B", "Weekly", "bluestar-store seed --overwrite --from FOLDER,", "the plan then has DEFAULT's"),
    ],
)
def test_the_advice_about_a_pipeline_names_it_and_fits_its_level(
    plan: str, freq: str, seed: str, without: str, store: Store, damage: Damage
) -> None:
    step = store.pipelines.steps("DEFAULT", freq)[0]
    key = Key(f"CLIENT#{plan}_{freq}", step.origin.key.sk) if step.origin else None
    assert key is not None
    damage(PIPELINE_STEP, indexed("pipeline-step", f"{plan}|{freq}", *key, bs_revision="x", bs_steps={"N": "40"}))
    (finding,) = examine(store)
    named = f"'{plan}'" if " " in plan else plan
    for text in (seed, f"pipeline replace {named} {freq} FILE", f"pipeline remove {named} {freq},", without):
        assert text in finding.mend


@pytest.mark.parametrize(
    "steps",
    [
        [stamped(1, "a"), stamped(2, "b"), stamped(3, "b")],
        [stamped(1, "a"), stamped(2, "a")],
        [stamped(1, "a"), stamped(2, None)],
    ],
    ids=["two revisions", "a step lost", "a step lost among others'"],
)
@pytest.mark.usefixtures("impatient")
def test_a_pipeline_that_is_not_whole(steps: list[Item], store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *steps)
    assert told(store) == [("error", "pipeline", "CLIENT#P_Weekly", None)]
    with pytest.raises(PipelineChangingError):
        store.pipelines.steps("P", "Weekly")


@pytest.mark.parametrize(
    "steps",
    [
        [stamped(n, "a") for n in range(3)],
        [stamped(n, None) for n in range(3)],
        [stamped(1, "a"), stamped(2, None), stamped(3, "a")],
        [stamped(1, "a"), stamped(2, "a"), stamped(3, "a"), stamped(4, None)],
        [stamped(n, "a") for n in range(4)],
    ],
    ids=["ours", "others'", "one overwritten by others", "one added by others", "one copied by others"],
)
def test_a_pipeline_that_readers_take_is_healthy(steps: list[Item], store: Store, damage: Damage) -> None:
    damage(PIPELINE_STEP, *steps)
    assert store.pipelines.steps("P", "Weekly")
    assert examine(store) == ()


def fresh(steps: Iterable[PipelineStep]) -> list[PipelineStep]:
    return [PipelineStep.model_validate(dict(step)) for step in steps]


@pytest.mark.parametrize("left", [11, 0], ids=["one step", "all steps"])
@pytest.mark.usefixtures("impatient")
def test_a_pipeline_of_ours_that_another_program_took_steps_from(left: int, store: Store) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    table = store.tables.name(PIPELINE_STEP)
    store.engine.write(*(Delete(table, step.origin.key) for step in steps[left:] if step.origin is not None))
    found = examine(store)
    assert [(one.check, one.table, one.pk, one.sk) for one in found] == [("pipeline", table, ACME, None)]
    assert found[0].what == f"has lost {12 - left} of its 12 steps"
    for command in ("pipeline replace", "pipeline remove", "seed --overwrite"):
        assert f"bluestar-store {command}" in found[0].mend
    with pytest.raises(PipelineChangingError):
        store.pipelines.steps("ACME", "BiWeeklyFri", fresh=True)
    store.pipelines.replace("ACME", "BiWeeklyFri", fresh(steps))  # what it says mends it does
    assert examine(store) == ()


def test_a_pipeline_of_ours_that_another_program_wrote_again_in_part(store: Store, damage: Damage) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    bare = [
        indexed("pipeline-step", "ACME|BiWeeklyFri", *step.origin.key) for step in steps[:11] if step.origin is not None
    ]
    damage(PIPELINE_STEP, *bare)
    assert steps[11].origin is not None
    store.engine.write(Delete(store.tables.name(PIPELINE_STEP), steps[11].origin.key))
    assert told(store) == [("error", "pipeline", ACME, None)]


def test_a_pipeline_that_was_removed_is_no_damage(store: Store) -> None:
    store.pipelines.remove("ACME", "BiWeeklyFri")
    assert examine(store) == ()


def test_a_pipeline_whose_steps_lie_on_two_pages_is_told_about_once(
    store: Store, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(PIPELINE_STEP, *(stamped(n, "a", 6) for n in range(5)))
    monkeypatch.setattr("bluestar_store.engines.memory.tables.PAGE_ITEMS", 2)
    assert told(store) == [("error", "pipeline", "CLIENT#P_Weekly", None)]


def test_a_pipeline_that_is_being_replaced_is_no_damage(
    store: Store, damage: Damage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scan and the first query see it half done; by the time that its head is read again, it is through."""
    old, new = [stamped(n, "a") for n in range(3)], [stamped(n, "b") for n in range(3)]
    damage(PIPELINE_STEP, new[0], *old[1:])
    head = Key("TRAIL#processing-pipeline#CLIENT#P_Weekly", "CHAIN")
    isolated, looks = store.engine.get_isolated, list[Key]()

    def finish(table: str, keys: Iterable[Key]) -> Any:
        asked = list(keys)
        looks.extend(key for key in asked if key == head)
        if len(looks) == 2:
            damage(CHAIN_HEAD, wire(*head, bs_steps={"N": "3"}))
            damage(PIPELINE_STEP, *new)
        return isolated(table, asked)

    monkeypatch.setattr(store.engine, "get_isolated", finish)
    assert examine(store) == ()
    assert looks == [head] * 3


def test_a_pipeline_whose_count_is_no_number_counts_as_without() -> None:
    assert fault([wire("CLIENT#P_Weekly", "STEP#0001", bs_revision="a", bs_steps="three")], 5) is None
