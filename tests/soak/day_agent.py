"""One agent of the simulated day: python -m tests.soak.day_agent NAME SEED < the day as JSON.

It may be killed at any moment, and started again under the same name. Everything it does can be repeated: it reads
where a batch is, does the next thing, and writes what it did and its audit entry in one unit of work.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import dataclass

from bluestar_store import (
    BatchNotFoundError,
    BatchState,
    BatchStatus,
    ConflictError,
    EngineError,
    Settings,
    Store,
)

LEASE_SECONDS = 3.0
OVER = (BatchStatus.COMPLETED, BatchStatus.CANCELLED)


@dataclass(frozen=True)
class Day:
    """What there is to do."""

    batches: list[str]
    steps: int
    plans: int
    hold_chance: float

    def plan_of(self, batch_id: str) -> str:
        return f"PLAN{self.batches.index(batch_id) % self.plans}"


class Agent:
    """Works until every batch is over."""

    def __init__(self, store: Store, day: Day, name: str, seed: int) -> None:
        self.store, self.day, self.name, self.random = store, day, name, random.Random(seed)

    def work(self) -> None:
        left = list(self.day.batches)
        while left:
            batch_id = self.random.choice(left)
            try:
                if self.turn(batch_id):
                    left.remove(batch_id)
            except BatchNotFoundError:  # it comes later in the day
                time.sleep(self.random.uniform(0, 0.1))
            except (ConflictError, EngineError):  # somebody was faster, or nobody knows: look again
                time.sleep(self.random.uniform(0, 0.02))

    def turn(self, batch_id: str) -> bool:
        """One thing that a batch needs; whether it is over."""
        batch = self.store.batches.get(batch_id)
        if batch.status in OVER:
            return True
        if batch.status is BatchStatus.RUNNING:
            self.step(batch)
        elif batch.status is BatchStatus.ON_HOLD:
            self.resume(batch)
        else:
            self.advance(batch, status=BatchStatus.RUNNING, step=1)
        return False

    def step(self, batch: BatchState) -> None:
        number = batch.current_step or 1
        if self.random.random() < self.day.hold_chance:
            self.hold(batch)
            return
        claim = self.store.claims.claim(batch, number, self.name, LEASE_SECONDS)
        self.store.results.save(batch, number, {"batch": batch.batch_id, "step": number}, claim)
        moves: dict[str, object] = {"step": number + 1}
        if number == self.day.steps:
            moves = {"status": BatchStatus.COMPLETED}
        self.advance(batch, done=number, claim=claim, **moves)
        self.store.claims.release(claim)

    def hold(self, batch: BatchState) -> None:
        with self.store.unit_of_work() as uow:
            hold = uow.holds.place(str(batch.plan_id), "to be looked at", batch_id=batch.batch_id)
            self.advance(batch, status=BatchStatus.ON_HOLD, hold=hold.hold_id)

    def resume(self, batch: BatchState) -> None:
        own = [hold for hold in self.store.holds.open(str(batch.plan_id)) if hold.batch_id == batch.batch_id]
        if own:
            with self.store.unit_of_work() as uow:
                uow.holds.release(own[0].plan_id, own[0].hold_id, released_by=self.name)
                uow.audit.append(batch.batch_id, actor=self.name, action="release", details={"hold": own[0].hold_id})
        else:
            self.advance(batch, status=BatchStatus.RUNNING)

    def advance(self, batch: BatchState, **moves: object) -> None:
        noted: dict[str, object] = {name: moves.pop(name) for name in ("done", "hold") if name in moves}
        with self.store.unit_of_work() as uow:
            after = uow.batches.advance(batch, **moves)  # type: ignore[arg-type]  # status, step and claim
            details = {"status": str(after.status), "version": after.version, **noted}
            uow.audit.append(batch.batch_id, actor=self.name, action="advance", details=details)


def main() -> None:
    name, seed = sys.argv[1], int(sys.argv[2])
    given = json.load(sys.stdin)
    day = Day(**given["day"])
    with Store.open(Settings(**given["settings"])) as store:
        Agent(store, day, name, seed).work()


if __name__ == "__main__":
    main()
