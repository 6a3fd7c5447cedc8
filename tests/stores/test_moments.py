"""Reads of several items give what there was at one moment, however late and out of order AWS shows a transaction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import pytest

from bluestar_store import (
    DEFAULT,
    GLOBAL,
    AlreadyExistsError,
    CalculationRule,
    ChangingError,
    ClaimTakenError,
    ClientConfig,
    InvalidTransitionError,
    IrsLimits,
    PipelineStep,
    ResultConflictError,
    Settings,
    Store,
    UnavailableError,
    ValidationRule,
    VendorSchema,
)
from bluestar_store.persistence.rules import EngineRulesStore
from bluestar_store.protocols import ABSENT, ANY, BeforeAttempt, Update, Write
from bluestar_store.repositories.revisions import MANY, Revision
from bluestar_store.testing import FrozenClock
from bluestar_store.testing.frozen_clock import START
from tests import servers
from tests.adversarial_engine import AdversarialEngine

ROUNDS = 8
PLAN, FREQ, YEAR = "ACME", "Weekly", 2026
Read: TypeAlias = Callable[[Store], set[Any]]
SETTINGS = Settings(persistence_mode="memory", cache_max_entries=0, indexes_complete=True)


@pytest.fixture(params=[0, pytest.param(1, marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A Store whose engine shows the items of a transaction one by one, seconds later."""
    clock = FrozenClock()
    engine = AdversarialEngine(request.param, now=clock.monotonic)
    with Store(SETTINGS, engine, clock=clock) as store:
        store.create_tables()
        yield store


def settle(store: Store) -> None:
    assert isinstance(store.engine, AdversarialEngine)
    store.engine.settle()


def write(store: Store, turn: int) -> None:
    """One transaction that gives everything at every level the number of its turn; some of it comes and goes."""
    settle(store)  # who writes looks at what is there, and would try until it is to be seen
    text = f"{turn}"
    odd = turn % 2 == 1
    with store.unit_of_work() as uow:
        for plan_id in (PLAN, GLOBAL):
            for calc_type in ("match", "vesting"):
                uow.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type=calc_type, description=text))
            for category, number in (("SSN", 1), ("SSN", 2), ("NAME", 3)):
                uow.validation_rules.put(
                    ValidationRule(category=category, plan_id=plan_id, number=number, message=text)
                )
        # Only one of them has these, and never none.
        here, gone = (PLAN, GLOBAL) if odd else (GLOBAL, PLAN)
        uow.calculation_rules.put(CalculationRule(plan_id=here, calc_type="moves", description=text))
        uow.calculation_rules.delete(CalculationRule(plan_id=gone, calc_type="moves"))
        uow.validation_rules.put(ValidationRule(category="SSN", plan_id=here, number=9, message=text))
        uow.validation_rules.delete(ValidationRule(category="SSN", plan_id=gone, number=9))
        uow.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq=FREQ, custodian=text))
        uow.irs_limits.put(IrsLimits(year=YEAR, source=text))
        for fingerprint, owner in (("a", PLAN), ("b", PLAN), ("c", None)):  # their keys do not name the plan
            schema = VendorSchema(vendor_id="V", fingerprint=fingerprint, plan_id=owner, columns=(text,))
            uow.vendor_schemas.put(schema)
        steps = [PipelineStep(plan_id=DEFAULT, pay_freq=FREQ, step_order=n, agent=text) for n in (1, 2 + turn % 3)]
        uow.pipelines.replace(DEFAULT, FREQ, steps)


def snapshot(store: Store) -> set[Any]:
    found = store.plan_snapshot(PLAN, FREQ, YEAR)
    assert found.client_config is not None
    rules = [rule for rules in found.validation_rules.values() for rule in rules]
    assert len(rules) == 4
    assert len(found.calculation_rules) == 3
    return {
        *(rule.description for rule in found.calculation_rules.values()),
        *(rule.message for rule in rules),
        *(step.agent for step in found.steps),
        found.client_config.custodian,
        found.limits.source,
    }


def every_rule(store: Store) -> set[Any]:
    found = store.calculation_rules.all(PLAN)
    assert sorted(found) == ["match", "moves", "vesting"]
    return {rule.description for rule in found.values()}


def category(store: Store) -> set[Any]:
    found = store.validation_rules.for_category("SSN", PLAN)
    assert [rule.number for rule in found] == [1, 2, 9]
    return {rule.message for rule in found}


def fallback(store: Store) -> set[Any]:
    return {store.calculation_rules.get(PLAN, "moves").description}


def pipeline(store: Store) -> set[Any]:
    return {step.agent for step in store.pipelines.steps(PLAN, FREQ)}


def vendor(store: Store) -> set[Any]:
    return {column for schema in store.vendor_schemas.for_vendor("V") for column in schema.columns}


def at_level(level: str, store: Store) -> set[Any]:
    """All that a level has of its own, whatever it is called there."""
    names = "description", "message", "agent", "custodian", "source"
    found = store.at_level(level)
    texts = {text for one in found for name in names if (text := getattr(one, name, None)) is not None}
    return texts.union(*(one.columns for one in found if isinstance(one, VendorSchema)))


LEVELS = [partial(at_level, level) for level in (PLAN, GLOBAL, DEFAULT)]
READS: list[Read] = [snapshot, every_rule, category, fallback, pipeline, vendor, *LEVELS]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("pause", [0.0, 4.0, 60.0])
def test_a_transaction_of_rules_is_seen_whole(store: Store, read: Read, pause: float) -> None:
    clock = store.clock
    assert isinstance(clock, FrozenClock)
    for turn in range(ROUNDS):
        write(store, turn)
        for later in (0.0, pause / 2):
            clock.advance(later)
            assert read(store) == {f"{turn}"}
        clock.advance(pause / 2)


@pytest.fixture
def unseen(request: pytest.FixtureRequest) -> Iterator[Callable[[], Store]]:
    """Stores with caches over one engine whose transactions queries never show; they hear of each other's writes."""
    engine = AdversarialEngine(spread=math.inf)
    with ExitStack() as stack:

        def made() -> Store:
            return stack.enter_context(Store(SETTINGS.model_copy(update={"cache_max_entries": 100}), engine))

        made().create_tables()
        yield made


def test_a_replaced_pipeline_is_never_read_nor_kept_as_it_was_before(unseen: Callable[[], Store]) -> None:
    store, other = unseen(), unseen()
    for turn in range(3):
        steps = [PipelineStep(plan_id=PLAN, pay_freq=FREQ, step_order=n, agent=f"{turn}") for n in (1, 2, 3)]
        replaced = store.pipelines.replace(PLAN, FREQ, steps, known=store.pipelines.steps(PLAN, FREQ, fallback=False))
        for one in (store, other):
            assert one.pipelines.steps(PLAN, FREQ) == replaced
            changed = one.pipelines.put(one.pipelines.steps(PLAN, FREQ)[0].model_copy(update={"agent": "changed"}))
            assert one.pipelines.steps(PLAN, FREQ) == (changed, *replaced[1:])
            replaced = one.pipelines.replace(PLAN, FREQ, replaced[1:], known=one.pipelines.steps(PLAN, FREQ))
    store.pipelines.remove(PLAN, FREQ, known=other.pipelines.steps(PLAN, FREQ))
    assert not store.pipelines.is_lost(PLAN, FREQ)
    assert other.pipelines.steps(PLAN, FREQ, fallback=False) == ()


def test_what_was_just_written_under_a_number_is_found_by_who_writes_it_next(unseen: Callable[[], Store]) -> None:
    store, other = unseen(), unseen()
    rule = ValidationRule(category="SSN", number=1, message="a")
    assert store.validation_rules.put(rule, ABSENT).version == 1
    with pytest.raises(AlreadyExistsError):
        other.validation_rules.put(rule, ABSENT)
    assert other.validation_rules.put(rule.model_copy(update={"message": "b"}), expected=1).version == 2
    assert store.validation_rules.put(rule.model_copy(update={"message": "c"})).version == 3
    (stored,) = other.validation_rules.current([rule]).values()
    assert stored.message == "c"


def test_a_claim_and_a_result_are_there_for_whoever_comes_next(unseen: Callable[[], Store]) -> None:
    store, other = unseen(), unseen()
    store.irs_limits.put(IrsLimits(year=YEAR))
    store.pipelines.replace(DEFAULT, FREQ, [PipelineStep(plan_id=DEFAULT, pay_freq=FREQ, step_order=1)])
    batch = store.batches.start(PLAN, FREQ, YEAR)
    claim = store.claims.claim(batch, 1, "w", 60)
    assert other.claims.for_batch(batch.batch_id) == (claim,)
    with pytest.raises(ClaimTakenError):
        other.claims.claim(batch, 1, "another", 60)
    claim = other.claims.heartbeat(claim, 60)
    saved = store.results.save(batch, 1, {"rows": 1}, claim)
    assert other.results.get(batch.batch_id, 1) == saved
    with pytest.raises(ResultConflictError):
        other.results.save(batch, 1, {"rows": 2})
    with pytest.raises(InvalidTransitionError):
        other.batches.delete(batch)
    history = other.batches.history(batch.batch_id)
    assert (history.state, history.claims, history.results) == (batch, (claim,), (saved,))
    assert history.rules is not None


def test_what_an_index_names_and_is_committed_is_in_the_lists(unseen: Callable[[], Store]) -> None:
    store, other = unseen(), unseen()
    plans = ("A", "B", "C")
    for number, plan_id in enumerate(plans):
        store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match"))
        store.irs_limits.put(IrsLimits(year=YEAR + number))
    holds = tuple(store.holds.place(plan_id, reason="?") for plan_id in plans)
    engine = store.engine
    assert isinstance(engine, AdversarialEngine)
    engine.index()
    assert other.plans() == plans
    assert len(other.rules_of_type("match")) == len(other.irs_limits.all()) == 3
    assert other.holds.all_open() == holds


def test_a_batch_is_started_under_rules_that_existed_together(store: Store) -> None:
    digests = {}
    for turn in range(ROUNDS):
        write(store, turn)
        digests[turn] = store.batches.start(PLAN, FREQ, YEAR, batch_id=f"b{turn}").rules_digest
        assert store.batches.verify_rules(store.batches.get(f"b{turn}")).unchanged
    assert len(set(digests.values())) == ROUNDS


def test_what_a_single_put_changed_is_not_seen_before_what_was_put_earlier(store: Store) -> None:
    for turn in range(ROUNDS):
        settle(store)
        for calc_type in ("a", "b", "c", "d"):
            rule = CalculationRule(plan_id=GLOBAL, calc_type=calc_type, max_pct=Decimal(turn))
            store.calculation_rules.put(rule)
            found = [rule.max_pct for rule in store.calculation_rules.all(PLAN).values()]
            assert found == sorted(found, reverse=True, key=lambda pct: pct or 0)


def many(store: Store, turn: int) -> None:
    """More rules in several transactions than a revision lists."""
    for part in range(8):
        with store.unit_of_work() as uow:
            for number in range(40):
                rule = CalculationRule(plan_id=GLOBAL, calc_type=f"r{part}-{number}", description=f"{turn}")
                uow.calculation_rules.put(rule)


def formulas(store: Store) -> set[str | None]:
    return {rule.description for rule in store.calculation_rules.all(PLAN).values()}


def test_what_changes_too_fast_to_be_listed_is_waited_for(store: Store) -> None:
    for turn in range(2):
        settle(store)
        many(store, turn)
        before = store.clock.monotonic()
        assert formulas(store) == {f"{turn}"}
        assert store.clock.monotonic() - before < 30  # the frozen clock's sleep


def test_what_never_comes_to_rest_is_an_error_and_no_mixture(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, place = store.clock, store.sessions.revisions.of_level(GLOBAL)
    assert isinstance(clock, FrozenClock)

    def goes_on(seconds: float) -> None:
        """Others write more than can be listed while the reader waits."""
        clock.advance(seconds)
        now = f"{int(clock.now().timestamp() * 1000)}"
        store.engine.write(Update(*place, {MANY: {"N": now}}, expect=ANY))

    goes_on(0)
    monkeypatch.setattr(store.sessions.outside, "sleep", goes_on)
    with pytest.raises(ChangingError, match="keeps changing"):
        formulas(store)


@pytest.mark.parametrize("ahead", [-2, 2, 3600])
def test_the_clocks_of_writer_and_reader_may_differ(store: Store, ahead: float) -> None:
    """The writer's time is behind or ahead; both clocks go on alike."""
    clock, other = store.clock, FrozenClock(START + timedelta(seconds=ahead))
    assert isinstance(clock, FrozenClock)
    with Store(SETTINGS, store.engine, clock=other) as writer:
        for turn in range(ROUNDS):
            write(writer, turn)
            for _ in range(6):
                assert snapshot(store) == {f"{turn}"}
                for one in (clock, other):
                    one.advance(1.9)


class Slow(AdversarialEngine):
    """Its next write is committed after 13 seconds, longer than a move is looked at; its reply may be lost."""

    clock: FrozenClock
    late = lost = False

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.Engine`."""
        late, self.late = self.late, False
        if late:
            self.clock.advance(13)
        super().write(*writes, before_attempt=before_attempt)
        if late and self.lost:
            error = UnavailableError("nobody answers")
            error.outcome_unknown = True
            raise error


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_commit_that_came_late_is_seen_whole(seed: int, lost: bool) -> None:
    clock = FrozenClock()
    engine = Slow(seed, now=clock.monotonic)
    engine.clock, engine.lost = clock, lost
    with Store(SETTINGS, engine, clock=clock) as store, Store(SETTINGS, engine, clock=clock) as reader:
        store.create_tables()
        write(store, 0)
        clock.advance(60)
        engine.settle()
        engine.late = True
        with pytest.raises(UnavailableError) if lost else nullcontext():
            write(store, 1)
        place = store.sessions.revisions.of_level(GLOBAL)

        def told() -> bool:
            item = engine.get_isolated(place[0], [place[1]])[place[1]]
            revision = Revision.of(item)
            latest = max((revision.many or 0.0, *(move.at for move in revision.moves.values())))
            return latest > clock.now().timestamp() - 1

        if lost:  # in a thread: as soon as the engine takes it
            servers.wait_until(told, "readers are told of it", 10)
        for _ in range(20):
            for read in (every_rule, category, snapshot):
                assert read(reader) == {"1"}
            clock.advance(0.5)


def test_the_drop_in_store_sees_transactions_whole() -> None:
    clock = FrozenClock(datetime.now(UTC))  # the drop-in has the computer's
    engine = AdversarialEngine(now=clock.monotonic)
    with Store(SETTINGS, engine, clock=clock) as store:
        store.create_tables()
        found = EngineRulesStore(engine, store.tables)
        for turn in range(ROUNDS):
            write(store, turn)
            for _ in range(3):
                rules = found.get_validation_rules("SSN")
                steps = found.get_pipeline_steps(DEFAULT, FREQ)
                assert {rule["message"] for rule in rules} == {f"{turn}"}
                # All of a replacement, or all of the one before: none, before the first.
                assert len({step["agent"] for step in steps}) == 1 or (turn == 0 and not steps)
                assert found.get_calculation_rule(PLAN, "moves")["description"] == f"{turn}"
                clock.advance(1)
