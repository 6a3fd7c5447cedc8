"""What a unit of work confirms before it tells of it: what a query showed, and what it expected without a look."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bluestar_store import Settings, Store, ValidationRule
from bluestar_store.errors import (
    AlreadyExistsError,
    InvalidWriteError,
    PlanOnHoldError,
    UnavailableError,
    VersionConflictError,
)
from bluestar_store.models.batches import BatchState, BatchStatus
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.protocols import ABSENT, Delete, Item, Page
from tests.cache.stores import rule
from tests.store_suite.side_door import in_thread
from tests.stores.busy_engine import BusyEngine

NUMBERED = ValidationRule(category="SSN", number=7, message="x")
KEY = VALIDATION_RULE.keys.build(VALIDATION_RULE.identity(NUMBERED))
"""A rule whose key has a number, which may be spelled otherwise: it is looked for by a query."""


class LateEngine(BusyEngine):
    """Its queries may be behind what is committed."""

    settles_at_once = False


@pytest.fixture
def engine() -> LateEngine:
    return LateEngine()


@pytest.fixture
def store(engine: LateEngine) -> Iterator[Store]:
    with Store(Settings(persistence_mode="memory"), engine) as opened:
        opened.create_tables()
        yield opened


def stored(store: Store, engine: LateEngine) -> Item | None:
    return engine.get(store.tables.name(VALIDATION_RULE), [KEY], consistent=True).get(KEY)


def test_what_a_query_still_shows_is_refused_only_if_an_isolated_read_shows_it(
    store: Store, engine: LateEngine
) -> None:
    store.validation_rules.put(NUMBERED)
    item = stored(store, engine)
    assert item is not None
    with pytest.raises(AlreadyExistsError):
        store.validation_rules.put(NUMBERED, ABSENT)
    store.validation_rules.delete(NUMBERED)
    engine.stale = Page([item], None)
    engine.isolated.clear()
    assert store.validation_rules.put(NUMBERED, ABSENT).version == 1
    assert KEY in engine.isolated


def test_a_step_that_was_confirmed_leaves_the_next_one_to_its_query(store: Store, engine: LateEngine) -> None:
    store.validation_rules.put(NUMBERED)
    with store.unit_of_work():
        with pytest.raises(AlreadyExistsError):
            store.validation_rules.put(NUMBERED, ABSENT)
        assert KEY in engine.isolated
        engine.isolated.clear()
        store.validation_rules.put(NUMBERED.model_copy(update={"number": 8}), ABSENT)
        assert engine.isolated == []


def test_an_engine_that_fails_is_not_asked_again(
    store: Store, engine: LateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_asked: object, **_options: object) -> Page:
        engine.queries += 1
        raise UnavailableError("down")

    monkeypatch.setattr(engine, "query", down)
    with pytest.raises(UnavailableError):
        store.validation_rules.put(NUMBERED)
    assert engine.queries == 1


def test_a_refusal_that_rests_on_no_query_is_told_at_once_and_no_step_runs_again(
    store: Store, engine: LateEngine
) -> None:
    made = store.calculation_rules.put(rule("ACME", 4))
    store.calculation_rules.put(made)

    def reads(call: Callable[[], object]) -> int:
        before = engine.reads
        call()
        return engine.reads - before

    def refused() -> None:
        for entity, expected in ((rule("ACME", 4), ABSENT), (made, None)):
            with pytest.raises((AlreadyExistsError, VersionConflictError)):
                store.calculation_rules.put(entity, expected)

    with store.unit_of_work() as uow:
        of_a_put = reads(lambda: uow.calculation_rules.put(rule("BETA", 4)))
        assert reads(refused) == 2 * of_a_put
        uow.check(rule("CORP", 4))
        with pytest.raises(AlreadyExistsError):
            uow.check(rule("BETA", 4))
        assert reads(lambda: uow.calculation_rules.put(rule("CORP", 4))) == of_a_put
    assert reads(lambda: store.calculation_rules.put(rule("DELTA", 4))) == of_a_put  # nor do any before the commit


def test_steps_that_run_again_look_by_isolated_reads(store: Store, engine: LateEngine) -> None:
    store.validation_rules.put(NUMBERED)
    before = stored(store, engine)
    assert before is not None

    def meet() -> None:
        engine.before = lambda: None
        in_thread(lambda: store.validation_rules.put(NUMBERED.model_copy(update={"message": "theirs"})))
        engine.stale = Page([before], None)
        engine.isolated.clear()

    engine.before = meet
    written = store.validation_rules.put(NUMBERED.model_copy(update={"message": "ours"}))
    assert (written.version, written.message) == (3, "ours")
    assert KEY in engine.isolated


# ------------------------------------------------------------------------------------------------ expected, not looked


def on_hold(store: Store, plan: str) -> BatchState:
    """A batch that runs, and whose plan's guard counts a hold that another program has taken away."""
    batch = store.batches.put(BatchState(batch_id=f"of {plan}", plan_id=plan, status=BatchStatus.RUNNING))
    hold = store.holds.place(plan, "Missing data")
    assert hold.origin is not None
    store.engine.write(Delete(store.tables.name(PLAN_HOLD), hold.origin.key))
    return batch


def test_what_the_commit_found_otherwise_is_looked_at_and_mended_or_told(store: Store, engine: LateEngine) -> None:
    batch = on_hold(store, "ACME")
    engine.sent.clear()
    store.claims.claim(batch, 1, "one", 60)
    assert len(engine.sent) == 2

    def meet() -> None:
        engine.before = lambda: None
        in_thread(lambda: store.holds.place("ACME", "Just now", hold_id="h1"))

    engine.before = meet
    with pytest.raises(PlanOnHoldError, match="h1"):
        store.claims.claim(batch, 2, "one", 60)
    assert [claim.step for claim in store.claims.for_batch(batch.batch_id)] == [1]


def test_what_a_unit_expected_without_a_look_is_looked_at_once_it_reads_otherwise(store: Store) -> None:
    batches = [on_hold(store, plan) for plan in ("ACME", "BETA")]
    with store.unit_of_work():
        for batch in batches:
            store.claims.claim(batch, 1, "one", 60)
            store.holds.place(str(batch.plan_id), "More", hold_id="h")
    assert [len(store.holds.open(plan)) for plan in ("ACME", "BETA")] == [1, 1]
    assert [len(store.claims.for_batch(batch.batch_id)) for batch in batches] == [1, 1]


def test_a_unit_that_expected_what_is_not_so_writes_nothing_whoever_catches_it(
    store: Store, engine: LateEngine
) -> None:
    batch = on_hold(store, "ACME")
    store.holds.place("ACME", "Missing hours", hold_id="open")
    engine.sent.clear()
    with pytest.raises(InvalidWriteError, match="PlanOnHoldError") as caught, store.unit_of_work():  # noqa: PT012
        store.claims.claim(batch, 1, "one", 60)
        with pytest.raises(PlanOnHoldError, match="open"):
            store.holds.place("ACME", "More")
    assert isinstance(caught.value.__cause__, PlanOnHoldError)
    assert engine.sent == []
