"""The same operations get the same answers, and the same errors, wherever items live and in either layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from bluestar_store import (
    ABSENT,
    ANY,
    BatchState,
    BlueStarError,
    CalculationRule,
    ClientConfig,
    Entity,
    IrsLimits,
    ItemDecodeError,
    PipelineStep,
    PlanHold,
    PlanSnapshot,
    Store,
    TableLayout,
    ValidationRule,
    VendorSchema,
    VersionConflictError,
)
from bluestar_store.checks.fields import NAMES as CHECKS
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import Delete, Item, Put, key_of
from tests.store_suite.records import all_pages
from tests.store_suite.side_door import wire
from tests.stores.conftest import MakeStore, SharedEngine

PLANS = st.sampled_from(["ACME", "ACME X", "GLOBAL", "DEFAULT", "A#B"])
OWN = st.sampled_from(["ACME", "ACME X"])
TEXTS = st.none() | st.sampled_from(["", "x", "é😀"])
AMOUNTS = st.none() | st.sampled_from([Decimal(text) for text in ("6", "6.0", "-0.10", "1E+20", "9" * 38)])
EXPECTED = st.sampled_from([None, None, None, ABSENT, ANY, 0, 1, 2])
TIMES = st.none() | st.sampled_from([datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)])
CALCULATIONS = st.builds(
    CalculationRule, plan_id=PLANS, calc_type=st.sampled_from(["match", "Match"]), formula=TEXTS, max_pct=AMOUNTS
)
VALIDATIONS = st.builds(
    ValidationRule,
    category=st.sampled_from(["SSN", "NAME"]),
    plan_id=PLANS,
    number=st.sampled_from([1, 7, 1000]),
    message=TEXTS,
    enabled=st.booleans(),
)
LIMITS = st.builds(IrsLimits, year=st.sampled_from([2025, 2026]), max_401k=AMOUNTS)
CONFIGS = st.builds(ClientConfig, plan_id=PLANS, pay_freq=st.sampled_from(["W", "W_W"]), custodian=TEXTS)
SCHEMAS = st.builds(
    VendorSchema,
    vendor_id=st.just("ADP"),
    fingerprint=st.sampled_from(["f", "g"]),
    plan_id=st.none() | OWN,
    pay_freq=st.none() | st.just("W"),
    created=TIMES,
)
HOLDS = st.builds(PlanHold, plan_id=OWN, hold_id=st.sampled_from(["h", "i"]), created=TIMES, released=TIMES)
BATCHES = st.builds(BatchState, batch_id=st.sampled_from(["b", "c"]), plan_id=st.none() | OWN, created=TIMES)
ENTITIES = st.one_of(CALCULATIONS, VALIDATIONS, LIMITS, CONFIGS, SCHEMAS, HOLDS, BATCHES)
FOREIGN = st.sampled_from(
    [
        (CALCULATION_RULE, wire("CLIENT#ACME", "CALC#match", max_pct={"N": "6.0"}, tiers={"L": [{"N": "1"}]})),
        (CALCULATION_RULE, wire("CLIENT#GLOBAL", "CALC#Match", max_pct="six")),
        (CALCULATION_RULE, wire("CLIENT#ACME", "CALC#match", version={"N": "1"}, tags={"SS": ["b", "a"]})),
        (VALIDATION_RULE, wire("CATEGORY#SSN", "RULE#7")),
        (VALIDATION_RULE, wire("CATEGORY#SSN#CLIENT#ACME", "RULE#007", number={"N": "7"}, enabled={"BOOL": False})),
        (PIPELINE_STEP, wire("CLIENT#ACME_W", "STEP#100", agent="THEIRS", owner="x")),
        (PIPELINE_STEP, wire("CLIENT#DEFAULT_W", "STEP#0200", agent="THEIRS")),
    ]
)
STEPS = st.lists(st.sampled_from([100, 200, 300, 1000]), max_size=4)
REPOSITORIES: dict[Any, str] = {
    CalculationRule: "calculation_rules",
    ValidationRule: "validation_rules",
    IrsLimits: "irs_limits",
    ClientConfig: "client_configs",
    VendorSchema: "vendor_schemas",
    PlanHold: "holds",
    BatchState: "batches",
}


def plain(answer: Any) -> Any:
    """An answer in values that can be compared and shown, with all that a caller can see of it."""
    match answer:
        case Entity():
            key = answer.origin.key if answer.origin else None
            fields = {name: plain(value) for name, value in dict(answer).items()}
            return type(answer).__name__, key, answer.version, fields, plain(answer.extra)
        case PlanSnapshot():
            return answer.digest, dict(answer.item_digests), plain(answer.steps)
        case Mapping():
            return [(name, plain(value)) for name, value in answer.items()]
        case VersionConflictError():
            return type(answer).__name__, answer.expected, answer.found
        case ItemDecodeError():
            return type(answer).__name__, answer.pk, answer.sk, answer.attribute, answer.reason
        case BlueStarError():
            return type(answer).__name__
        case Decimal():
            return "number", answer.normalize()
        case tuple():
            return tuple(map(plain, answer))
    return answer


class SameAnswers(RuleBasedStateMachine):
    """Every rule does the same on all Stores and compares."""

    stores: Sequence[Store]

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[Any]] = []
        """Answers with entities, one for each Store: what callers hold on to and write back later."""

    @initialize()
    def empty(self) -> None:
        for store in self.stores:
            clear(store)

    def same(self, call: Callable[[Store, int], Any]) -> list[Any]:
        """The answer of every Store, when they are the same."""
        answers: list[Any] = []
        for number, store in enumerate(self.stores):
            try:
                answers.append(call(store, number))
            except BlueStarError as error:
                answers.append(error)
        first, *others = map(plain, answers)
        for number, other in enumerate(others, 1):
            assert other == first, f"{self.stores[number]} and {self.stores[0]} differ"
        return answers

    def keep(self, answers: list[Any]) -> None:
        if isinstance(answers[0], Entity):
            self.read.append(answers)
        elif isinstance(answers[0], tuple) and answers[0] and isinstance(answers[0][0], Entity):
            self.read += [list(found) for found in zip(*answers, strict=True)]

    @rule(entity=ENTITIES, expected=EXPECTED, deleting=st.sampled_from([False, False, True]))
    def write_fresh(self, entity: Any, expected: Any, deleting: bool) -> None:
        name = REPOSITORIES[type(entity)]
        method = "delete" if deleting else "put"
        self.keep(self.same(lambda store, _: getattr(getattr(store, name), method)(entity, expected=expected)))

    @rule(data=st.data(), expected=EXPECTED, deleting=st.sampled_from([False, False, True]))
    def write_what_was_read(self, data: st.DataObject, expected: Any, deleting: bool) -> None:
        held = [entities for entities in self.read if type(entities[0]) in REPOSITORIES]
        if not held:
            return
        entities = data.draw(st.sampled_from(held[-6:]))
        other = data.draw(st.just(entities[0]) | ENTITIES.filter(lambda entity: type(entity) is type(entities[0])))
        update = {name: value for name, value in dict(other).items() if data.draw(st.booleans())}
        name = REPOSITORIES[type(entities[0])]
        method = "delete" if deleting else "put"
        self.keep(
            self.same(
                lambda store, n: getattr(getattr(store, name), method)(
                    entities[n].model_copy(update=update), expected=expected
                )
            )
        )

    @rule(plan_id=PLANS, numbers=STEPS, agent=TEXTS)
    def replace(self, plan_id: str, numbers: list[int], agent: str | None) -> None:
        steps = [PipelineStep(plan_id=plan_id, pay_freq="W", step_order=number, agent=agent) for number in numbers]
        self.keep(self.same(lambda store, _: store.pipelines.replace(plan_id, "W", steps)))

    @rule(plan_id=PLANS, numbers=STEPS)
    def replace_what_was_read(self, plan_id: str, numbers: list[int]) -> None:
        held = [entities for entities in self.read if isinstance(entities[0], PipelineStep)][-3:]
        fresh = [PipelineStep(plan_id=plan_id, pay_freq="W", step_order=number) for number in numbers]

        def replace(store: Store, number: int) -> Any:
            return store.pipelines.replace(plan_id, "W", [*(entities[number] for entities in held), *fresh])

        self.keep(self.same(replace))

    @rule(plan_id=PLANS)
    def remove(self, plan_id: str) -> None:
        self.same(lambda store, _: store.pipelines.remove(plan_id, "W"))

    @rule(data=st.data(), expected=EXPECTED, agent=TEXTS)
    def put_step(self, data: st.DataObject, expected: Any, agent: str | None) -> None:
        held = [entities for entities in self.read if isinstance(entities[0], PipelineStep)]
        if held:
            entities = data.draw(st.sampled_from(held[-4:]))
            update = {"agent": agent, "step_order": data.draw(st.sampled_from([entities[0].step_order, 200]))}
            self.same(lambda store, n: store.pipelines.put(entities[n].model_copy(update=update), expected))

    @rule(foreign=FOREIGN, deleting=st.booleans())
    def another_program(self, foreign: tuple[Any, Item], deleting: bool) -> None:
        kind, item = foreign
        if deleting and kind is not PIPELINE_STEP:  # a pipeline that lost a step takes long to be sure of
            self.same(lambda store, _: store.engine.write(Delete(store.tables.name(kind), key_of(item))))
            self.same(lambda store, _: store.cache.clear() and None)
        else:
            self.same(lambda store, _: store.engine.write(Put(store.tables.name(kind), item)))
            self.same(lambda store, _: store.cache.clear() and None)

    @rule(plan_id=PLANS, fresh=st.booleans())
    def ask_rules(self, plan_id: str, fresh: bool) -> None:
        for calc_type in ("match", "Match"):
            rules = self.same(lambda store, _, t=calc_type: store.calculation_rules.get(plan_id, t, fresh=fresh))  # type: ignore[misc]  # mypy cannot infer the default
            self.keep(rules)
        self.same(lambda store, _: store.calculation_rules.all(plan_id, fresh=fresh))
        self.keep(self.same(lambda store, _: store.validation_rules.at_level("SSN", plan_id)))
        self.same(lambda store, _: store.validation_rules.for_category("SSN", plan_id, fresh=fresh))

    @rule(plan_id=PLANS, fallback=st.booleans())
    def ask_frequency(self, plan_id: str, fallback: bool) -> None:
        self.keep(self.same(lambda store, _: store.pipelines.steps(plan_id, "W", fallback=fallback)))
        self.keep(self.same(lambda store, _: store.client_configs.get(plan_id, "W", fallback=fallback)))
        self.same(lambda store, _: store.vendor_schemas.for_plan("ADP", plan_id, "W"))

    @rule(plan_id=PLANS, limit=st.sampled_from([None, 1, 2]))
    def ask_what_there_is(self, plan_id: str, limit: int | None) -> None:
        self.same(lambda store, _: (store.plans(), store.categories(), store.vendors()))
        self.same(lambda store, _: store.overrides(plan_id))
        self.same(lambda store, _: store.irs_limits.all())
        self.keep(self.same(lambda store, _: all_pages(store, plan_id, limit)))
        self.keep(self.same(lambda store, _: store.holds.all_open()))

    @rule(plan_id=PLANS, year=st.sampled_from([2025, 2026]))
    def take_snapshot(self, plan_id: str, year: int) -> None:
        self.same(lambda store, _: store.plan_snapshot(plan_id, "W", year))

    @rule()
    def upgrade(self) -> None:
        self.same(lambda store, _: store.create_tables(upgrade=True))


def clear(store: Store) -> None:
    """Delete every item."""
    for spec in store.tables.specs():
        page = store.engine.scan(spec.name, consistent=True)
        assert page.cursor is None
        for start in range(0, len(page.items), 100):
            store.engine.write(*(Delete(spec.name, key_of(item)) for item in page.items[start : start + 100]))
    store.cache.clear()


def run(stores: Sequence[Store], examples: int, steps: int) -> None:
    """Random sequences on these Stores."""
    machine = type("SameAnswers", (SameAnswers,), {"stores": stores})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.fixture(autouse=True)
def _any_value_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_CHECKS_OFF", ",".join(CHECKS))


def test_memory_and_file_answer_the_same_in_both_layouts(make_store: MakeStore, tmp_path: Path, soak: bool) -> None:
    stores = [make_store(persistence_mode="memory", table_layout=layout) for layout in TableLayout]
    stores += [
        make_store(persistence_mode="file", file_persistence_dir=tmp_path / layout, table_layout=layout)
        for layout in TableLayout
    ]
    run(stores, *((400, 60) if soak else (15, 30)))


@pytest.mark.slow
def test_dynamodb_answers_as_memory_does_in_both_layouts(
    make_store: MakeStore, local_connection: AwsConnection, soak: bool
) -> None:
    stores = [make_store(persistence_mode="memory")]
    stores += [make_store(SharedEngine(local_connection), table_layout=layout) for layout in TableLayout]
    run(stores, *((200, 60) if soak else (10, 25)))
