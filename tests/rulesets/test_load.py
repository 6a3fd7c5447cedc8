"""Comparing and loading rule sets: only differences are written, and nobody's changes are lost."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from threading import Barrier
from typing import Any
from unittest.mock import patch

import pytest

from bluestar_store import (
    CalculationRule,
    ConflictError,
    PersistenceMode,
    PipelineChangingError,
    PipelineStep,
    Settings,
    Store,
    UnavailableError,
    seeding,
)
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.models.audit import Trail
from bluestar_store.models.batches import STEP_RESULT, StepResult
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import Delete, Update
from bluestar_store.rulesets.comparing import Action, compare, part_of
from bluestar_store.rulesets.loading import LOADS, MOST_TOGETHER, apply_difference
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.testing import FaultEngine


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as opened:
        opened.create_tables()
        yield opened


def rule(plan_id: str, max_pct: int) -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type="match", max_pct=Decimal(max_pct))


def test_loading_twice_writes_nothing_the_second_time(store: Store) -> None:
    rules = seeding.baseline()
    first = seeding.load(store, rules)
    assert len(first.added) == len(rules)
    second = seeding.load(store, rules)
    assert len(second.same) == len(rules)
    assert store.calculation_rules.get("ACME", "match").version == 1


def test_the_baseline_leaves_the_items_of_clients_as_they_are(store: Store) -> None:
    seeding.load(store, seeding.read("fixtures/demo"))
    before = {plan: store.overrides(plan) for plan in store.plans()}
    seeding.load(store, seeding.baseline(), overwrite=True)
    after = {plan: store.overrides(plan) for plan in store.plans()}
    assert before == after
    assert [[e.version for e in entities] for entities in before.values()] == [
        [e.version for e in entities] for entities in after.values()
    ]


def test_what_differs_is_left_alone_and_reported(store: Store) -> None:
    store.calculation_rules.put(rule("GLOBAL", 7))
    report = seeding.load(store, RuleSet((rule("GLOBAL", 6), rule("ACME", 6))))
    (entry,) = report.left_alone
    assert (entry.level, entry.changes[0]) == ("GLOBAL", seeding.Change("max_pct", Decimal(7), Decimal(6)))
    assert len(report.added) == 1
    assert store.calculation_rules.get("OTHER", "match").max_pct == 7


def test_overwriting_writes_what_differs_and_keeps_foreign_attributes(store: Store) -> None:
    table = store.tables.name(store.calculation_rules.mapper)
    item = {"PK": {"S": "CLIENT#GLOBAL"}, "SK": {"S": "CALC#match"}, "note": {"S": "theirs"}, "max_pct": {"N": "7"}}
    store.engine.put_many(table, [item])
    report = seeding.load(store, RuleSet((rule("GLOBAL", 6),)), overwrite=True)
    assert len(report.overwritten) == 1
    stored = store.calculation_rules.get("ACME", "match")
    assert (stored.max_pct, stored.version) == (Decimal(6), 1)
    assert stored.extra == {"note": "theirs"}


def test_a_pipeline_is_compared_and_overwritten_as_a_whole(store: Store) -> None:
    rules = seeding.read("fixtures/demo")
    seeding.load(store, rules)
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    store.pipelines.replace("ACME", "BiWeeklyFri", [*steps[1:], steps[0].model_copy(update={"step_order": 9000})])
    report = seeding.load(store, rules)
    actions = [entry.action for entry in report.left_alone]
    assert actions.count(Action.ADD) == actions.count(Action.REMOVE) == 1
    seeding.load(store, rules, overwrite=True)
    assert store.pipelines.steps("ACME", "BiWeeklyFri") == steps


def test_progress_adds_up_to_the_rule_set(store: Store) -> None:
    done: list[int] = []
    seeding.load(store, seeding.baseline(), progress=done.append)
    assert sum(done) == len(seeding.baseline())


def test_a_rule_written_between_comparison_and_write_is_not_overwritten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = type(store.calculation_rules).put

    def meanwhile(*arguments: object, **options: object) -> object:
        monkeypatch.undo()
        store.calculation_rules.put(rule("GLOBAL", 9))
        return put(*arguments, **options)  # type: ignore[arg-type]  # passes through what it was given

    monkeypatch.setattr(type(store.calculation_rules), "put", meanwhile)
    report = seeding.load(store, RuleSet((rule("GLOBAL", 6),)))
    assert len(report.left_alone) == 1
    assert store.calculation_rules.get("ACME", "match").max_pct == 9


def test_comparing_says_what_differs_and_writes_nothing(store: Store) -> None:
    difference = seeding.compare(store, seeding.baseline())
    assert difference
    assert {entry.action for entry in difference.entries} == {Action.ADD}
    assert store.plans() == ()
    seeding.load(store, seeding.baseline())
    assert not seeding.compare(store, seeding.baseline())


def test_overwriting_mends_a_pipeline_that_lost_a_step(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluestar_store.repositories.pipelines.READ_ATTEMPTS", 2)
    rules = seeding.read("fixtures/demo")
    seeding.load(store, rules)
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    assert steps[3].origin is not None
    store.engine.write(Delete(store.tables.name(store.pipelines.mapper), steps[3].origin.key))
    with pytest.raises(PipelineChangingError):
        store.pipelines.steps("ACME", "BiWeeklyFri", fresh=True)
    report = seeding.load(store, rules)
    assert [entry.action for entry in report.left_alone].count(Action.ADD) == 1
    seeding.load(store, rules, overwrite=True)
    assert store.pipelines.steps("ACME", "BiWeeklyFri") == steps


def test_overwriting_mends_a_pipeline_of_which_just_the_wanted_steps_are_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluestar_store.repositories.pipelines.READ_ATTEMPTS", 2)
    first, second = (PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number) for number in (100, 200))
    _, last = store.pipelines.replace("ACME", "Weekly", (first, second))
    assert last.origin is not None
    store.engine.write(Delete(store.tables.name(store.pipelines.mapper), last.origin.key))
    rules = RuleSet((first,))
    assert [entry.action for entry in seeding.compare(store, rules).entries] == [Action.CHANGE]
    seeding.load(store, rules, overwrite=True)
    assert store.pipelines.steps("ACME", "Weekly") == (first,)


class Wide(FaultEngine):
    """Worth several calls at once, as DynamoDB is."""

    parallel_calls = 4


def test_parts_are_written_several_at_once_and_reported_in_the_order_of_the_rule_set() -> None:
    engine, all_of_them = Wide(MemoryEngine()), Barrier(Wide.parallel_calls)
    with Store(Settings(persistence_mode=PersistenceMode.MEMORY), engine) as store:
        store.create_tables()
        put = store.calculation_rules.put

        def together(entity: CalculationRule, **options: Any) -> CalculationRule:
            all_of_them.wait(10)  # breaks when fewer come: each thread writes two of the eight
            return put(entity, **options)

        with patch.object(type(store.calculation_rules), "put", lambda self, *args, **more: together(*args, **more)):
            rules = RuleSet(tuple(rule(f"P{number}", number) for number in range(8)))
            told: list[int] = []
            report = seeding.load(store, rules, progress=told.append)
        assert [entry.level for entry in report.added] == [f"P{number}" for number in range(8)]
        assert told == [1] * 8
        assert len(store.audit.entries(LOADS)) == 1


def test_after_a_failure_loading_again_goes_on_where_it_stopped() -> None:
    engine = Wide(MemoryEngine())
    rules = RuleSet(tuple(rule(f"P{number}", number) for number in range(20)))
    with Store(Settings(persistence_mode=PersistenceMode.MEMORY), engine) as store:
        store.create_tables()
        put = store.calculation_rules.put

        def failing(entity: CalculationRule, **options: Any) -> CalculationRule:
            if entity.plan_id == "P7":
                raise UnavailableError("out")
            return put(entity, **options)

        with (
            patch.object(type(store.calculation_rules), "put", lambda self, *args, **more: failing(*args, **more)),
            pytest.raises(UnavailableError),
        ):
            seeding.load(store, rules)
        report = seeding.load(store, rules)
        assert {entry.level for entry in report.added} | {entry.level for entry in report.same} == {
            f"P{number}" for number in range(20)
        }
        assert "P7" in {entry.level for entry in report.added}
        assert {entry.level for entry in report.same} >= {f"P{number}" for number in range(4)}


def levels(*texts: str) -> RuleSet:
    rules = [rule(plan_id, number) for plan_id in texts for number in range(60)]
    return RuleSet(tuple(one.model_copy(update={"calc_type": f"c{n}"}) for n, one in enumerate(rules)))


def test_a_load_takes_few_transactions_for_readers_look_at_each() -> None:
    engine = FaultEngine(MemoryEngine())
    with Store(Settings(persistence_mode=PersistenceMode.MEMORY), engine) as store:
        store.create_tables()
        engine.faults.forget()
        seeding.load(store, levels("GLOBAL", "ACME", "OTHER"))
        writes = [call for call in engine.faults.calls if call.name == "write"]
        assert len(writes) == 1 + 180 // MOST_TOGETHER  # the entry, and the rules
        assert len(store.audit.entries(LOADS)) == 1
        assert [len(store.calculation_rules.all(plan)) for plan in ("ACME", "OTHER", "NEW")] == [120, 120, 60]
        assert store.audit.entries(Trail(table="calculation-rules", partition="CLIENT#GLOBAL")) == ()


def test_of_those_that_are_written_together_one_that_others_changed_stops_no_other() -> None:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as store:
        store.create_tables()
        seeding.load(store, levels("GLOBAL"))
        wanted = levels("GLOBAL")
        wanted = RuleSet(tuple(one.model_copy(update={"formula": "new"}) for one in wanted.of(CALCULATION_RULE)))
        difference = compare(store, wanted)
        theirs = store.calculation_rules.get("GLOBAL", "c7")
        store.calculation_rules.put(theirs.model_copy(update={"formula": "theirs"}))
        foreign = Key("CLIENT#GLOBAL", "CALC#c8")
        table = store.tables.name(CALCULATION_RULE)
        store.engine.write(Update(table, foreign, {"vestingTiers": {"S": "kept"}}))
        report = apply_difference(store, difference)
        assert report.overwritten == ()
        with pytest.raises(ConflictError, match="CALC#c7"):
            apply_difference(store, difference, overwrite=True, attempts=1)
        report = apply_difference(store, compare(store, wanted), overwrite=True)
        assert {rule.formula for rule in store.calculation_rules.all("ACME", fresh=True).values()} == {"new"}
        assert store.calculation_rules.get("GLOBAL", "c8", fresh=True).extra["vestingTiers"] == "kept"


def test_a_load_within_a_unit_of_work_is_a_part_of_it() -> None:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY)) as store:
        store.create_tables()
        unit = store.unit_of_work()
        with pytest.raises(ZeroDivisionError), unit:
            load_and_divide(store)
        assert store.calculation_rules.all("ACME") == {}
        with store.unit_of_work():
            seeding.load(store, RuleSet(levels("GLOBAL").entities[:10]))
        assert len(store.calculation_rules.all("ACME", fresh=True)) == 10


def load_and_divide(store: Store) -> float:
    return len(seeding.load(store, RuleSet(levels("GLOBAL").entities[:10])).added) / 0


def test_values_are_compared_by_the_types_that_dynamodb_has() -> None:
    """To Python True is 1, and so are maps and lists of them."""
    stored = StepResult(batch_id="b", step=1, result={"full": True, "n": Decimal("1.0")})
    wanted = StepResult(batch_id="b", step=1, result={"full": 1, "n": 1})
    assert stored.result == wanted.result
    (entry,) = part_of(STEP_RESULT, wanted, stored).entries
    assert [change.attribute for change in entry.changes] == ["result"]
    same = StepResult(batch_id="b", step=1, result={"full": True, "n": 1})
    assert part_of(STEP_RESULT, same, stored).is_same
