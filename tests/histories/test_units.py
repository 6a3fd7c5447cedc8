"""What is written together is seen together by every read of the library that spans items.

On an engine that makes each transaction visible item by item, as AWS does, in an order and over a time drawn from the
seed: 15 units of work on each, with --soak 150.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from bluestar_store import (
    GLOBAL,
    BatchState,
    BatchStatus,
    CalculationRule,
    ClientConfig,
    IrsLimits,
    PipelineStep,
    RuleNotFoundError,
    Settings,
    Store,
    ValidationRule,
    VendorSchema,
)
from tests.adversarial_engine import AdversarialEngine
from tests.histories.targets import adversarial

PLAN, FREQ, YEAR = "ACME", "Weekly", 2026
UNITS = 15
READS = 6
"""After each unit: about as many as it takes until all of it is visible."""


def write_unit(store: Store, token: str, number: int) -> None:
    """Everything that a plan is run under, at both levels, in one unit of work, each with the same token."""
    steps = [
        PipelineStep(plan_id=PLAN, pay_freq=FREQ, step_order=100 * step, agent=token)
        for step in range(1, 3 + number % 3)
    ]
    with store.unit_of_work() as uow:
        for plan, calc_type in ((PLAN, "match"), (PLAN, "vesting"), (GLOBAL, "match"), (GLOBAL, "limits")):
            uow.calculation_rules.put(CalculationRule(plan_id=plan, calc_type=calc_type, description=token))
        for plan, rule in ((PLAN, 1), (GLOBAL, 1), (GLOBAL, 2)):
            uow.validation_rules.put(ValidationRule(category="SSN", plan_id=plan, number=rule, message=token))
        uow.client_configs.put(ClientConfig(plan_id=PLAN, pay_freq=FREQ, custodian=token))
        uow.irs_limits.put(IrsLimits(year=YEAR, source=token))
        for fingerprint, owner in (("a", PLAN), ("b", PLAN), ("c", None), ("d", None)):  # their keys name no plan
            schema = VendorSchema(vendor_id="V", fingerprint=fingerprint, plan_id=owner, columns=(token,))
            uow.vendor_schemas.put(schema)
        uow.pipelines.replace(PLAN, FREQ, steps)


def of_rules(store: Store) -> Iterable[object]:
    return [rule.description for rule in store.calculation_rules.all(PLAN, fresh=True).values()]


def of_a_category(store: Store) -> Iterable[object]:
    return [rule.message for rule in store.validation_rules.for_category("SSN", PLAN, fresh=True)]


def of_a_pipeline(store: Store) -> Iterable[object]:
    return [step.agent for step in store.pipelines.steps(PLAN, FREQ, fresh=True)]


def of_a_vendor(store: Store) -> Iterable[object]:
    return [column for schema in store.vendor_schemas.for_vendor("V", fresh=True) for column in schema.columns]


def of_a_snapshot(store: Store) -> Iterable[object]:
    found = store.plan_snapshot(PLAN, FREQ, YEAR)
    assert found.client_config is not None
    return [
        *(step.agent for step in found.steps),
        *(rule.description for rule in found.calculation_rules.values()),
        *(rule.message for rules in found.validation_rules.values() for rule in rules),
        found.client_config.custodian,
        found.limits.source,
    ]


READERS: Mapping[str, Callable[[Store], Iterable[object]]] = {
    "all": of_rules,
    "for_category": of_a_category,
    "steps": of_a_pipeline,
    "for_vendor": of_a_vendor,
    "plan_snapshot": of_a_snapshot,
}


@pytest.fixture
def store(seed: int) -> Iterator[Store]:
    with adversarial({}, seed=seed, index_spread=0) as store:
        yield store


def settled(store: Store) -> None:
    """Everything that was written is visible: what was written before is no matter of the test."""
    assert isinstance(store.engine, AdversarialEngine)
    store.engine.settle()


def truth(store: Store) -> Store:
    """What is committed, as of one moment, whatever reads see of it."""
    assert isinstance(store.engine, AdversarialEngine)
    return Store(Settings(persistence_mode="memory"), store.engine.copy())


def mixtures(store: Store, read: Callable[[Store], Iterable[object]], rounds: int) -> tuple[list[list[str]], int]:
    """What the reads gave that is of more than one unit, and how many reads there were."""
    write_unit(store, "unit 0", 0)
    settled(store)
    wrong, reads = [], 0
    for number in range(1, rounds + 1):
        write_unit(store, f"unit {number}", number)
        for _ in range(READS):
            found = sorted(map(str, set(read(store))))
            reads += 1
            if len(found) != 1:
                wrong.append(found)
    return wrong, reads


@pytest.mark.parametrize("name", list(READERS))
def test_no_read_gives_parts_of_two_units(store: Store, name: str, times: int) -> None:
    wrong, reads = mixtures(store, READERS[name], UNITS * times)
    assert wrong == [], f"{len(wrong)} of {reads} are mixtures"


def test_a_batch_is_pinned_to_rules_that_existed_together(store: Store, times: int) -> None:
    write_unit(store, "unit 0", 0)
    settled(store)
    whole, pinned = {truth(store).plan_snapshot(PLAN, FREQ, YEAR).digest}, []
    for number in range(1, UNITS * times + 1):
        write_unit(store, f"unit {number}", number)
        whole.add(truth(store).plan_snapshot(PLAN, FREQ, YEAR).digest)
        pinned += [store.batches.start(PLAN, FREQ, YEAR).rules_digest for _ in range(READS // 2)]
    wrong = [digest for digest in pinned if digest not in whole]
    assert wrong == [], f"{len(wrong)} of {len(pinned)} are pinned to mixtures"


def test_a_rule_that_moves_between_a_plan_and_global_is_always_found(store: Store, times: int) -> None:
    lost, reads = 0, 0
    for number in range(UNITS * times):
        to, from_ = (PLAN, GLOBAL) if number % 2 else (GLOBAL, PLAN)
        with store.unit_of_work() as uow:
            uow.calculation_rules.put(CalculationRule(plan_id=to, calc_type="match", description=str(number)))
            uow.calculation_rules.delete(CalculationRule(plan_id=from_, calc_type="match"))
        if number == 0:
            settled(store)
        for _ in range(READS):
            reads += 1
            try:
                store.calculation_rules.get(PLAN, "match", fresh=True)
            except RuleNotFoundError:
                lost += 1
    assert lost == 0, f"{lost} of {reads} reads found no rule"


def test_a_batchs_history_shows_each_unit_whole(store: Store, times: int) -> None:
    """A step's result, the batch's advance and the entry of it."""
    batch = store.batches.put(BatchState(batch_id="b", plan_id=PLAN, status=BatchStatus.RECEIVED))
    batch = store.batches.advance(batch, status=BatchStatus.RUNNING, step=0)
    settled(store)
    wrong, reads = [], 0
    for number in range(1, UNITS * times + 1):
        with store.unit_of_work() as uow:
            claim = uow.claims.claim(batch, number, "worker", 600)
            uow.results.save(batch, number, {"step": number}, claim)
            batch = uow.batches.advance(batch, step=number)
            uow.audit.append("b", action=str(number))
        for _ in range(READS):
            found = store.batches.history("b")
            reads += 1
            counts = found.state.current_step, len(found.results), len(found.claims), len(found.audit)
            if len(set(counts)) != 1:
                wrong.append(counts)
    assert wrong == [], f"{len(wrong)} of {reads} are mixtures"


def test_a_trail_that_nobody_touched_but_by_appending_verifies(store: Store, times: int) -> None:
    wrong: list[object] = []
    for number in range(UNITS * times):
        with store.unit_of_work() as uow:
            for _ in range(1 + number % 3):
                uow.audit.append("b", action=str(number))
        for _ in range(READS):
            wrong += store.audit.verify("b")
    assert wrong == []


@pytest.mark.parametrize("level", [PLAN, GLOBAL])
def test_a_plans_overrides_show_each_unit_whole(store: Store, times: int, level: str) -> None:
    """By index, then by key: what a level has of its own, with its vendor schemas."""
    names = "description", "message", "agent", "custodian", "source", "columns"

    def of_a_level(store: Store) -> Iterable[object]:
        for one in store.at_level(level):
            (text,) = (text for name in names if (text := getattr(one, name, None)))
            yield text[0] if isinstance(text, tuple) else text

    wrong, reads = mixtures(store, of_a_level, UNITS * times)
    assert wrong == [], f"{len(wrong)} of {reads} are mixtures"


def test_the_open_holds_of_a_plan_are_those_of_one_moment(store: Store, times: int) -> None:
    """One is released as the next is placed, in one unit: there is always exactly one."""
    hold = store.holds.place(PLAN, "first")
    settled(store)
    found: list[int] = []
    for number in range(UNITS * times):
        with store.unit_of_work() as uow:
            uow.holds.release(PLAN, hold.hold_id)
            hold = uow.holds.place(PLAN, f"number {number}")
        found += [len(store.holds.open(PLAN)) for _ in range(READS)]
    assert set(found) == {1}, f"{sum(count != 1 for count in found)} of {len(found)}"
