"""One owner a step, in every interleaving of workers that crash, stop, and have clocks of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bluestar_store import ClaimLostError, ClaimTakenError, ResultConflictError, Settings, StepClaim, Store
from bluestar_store.testing import FrozenClock

START = datetime(2026, 1, 5, tzinfo=UTC)
LEASE_SECONDS = 10.0
workers = st.sampled_from(["one", "two", "three"])


class WorkersClock(FrozenClock):
    """That of the worker whose turn it is."""

    worker_time = START

    def now(self) -> datetime:
        return self.worker_time


@dataclass
class Worker:
    """Its clock is ahead of the true time, by a second at most."""

    ahead: timedelta
    claim: StepClaim | None = None


class Claims(RuleBasedStateMachine):
    """The truth is in `owner`: who claimed last, and has not released."""

    @initialize(aheads=st.tuples(*[st.floats(0, 1)] * 3))
    def begin(self, aheads: tuple[float, float, float]) -> None:
        self.clock = WorkersClock(START)
        self.store = Store.open(Settings(persistence_mode="memory"), clock=self.clock)
        self.store.create_tables()
        self.time, self.fences = START, list[int]()
        self.owner: str | None = None
        names = ("one", "two", "three")
        self.workers = {name: Worker(timedelta(seconds=ahead)) for name, ahead in zip(names, aheads, strict=True)}

    def as_(self, name: str) -> Worker:
        worker = self.workers[name]
        self.clock.worker_time = self.time + worker.ahead
        return worker

    @rule(seconds=st.floats(0, 1.5 * LEASE_SECONDS))
    def pass_time(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    @rule(name=workers)
    def claim(self, name: str) -> None:
        worker = self.as_(name)
        before = self.workers[self.owner].claim if self.owner else None
        try:
            worker.claim = self.store.claims.claim("b", 1, name, LEASE_SECONDS)
        except ClaimTakenError:
            assert self.owner not in (None, name)
            return
        if self.owner not in (None, name):
            assert before is not None
            assert before.expires is not None
            owner = self.workers[str(self.owner)]
            assert self.time + owner.ahead > before.expires  # by its own clock, too
        self.fences.append(worker.claim.fence or 0)
        self.owner = name

    @rule(name=workers)
    def crash(self, name: str) -> None:
        """It knows nothing of its claim any more; the claim is there until it expires."""
        if self.owner != name:
            self.workers[name].claim = None

    @rule(name=workers)
    def heartbeat(self, name: str) -> None:
        worker = self.as_(name)
        if worker.claim is None:
            return
        try:
            worker.claim = self.store.claims.heartbeat(worker.claim, LEASE_SECONDS)
            assert self.owner == name
        except ClaimLostError:
            assert self.owner != name

    @rule(name=workers)
    def release(self, name: str) -> None:
        worker = self.as_(name)
        if worker.claim is None:
            return
        try:
            self.store.claims.release(worker.claim)
            assert self.owner == name
            self.owner = None
        except ClaimLostError:
            assert self.owner != name

    @rule(name=workers)
    def save(self, name: str) -> None:
        worker = self.as_(name)
        if worker.claim is None:
            return
        try:
            self.store.results.save("b", 1, {"by": name}, worker.claim)
            assert self.owner == name
        except ResultConflictError:
            assert self.store.results.get("b", 1).result != {"by": name}  # whose was first stays
        except ClaimLostError:
            assert self.owner != name

    @invariant()
    def fences_only_grow(self) -> None:
        fences = getattr(self, "fences", [])
        assert fences == sorted(set(fences))


TestClaims = Claims.TestCase
TestClaims.settings = settings(stateful_step_count=40, max_examples=60)
