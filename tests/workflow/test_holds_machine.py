"""Holds, moves, claims, results and workers' entries, alone and in units of work, beside a model of what may happen."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bluestar_store import (
    BatchState,
    BatchStatus,
    BlueStarError,
    ClaimLostError,
    ClaimTakenError,
    InvalidEntityError,
    InvalidTransitionError,
    PlanOnHoldError,
    ResultConflictError,
    Settings,
    StepClaim,
    Store,
)
from bluestar_store.repositories.batches import TRANSITIONS
from bluestar_store.testing import FrozenClock
from tests.store_suite.batches import with_rules

START, LEASE = datetime(2026, 1, 5, tzinfo=UTC), timedelta(seconds=60)
STEPS = (1, 2)
PLANS, BATCHES = ("ACME", "BETA"), {"a1": "ACME", "a2": "ACME", "b1": "BETA"}
OVER = (BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED)
Errors = set[type[BlueStarError]]


@dataclass
class Batch:
    """What the model knows of one; `was`: its status before the unit, which may save a last result when it ends it."""

    status: BatchStatus = BatchStatus.RECEIVED
    step: int | None = None
    was: BatchStatus = BatchStatus.RECEIVED
    owners: dict[int, StepClaim | None] = field(default_factory=dict)
    results: dict[int, str] = field(default_factory=dict)


@dataclass
class Model:
    """All that there is, and each worker's last claim of a step, which it may have lost."""

    batches: dict[str, Batch]
    holds: dict[str, str]
    claims: dict[tuple[str, int, str], StepClaim] = field(default_factory=dict)

    def on_hold(self, batch_id: str) -> bool:
        return BATCHES[batch_id] in self.holds.values()

    def moved(
        self, batch_id: str, asked: BatchStatus | None, status: BatchStatus, step: int | None, claim: StepClaim | None
    ) -> Errors:
        """A move, if nothing is wrong about it; all that is."""
        batch, errors = self.batches[batch_id], Errors()
        stays = asked is None and status is batch.status and TRANSITIONS[status]
        if status not in TRANSITIONS[batch.status] and not stays:
            errors.add(InvalidTransitionError)
        if step not in (batch.step, None, *STEPS):
            errors.add(InvalidEntityError)
        changes = asked is not None or status is not batch.status
        begins = step != batch.step or (changes and status in (BatchStatus.RUNNING, BatchStatus.COMPLETED))
        if begins and self.on_hold(batch_id):
            errors.add(PlanOnHoldError)
        if claim is not None and not self.stands(claim):
            errors.add(ClaimLostError)
        if not errors:
            batch.status, batch.step = status, step
        return errors

    def stands(self, claim: StepClaim) -> bool:
        owner = self.batches[claim.batch_id].owners.get(claim.step)
        return owner is not None and (owner.worker, owner.fence) == (claim.worker, claim.fence)

    def works(self, batch_id: str, step: int | None, *, claimed: bool) -> Errors:
        """What is wrong about work on a step, but for holds."""
        batch = self.batches[batch_id]
        last = claimed and batch.was not in OVER and batch.status is not BatchStatus.CANCELLED
        errors: Errors = {InvalidTransitionError} if batch.status in OVER and not last else set()
        return errors | ({InvalidEntityError} if step not in (None, *STEPS) else set())


ids, steps, workers = st.sampled_from(list(BATCHES)), st.sampled_from([1, 2, 2, 1, 9]), st.sampled_from(["one", "two"])
statuses = st.sampled_from([None, BatchStatus.RUNNING, BatchStatus.RUNNING, *BatchStatus])
names = st.sampled_from(["h1", "h2"])
forms = st.sampled_from(["read", "id", "first", "made up", "of another"])
calls = st.one_of(
    st.tuples(st.just("advance"), ids, statuses, st.none() | steps, workers, st.booleans()),
    st.tuples(st.just("put"), ids, st.sampled_from(list(BatchStatus)), st.none() | steps),
    st.tuples(st.just("place"), st.sampled_from(PLANS), names),
    st.tuples(st.just("release"), names),
    st.tuples(st.just("release"), names),
    st.tuples(st.just("claim"), ids, steps, workers, forms),
    st.tuples(st.just("renew"), ids, steps, workers),
    st.tuples(st.just("let go"), ids, steps, workers),
    st.tuples(st.just("save"), ids, steps, workers, st.booleans(), st.sampled_from(["x", "y"]), forms),
    st.tuples(st.just("append"), ids, steps, workers),
)


class Holds(RuleBasedStateMachine):
    """Every call does what the model says, or raises one of the errors that the model says and changes nothing."""

    @initialize()
    def begin(self) -> None:
        self.clock = FrozenClock(START)
        self.store = Store.open(Settings(persistence_mode="memory"), clock=self.clock)
        self.store.create_tables()
        with_rules(self.store)
        self.first = {name: self.store.batches.start(plan, "Weekly", 2026, name) for name, plan in BATCHES.items()}
        self.model = Model({name: Batch() for name in BATCHES}, {})

    @rule()
    def leases_run_out(self) -> None:
        self.clock.advance(2 * LEASE)

    @rule(call=calls)
    def alone(self, call: tuple[Any, ...]) -> None:
        after = deepcopy(self.model)
        errors = self.expected(after, call)
        self.check(lambda: self.do(self.model, after, call), errors)
        if not errors:
            self.keep(after)

    @rule(several=st.lists(calls, min_size=2, max_size=4))
    def in_a_unit(self, several: list[tuple[Any, ...]]) -> None:
        after, errors = deepcopy(self.model), Errors()

        def work() -> None:
            with self.store.unit_of_work():
                for call in several:
                    before = deepcopy(after)
                    errors.update(self.expected(after, call))
                    self.do(before, after, call)
                    if errors:  # by the commit at the latest
                        return

        try:
            work()
        except BlueStarError as error:
            assert type(error) in errors, (several, error, errors)  # noqa: PT017  # which ones is known in the block
        else:
            assert not errors, several
            self.keep(after)

    def keep(self, after: Model) -> None:
        for batch in after.batches.values():
            batch.was = batch.status
        self.model = after

    def check(self, do: Any, errors: Errors) -> None:
        try:
            do()
        except BlueStarError as error:
            assert type(error) in errors, (error, errors)  # noqa: PT017  # one of several
        else:
            assert not errors

    # ------------------------------------------------------------------------------------------------------ the model

    def expected(self, model: Model, call: tuple[Any, ...]) -> Errors:
        """What is wrong about a call; what it changes, but for what the Store answers."""
        match call:
            case ("advance", name, status, step, worker, with_claim):
                batch = model.batches[name]
                claim = model.claims.get((name, step or 1, worker)) if with_claim else None
                becomes = batch.status if status is None else status
                return model.moved(name, status, becomes, batch.step if step is None else step, claim)
            case ("put", name, status, step):
                return model.moved(name, None, status, step, None)
            case ("place", plan, name):
                model.holds.setdefault(f"{plan} {name}", plan)  # one that was released stays so
            case ("release", name):
                for key in list(model.holds):
                    if key.endswith(name):
                        model.holds[key] = ""
            case ("claim", name, step, worker, _):
                owner = model.batches[name].owners.get(step)
                errors = model.works(name, step, claimed=False)
                if model.on_hold(name):
                    errors.add(PlanOnHoldError)
                taken = owner is not None and owner.worker != worker
                if taken and owner is not None and owner.expires is not None and owner.expires >= self.clock.now():
                    errors.add(ClaimTakenError)
                return errors
            case ("renew" | "let go", name, step, worker):
                claim = model.claims.get((name, step, worker))
                return set() if claim is None or model.stands(claim) else {ClaimLostError}
            case ("append", name, step, worker):
                claim = model.claims.get((name, step, worker))
                if claim is None:
                    return set()
                lost: Errors = set() if model.stands(claim) else {ClaimLostError}
                return lost | model.works(name, None, claimed=True)
            case ("save", name, step, worker, with_claim, what, _):
                claim = model.claims.get((name, step, worker)) if with_claim else None
                errors = {ClaimLostError} if claim is not None and not model.stands(claim) else Errors()
                there = model.batches[name].results.get(step)
                if there is not None:
                    return errors | ({ResultConflictError} if there != what else set())
                errors |= model.works(name, step, claimed=claim is not None)
                if not errors:
                    model.batches[name].results[step] = what
                return errors
        return set()

    # ------------------------------------------------------------------------------------------------------ the Store

    def named(self, name: str, form: str) -> BatchState | str:
        """A batch as a caller may know it."""
        if form == "id":
            return name
        if form == "read":
            return self.store.batches.get(name)
        if form == "first":
            return self.first[name]
        if form == "made up":
            return BatchState(batch_id=name, plan_id="NONE", status=BatchStatus.RUNNING)
        other = next(other for other, plan in BATCHES.items() if plan != BATCHES[name])
        return self.store.batches.get(other).model_copy(update={"batch_id": name})

    def do(self, before: Model, after: Model, call: tuple[Any, ...]) -> None:
        store = self.store
        match call:
            case ("advance", name, status, step, worker, with_claim):
                claim = before.claims.get((name, step or 1, worker)) if with_claim else None
                store.batches.advance(store.batches.get(name), status, step, claim)
            case ("put", name, status, step):
                read = store.batches.get(name)
                store.batches.put(read.model_copy(update={"status": status, "current_step": step}))
            case ("place", plan, name):
                store.holds.place(plan, "why", hold_id=name)
            case ("release", name):
                for key, plan in before.holds.items():
                    if key.endswith(name):
                        store.holds.release(plan or key.partition(" ")[0], name)
            case ("claim", name, step, worker, form):
                made = store.claims.claim(self.named(name, form), step, worker, LEASE.total_seconds())
                after.batches[name].owners[step] = after.claims[name, step, worker] = made
            case ("renew", name, step, worker) if claim := before.claims.get((name, step, worker)):
                made = store.claims.heartbeat(claim, LEASE.total_seconds())
                after.batches[name].owners[step] = after.claims[name, step, worker] = made
            case ("let go", name, step, worker) if claim := before.claims.get((name, step, worker)):
                store.claims.release(claim)
                after.batches[name].owners[step] = None
            case ("append", name, step, worker) if claim := before.claims.get((name, step, worker)):
                store.audit.append(name, action="worked", claim=claim)
            case ("save", name, step, worker, with_claim, what, form):
                claim = before.claims.get((name, step, worker)) if with_claim else None
                store.results.save(self.named(name, form), step, {"found": what}, claim)

    @invariant()
    def the_store_has_what_the_model_has(self) -> None:
        if not hasattr(self, "model"):
            return
        for name, known in self.model.batches.items():
            found = self.store.batches.history(name)
            assert (found.state.status, found.state.current_step) == (known.status, known.step)
            assert {result.step: dict(result.result or {})["found"] for result in found.results} == known.results
            owners = {claim.step: claim.worker for claim in found.claims if claim.worker}
            assert owners == {step: claim.worker for step, claim in known.owners.items() if claim is not None}
        for plan in PLANS:
            is_open = {key.partition(" ")[2] for key, of in self.model.holds.items() if of == plan}
            assert {hold.hold_id for hold in self.store.holds.open(plan)} == is_open


def check(examples: int) -> None:
    run_state_machine_as_test(Holds, settings=settings(stateful_step_count=30, max_examples=examples))


def test_a_store_does_what_the_model_says() -> None:
    check(15)


@pytest.mark.slow
def test_a_store_does_what_the_model_says_for_long(soak: bool) -> None:
    check(2000 if soak else 60)
