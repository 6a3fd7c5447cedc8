"""Pruning and saved plans: exactly what was reviewed is written, within the levels that the rule set names."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    CalculationRule,
    PersistenceMode,
    PlanOutdatedError,
    SeedError,
    Settings,
    Store,
    VersionConflictError,
    seeding,
)
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import EXISTS, Update
from bluestar_store.repositories.base import Repository
from bluestar_store.seeding.load import LOADS, to_write
from bluestar_store.seeding.rule_set import RuleSet
from bluestar_store.seeding.saved_plan import apply_plan, save_plan


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as opened:
        opened.create_tables()
        seeding.load(opened, seeding.baseline())
        seeding.load(opened, seeding.read("fixtures/demo"))
        yield opened


def rule(plan_id: str, calc_type: str = "match", max_pct: str = "6") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(max_pct))


def changed(store: Store, path: Path) -> RuleSet:
    """A plan that adds, changes and removes; and a rule set that brings it about."""
    demo = seeding.read("fixtures/demo").entities
    kept = [e for e in demo if getattr(e, "calc_type", "") != "er_contrib" and getattr(e, "plan_id", "") == "ACME"]
    wanted = [rule("ACME", max_pct="5") if getattr(e, "calc_type", "") == "match" else e for e in kept]
    rules = RuleSet((*wanted, rule("ACME", "extra")))
    save_plan(to_write(seeding.compare(store, rules, prune=True), overwrite=True), path)
    return rules


def test_pruning_with_the_baseline_leaves_clients_alone(store: Store) -> None:
    before = [(e, e.version) for plan in store.plans() for e in store.overrides(plan)]
    store.calculation_rules.put(rule("GLOBAL", "obsolete"))
    report = seeding.load(store, seeding.baseline(), overwrite=True, prune=True)
    assert [entry.key for entry in report.removed] == ["CLIENT#GLOBAL CALC#obsolete"]
    assert [(e, e.version) for plan in store.plans() for e in store.overrides(plan)] == before


def test_pruning_removes_a_whole_pipeline_that_a_named_level_has_besides(store: Store) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    other = [step.model_copy(update={"pay_freq": "Weekly"}) for step in steps]
    store.pipelines.replace("ACME", "Weekly", other)
    report = seeding.load(store, seeding.read("fixtures/demo"), prune=True)
    assert len(report.removed) == len(steps)
    assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()
    assert store.pipelines.steps("ACME", "BiWeeklyFri") == steps


def test_a_plan_is_applied_exactly(store: Store, tmp_path: Path) -> None:
    rules = changed(store, tmp_path / "plan.json")
    report = apply_plan(store, tmp_path / "plan.json")
    assert {name: len(getattr(report, name)) for name in ("added", "overwritten", "removed")} == {
        "added": 1,
        "overwritten": 1,
        "removed": 1,
    }
    assert not seeding.compare(store, rules, prune=True)


def test_a_plan_is_applied_by_whoever_it_is_said_to_be(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    report = apply_plan(store, tmp_path / "plan.json", actor="pat")
    assert len(report.added) == len(report.overwritten) == 1
    assert [found.written_by for found in store.at_level("ACME")].count("pat") == 2
    assert store.audit.entries(LOADS)[-1].actor == "pat"


@pytest.mark.parametrize("calc_type", ["match", "er_contrib", "extra"])
def test_a_plan_is_refused_when_one_of_its_items_moved(store: Store, tmp_path: Path, calc_type: str) -> None:
    changed(store, tmp_path / "plan.json")
    store.calculation_rules.put(rule("ACME", calc_type, "1"))
    before = store.at_level("ACME")
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == (f"CLIENT#ACME CALC#{calc_type}",)
    assert store.at_level("ACME") == before


def test_a_plan_applied_twice_is_refused_the_second_time(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    apply_plan(store, tmp_path / "plan.json")
    with pytest.raises(PlanOutdatedError):
        apply_plan(store, tmp_path / "plan.json")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 2, "parts": []}', '{"format": 1, "parts": [{"kind": "x"}]}'])
def test_a_file_that_is_no_plan_is_refused(store: Store, tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(SeedError):
        apply_plan(store, tmp_path / "plan.json")


def test_a_refusal_names_who_moved_the_item(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    with_actor = Store(Settings(persistence_mode=PersistenceMode.MEMORY, actor="pat"), store.engine)
    with_actor.calculation_rules.put(rule("ACME", "match", "1"))
    assert store.calculation_rules.get("ACME", "match").written_by == "pat"
    with pytest.raises(PlanOutdatedError, match=r"CALC#match \(by pat\)"):
        apply_plan(store, tmp_path / "plan.json")
    store.calculation_rules.put(rule("ACME", "match", "2"))
    with pytest.raises(PlanOutdatedError, match=r"CALC#match$"):
        apply_plan(store, tmp_path / "plan.json")
    assert store.calculation_rules.get("ACME", "match").written_by is None


def test_who_wrote_an_item_last_is_not_blamed_for_what_another_program_did_to_it(store: Store, tmp_path: Path) -> None:
    with_actor = Store(Settings(persistence_mode=PersistenceMode.MEMORY, actor="pat"), store.engine)
    with_actor.calculation_rules.put(rule("ACME", "match", "1"))
    changed(store, tmp_path / "plan.json")
    table = store.tables.name(CALCULATION_RULE)
    key = Key("CLIENT#ACME", "CALC#match")
    store.engine.write(Update(table, key, {"max_pct": {"N": "9"}}, expect=EXISTS))
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == ("CLIENT#ACME CALC#match (by a program that keeps no versions)",)


def test_a_refusal_says_what_was_deleted(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    store.calculation_rules.delete(store.calculation_rules.get("ACME", "match"))
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == ("CLIENT#ACME CALC#match (deleted)",)


@pytest.mark.parametrize("what", ["made again", "changed"])
def test_an_item_that_is_made_again_while_the_plan_is_applied_is_not_written_over(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    changed(store, tmp_path / "plan.json")
    before = store.calculation_rules.get("ACME", "match", fresh=True)
    table, key = store.tables.name(CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")

    def interfere() -> None:
        if what == "changed":
            store.engine.write(Update(table, key, {"max_pct": {"N": "9"}}, expect=EXISTS))
        else:
            store.engine.put_many(
                table,
                [
                    {
                        "PK": {"S": key.pk},
                        "SK": {"S": key.sk},
                        "version": {"N": str(before.version)},
                        "max_pct": {"N": "9"},
                    }
                ],
            )

    put, waiting = Repository.put, [interfere]

    def interfered(self: Repository[CalculationRule], entity: CalculationRule, *args: Any, **options: Any) -> Any:
        if entity.calc_type == "match" and waiting:
            waiting.pop()()
        return put(self, entity, *args, **options)

    monkeypatch.setattr(Repository, "put", interfered)
    with pytest.raises(VersionConflictError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.attribute in ("max_pct", "formula")
    assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 9
