"""What agents do to batches, as a history: moves of a batch, its plan's holds, its trail; and what may be in it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from bluestar_store import ABSENT, BatchState, BatchStatus, Store
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.protocols import EXISTS, Update
from tests.histories.record import Operation, Outcome, Recorder

BATCHES = tuple(f"b{number}" for number in range(6))
MOVES = (BatchStatus.RUNNING, BatchStatus.RUNNING, BatchStatus.ON_HOLD, BatchStatus.FAILED)
LAST_MOVES = (BatchStatus.COMPLETED, BatchStatus.CANCELLED)


def plan_of(batch_id: str) -> str:
    """Two batches a plan, whose holds stop both."""
    return f"PLAN{int(batch_id[1:]) // 2}"


def trail_of(plan: str) -> str:
    """Where agents note what they do about a plan."""
    return f"trail-{plan}"


def work(store: Store, record: Recorder, chance: random.Random) -> Any:
    """Starts batches, moves them and claims steps as it read them at any time before, places and releases holds.

    Appends to trails.

    Now and then it is an old program that cancels a batch and counts no version.
    """
    read: dict[str, BatchState] = {}
    placed: list[tuple[str, str]] = []

    def told(batch: BatchState) -> list[Any]:
        return [batch.version, str(batch.status)]

    def move(batch_id: str) -> None:
        known = read.get(batch_id)
        if known is None or chance.random() < 0.3:
            found = record.call("read", batch_id, None, partial(store.batches.get, batch_id), told)
            if found is not None:
                read[batch_id] = found
            return
        status = chance.choice(LAST_MOVES if chance.random() < 0.03 else MOVES)
        argument: dict[str, Any] = {"known": told(known), "content": str(status), "plan": plan_of(batch_id)}
        advance = partial(store.batches.advance, known, status=status, step=(known.current_step or 0) + 1)
        made = record.call("put", batch_id, argument, advance, told)
        if made is not None:
            read[batch_id] = made

    def claim(batch_id: str, worker: str) -> None:
        """Of a step of its own, which nobody else is after, by the batch as it was read at any time before."""
        if (known := read.get(batch_id)) is not None:
            step = chance.randrange(10**6)
            take = partial(store.claims.claim, known, step, worker, 60)
            record.call("claim", f"{batch_id} {step}", {"plan": plan_of(batch_id)}, take, lambda made: made.fence)

    def cancel(batch_id: str) -> None:
        status = {"status": {"S": str(BatchStatus.CANCELLED)}}
        key = BATCH_STATE.keys.build({"batch_id": batch_id})
        write = Update(store.tables.name(BATCH_STATE), key, status, expect=EXISTS)
        content = {"content": str(BatchStatus.CANCELLED)}
        record.call("edit", batch_id, content, partial(store.engine.write, write))

    def turn(number: int) -> None:
        batch_id = chance.choice(BATCHES)
        plan, name = plan_of(batch_id), f"{record.process.replace(' ', '-').replace('/', '-')}-{number}"
        actions, weights = ("start", "move", "claim", "place", "release", "append", "cancel"), (2, 8, 4, 1, 3, 3, 0.4)
        match chance.choices(actions, weights)[0]:
            case "start":
                state = BatchState(batch_id=batch_id, plan_id=plan, status=BatchStatus.RECEIVED)
                content = {"content": str(BatchStatus.RECEIVED)}
                record.call("create", batch_id, content, partial(store.batches.put, state, ABSENT), told)
            case "move":
                move(batch_id)
            case "claim":
                claim(batch_id, name)
            case "place":
                record.call("place", plan, name, partial(store.holds.place, plan, "why", hold_id=name), lambda _: name)
                placed.append((plan, name))
            case "release" if placed:
                plan, name = placed.pop()
                record.call("release", plan, name, partial(store.holds.release, plan, name), lambda _: name)
            case "append":
                append = partial(store.audit.append, trail_of(plan), action=name)
                record.call("append", trail_of(plan), name, append, lambda _: name)
            case "cancel":
                cancel(batch_id)

    return turn


def past_a_hold(history: Sequence[Operation]) -> list[str]:
    """Steps that began, and batches that went on, while a hold of their plan was open for sure, from call to end."""
    wrong = []
    placed = [one for one in history if one.action == "place" and one.outcome is Outcome.OK]
    released = {one.argument: one.began for one in history if one.action == "release"}
    for run in history:
        if run.action in ("put", "claim") and run.outcome is Outcome.OK:  # each move goes to another step
            for hold in placed:
                until = released.get(hold.argument, float("inf"))
                if hold.subject == run.argument["plan"] and hold.ended <= run.began and run.ended <= until:
                    wrong.append(f"{run} although {hold.argument} was open")
    return wrong


def not_once(appends: Iterable[Operation], actions: Sequence[str | None]) -> list[str]:
    """What is in a trail other than once, or in another order than it was done in."""
    wrong = []
    appends = list(appends)
    places = {action: number for number, action in enumerate(actions)}
    for one in appends:
        count = actions.count(one.argument)
        allowed = {Outcome.OK: {1}, Outcome.UNKNOWN: {0, 1}}.get(one.outcome, {0})
        if count not in allowed:
            wrong.append(f"{count} times: {one}")
    for one in appends:
        for later in appends:
            if one.ended < later.began and places.get(one.argument, -1) > places.get(later.argument, len(actions)):
                wrong.append(f"out of order: {one}; {later}")
    return wrong
