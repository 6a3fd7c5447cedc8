"""What is written in bulk moves the revisions of all levels that it writes: who reads beside it sees no mixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bluestar_store import GLOBAL, CalculationRule, IrsLimits, PipelineStep, Settings, Store, ValidationRule
from bluestar_store.rulesets.saved_plan import apply_plan, save_plan
from bluestar_store.seeding import RuleSet, compare, load
from bluestar_store.transfer import export, import_
from tests.adversarial_engine import AdversarialEngine

PLAN, FREQ, YEAR = "ACME", "Weekly", 2026


def rule_set(text: str) -> RuleSet:
    """Rules at both levels, all with the same text."""
    levels = (GLOBAL, PLAN)
    return RuleSet(
        (
            *(PipelineStep(plan_id=PLAN, pay_freq=FREQ, step_order=n, agent="A") for n in (1, 2)),
            *(ValidationRule(category="SSN", plan_id=one, number=n, message=text) for one in levels for n in (1, 2, 3)),
            *(CalculationRule(plan_id=one, calc_type=kind, formula=text) for one in levels for kind in ("a", "b")),
            IrsLimits(year=YEAR, source=text),
        )
    )


@pytest.fixture
def store() -> Iterator[Store]:
    """Queries never show what its transactions wrote; indexes follow at once."""
    engine = AdversarialEngine(spread=math.inf, index_spread=0, eventual_spread=0)
    with Store(Settings(persistence_mode="memory"), engine) as store:
        store.create_tables()
        load(store, rule_set("0"))
        yield store


def seed(store: Store, text: str, folder: Path) -> None:
    load(store, rule_set(text), overwrite=True)


def apply(store: Store, text: str, folder: Path) -> None:
    save_plan(store, compare(store, rule_set(text)), folder / "plan.json")
    apply_plan(store, folder / "plan.json")


def merge(store: Store, text: str, folder: Path) -> None:
    with Store.open(Settings(persistence_mode="memory")) as source:
        source.create_tables()
        load(source, rule_set(text))
        export(source, folder / text)
    import_(store, folder / text, merge=True, overwrite=True)


@pytest.mark.parametrize("write", [seed, apply, merge])
def test_what_is_written_in_bulk_is_seen_whole(
    store: Store, tmp_path: Path, write: Callable[[Store, str, Path], None]
) -> None:
    for text in ("1", "2"):
        write(store, text, tmp_path)
        found = store.plan_snapshot(PLAN, FREQ, YEAR)
        assert {rule.formula for rule in found.calculation_rules.values()} == {text}
        assert {rule.message for rule in found.validation_rules["SSN"]} == {text}
        assert found.limits.source == text
        assert len(found.calculation_rules) + len(found.validation_rules["SSN"]) == 5


def test_a_whole_that_is_merged_is_seen_whole_and_again_is_the_same(store: Store, tmp_path: Path) -> None:
    with Store.open(Settings(persistence_mode="memory")) as source:
        source.create_tables()
        load(source, rule_set("0"))
        batch = source.batches.start(PLAN, FREQ, YEAR, "b")
        source.results.save(batch, 1, {"rows": 1}, claim=source.claims.claim(batch, 1, "w", 60))
        with source.unit_of_work() as uow:
            uow.results.save(batch, 2, {"rows": 2})
            uow.holds.place(PLAN, reason="?", hold_id="h")
            uow.audit.append("b", action="looked at")
        source.pipelines.replace("OTHER", FREQ, [PipelineStep(plan_id="OTHER", pay_freq=FREQ, step_order=1)])
        history, whole = source.batches.history("b"), export(source, tmp_path)
    for count in (0, whole.items - 1):  # the salt of the trails' file stays in the export
        report = import_(store, tmp_path, merge=True)
        assert store.batches.history("b") == history
        assert (store.claims.for_batch("b"), store.results.for_batch("b")) == (history.claims, history.results)
        assert store.pipelines.steps("OTHER", FREQ)[0].plan_id == "OTHER"
        assert len(store.holds.open(PLAN)) == 1
        assert report.same >= count - report.left_alone
    engine = store.engine
    assert isinstance(engine, AdversarialEngine)
    engine.settle()
    assert not [name for name in items(tmp_path) if "bs_move" in name]
    again = export(store, tmp_path / "again")
    assert again.tables["batch-state"] == whole.tables["batch-state"]


def items(folder: Path) -> list[str]:
    return [line for path in folder.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
