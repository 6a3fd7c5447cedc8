"""Merging an export into tables in use: what is one whole stays one, and what was done is not undone."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import BatchStatus, CalculationRule, IrsLimits, PipelineStep, Settings, Store, TableLayout
from bluestar_store.errors import ClaimLostError
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, Trail
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import Delete
from bluestar_store.testing import FrozenClock
from bluestar_store.transfer import export
from bluestar_store.transfer.importing import IMPORTS, import_

RULES = Trail(table="calculation-rules", partition="CLIENT#ACME")


@pytest.fixture(params=list(TableLayout), ids=str)
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    """One that is exported, and one that it is merged into."""
    settings = Settings(persistence_mode="memory", table_layout=request.param)
    clock = FrozenClock()
    with Store.open(settings, clock=clock) as source, Store.open(settings, clock=clock) as target:
        for store in (source, target):
            store.create_tables()
        yield source, target


@pytest.fixture(params=[False, True], ids=["merge", "overwrite"])
def overwrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def rule(max_pct: int) -> CalculationRule:
    return CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(max_pct))


def append(store: Store, *actions: str) -> None:
    for action in actions:
        store.audit.append("b1", action=action)


def actions(store: Store) -> list[str | None]:
    return [entry.action for entry in store.audit.entries("b1")]


def steps(*numbers: int) -> list[PipelineStep]:
    return [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number, agent="A") for number in numbers]


def test_nothing_that_has_rules_of_its_own_is_overwritten() -> None:
    assert {mapper.name for mapper in KINDS if mapper.is_work} == {
        *("batch-state", "batch-rules", "step-claim", "step-result", "plan-hold", "hold-guard"),
        *("audit-entry", "chain-head", "plan-key"),
    }


def test_a_trail_that_is_longer_in_the_export_is_left_as_it_is(
    stores: tuple[Store, Store], tmp_path: Path, overwrite: bool
) -> None:
    source, target = stores
    append(source, "one", "two")
    export(source, tmp_path / "short")
    append(source, "three", "four")
    export(source, tmp_path / "long")
    import_(target, tmp_path / "short")
    report = import_(target, tmp_path / "long", merge=True, overwrite=overwrite)
    assert (report.written, report.overwritten, report.same, report.left_alone) == (0, 0, 2, 3)
    append(target, "ours")
    assert actions(target) == ["one", "two", "ours"]
    assert target.audit.verify("b1") == ()


def test_a_trail_that_went_on_in_the_target_is_not_cut_off(
    stores: tuple[Store, Store], tmp_path: Path, overwrite: bool
) -> None:
    source, target = stores
    append(source, "one", "two")
    export(source, tmp_path)
    import_(target, tmp_path)
    append(target, "three")
    report = import_(target, tmp_path, merge=True, overwrite=overwrite)
    assert (report.written, report.overwritten, report.same, report.left_alone) == (0, 0, 2, 1)
    append(target, "four")
    assert actions(target) == ["one", "two", "three", "four"]
    assert target.audit.verify("b1") == ()


def test_two_trails_of_one_batch_are_not_mixed(stores: tuple[Store, Store], tmp_path: Path, overwrite: bool) -> None:
    source, target = stores
    append(source, "a", "b", "c")
    append(target, "x", "y")
    export(source, tmp_path)
    assert import_(target, tmp_path, merge=True, overwrite=overwrite).left_alone == 4
    assert actions(target) == ["x", "y"]
    assert target.audit.verify("b1") == ()


def test_a_trail_that_the_target_has_not_is_taken_also_when_that_was_interrupted(
    stores: tuple[Store, Store], tmp_path: Path, overwrite: bool
) -> None:
    source, target = stores
    append(source, "a", "b", "c")
    target.calculation_rules.put(rule(6))
    export(source, tmp_path)
    import_(target, tmp_path, merge=True, overwrite=overwrite)
    assert actions(target) == ["a", "b", "c"]
    target.engine.write(Delete(target.tables.name(AUDIT_ENTRY), Key("BATCH#b1", "AUDIT#00000002")))
    assert import_(target, tmp_path, merge=True, overwrite=overwrite).written == 1
    assert target.audit.verify("b1") == ()


def test_what_was_done_in_the_target_is_not_undone(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    source.irs_limits.put(IrsLimits(year=2026))
    source.pipelines.replace("ACME", "Weekly", steps(1, 2))
    batch = source.batches.start("ACME", "Weekly", 2026, "b1")
    batch = source.batches.advance(batch, status=BatchStatus.RUNNING, step=1)
    old = source.claims.claim(batch, 1, "w1", 60)
    source.holds.place("ACME", "Missing data", hold_id="h1")
    export(source, tmp_path)
    import_(target, tmp_path)
    target.holds.release("ACME", "h1")
    assert isinstance(target.clock, FrozenClock)
    target.clock.advance(62)
    new = target.claims.claim(batch, 1, "w2", 60)
    target.results.save(batch, 1, {"rows": 3}, claim=new)
    done = target.batches.advance(target.batches.get("b1"), status=BatchStatus.COMPLETED, claim=new)
    before = target.batches.history("b1")
    report = import_(target, tmp_path, merge=True, overwrite=True)
    assert (report.written, report.overwritten) == (0, 0)
    assert target.batches.history("b1") == before
    assert target.batches.get("b1") == done
    assert target.holds.open("ACME") == ()
    with pytest.raises(ClaimLostError):
        target.claims.heartbeat(old, 60)


def test_another_batch_of_the_same_id_keeps_its_rules(
    stores: tuple[Store, Store], tmp_path: Path, overwrite: bool
) -> None:
    source, target = stores
    for store in stores:
        store.irs_limits.put(IrsLimits(year=2026))
        store.pipelines.replace("ACME", "Weekly", steps(1, 2))
    source.batches.start("ACME", "Weekly", 2026, "b1")
    export(source, tmp_path)
    assert isinstance(target.clock, FrozenClock)
    target.clock.advance(62)
    target.batches.start("ACME", "Weekly", 2026, "b1")
    before = target.batches.history("b1")
    import_(target, tmp_path, merge=True, overwrite=overwrite)
    assert before.rules is not None
    assert target.batches.history("b1") == before


def test_a_merge_that_writes_leaves_one_entry_that_names_the_export_and_who_did_it(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, target = stores
    source.calculation_rules.put(rule(6))
    target.calculation_rules.put(rule(8))
    manifest = export(source, tmp_path)
    assert import_(target, tmp_path, merge=True, actor="bob").written == 0
    assert target.audit.entries(IMPORTS) == ()
    assert import_(target, tmp_path, merge=True, overwrite=True, actor="bob").overwritten == 1
    assert import_(target, tmp_path, merge=True, overwrite=True, actor="eve").overwritten == 0
    (entry,) = target.audit.entries(IMPORTS)
    wanted: dict[str, Any] = {"export": manifest.digest, "items": manifest.items, "overwrite": True}
    assert (entry.action, entry.actor, entry.details) == ("import", "bob", wanted)
    assert target.calculation_rules.get("ACME", "match").max_pct == 6
    assert target.audit.verify(RULES) == target.audit.verify(IMPORTS) == ()


def test_an_import_into_empty_tables_is_a_copy_and_leaves_no_entry_of_its_own(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, target = stores
    source.calculation_rules.put(rule(6))
    manifest = export(source, tmp_path / "one")
    import_(target, tmp_path / "one")
    assert export(target, tmp_path / "other") == manifest


def test_two_pipelines_are_not_mixed(stores: tuple[Store, Store], tmp_path: Path, overwrite: bool) -> None:
    source, target = stores
    source.pipelines.replace("ACME", "Weekly", steps(1, 3, 5))
    target.pipelines.replace("ACME", "Weekly", steps(1, 2))
    export(source, tmp_path)
    import_(target, tmp_path, merge=True, overwrite=overwrite)
    assert [step.step_order for step in target.pipelines.steps("ACME", "Weekly", fresh=True)] == [1, 2]


def test_a_pipeline_that_the_target_has_not_is_taken_also_when_that_was_interrupted(
    stores: tuple[Store, Store], tmp_path: Path, overwrite: bool
) -> None:
    source, target = stores
    source.pipelines.replace("ACME", "Weekly", steps(1, 3, 5))
    target.calculation_rules.put(rule(6))
    export(source, tmp_path)
    import_(target, tmp_path, merge=True, overwrite=overwrite)
    (first, *_) = taken = target.pipelines.steps("ACME", "Weekly", fresh=True)
    assert [step.step_order for step in taken] == [1, 3, 5]
    target.engine.write(Delete(target.tables.name(PIPELINE_STEP), PIPELINE_STEP.key(first)))
    assert import_(target, tmp_path, merge=True, overwrite=overwrite).written == 1
    assert target.pipelines.steps("ACME", "Weekly", fresh=True) == taken
