"""Agents that work on a few items at random and note what they did: python -m tests.histories.agents WORK < JSON.

In threads of the test, or in processes of their own that may be killed at any moment: {"settings": fields of Settings,
"names": one a thread, "seed": its, "turns": how many each, "notes": the file}.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bluestar_store import ABSENT, CalculationRule, PipelineStep, Settings, Store
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import EXISTS, Update
from tests.histories import batches
from tests.histories.record import NotedInFile, Recorder, Sink

PLANS = ("P1", "P2", "P3")
TYPE = "match"
FREQ = "Weekly"

#: One thing that an agent does, over and over; the number is the turn.
Turn = Callable[[int], None]
#: Makes an agent of a Store, what notes its calls, and its own chance.
Work = Callable[[Store, Recorder, random.Random], Turn]


def versioned_rules(
    store: Store, record: Recorder, chance: random.Random, *, others: Sequence[str] = ("delete", "edit")
) -> Turn:
    """Reads, creates and puts rules, by what it read of them at any time before.

    Of the `others`: deletes them, and is a program that edits the description and counts no version.
    """
    rules = store.calculation_rules
    read: dict[str, CalculationRule] = {}

    def told(rule: CalculationRule) -> list[Any]:
        return [rule.version, rule.description]

    def turn(number: int) -> None:
        plan, content = chance.choice(PLANS), f"{record.process} {number}"
        known = read.get(plan)
        action = chance.choice(("read", "read", "create", "put", "put", "put", *others))
        if action == "edit":
            key = CALCULATION_RULE.keys.build({"plan_id": plan, "calc_type": TYPE})
            write = Update(store.tables.name(CALCULATION_RULE), key, {"description": {"S": content}}, expect=EXISTS)
            record.call("edit", plan, {"content": content}, partial(store.engine.write, write))
        elif action == "create":
            fresh = CalculationRule(plan_id=plan, calc_type=TYPE, description=content)
            made = record.call("create", plan, {"content": content}, partial(rules.put, fresh, ABSENT), told)
            if made is not None and chance.random() < 0.5:
                read[plan] = made
        elif known is None or action == "read":
            found = record.call("read", plan, None, partial(rules.get, plan, TYPE, fresh=True), told)
            if found is not None:
                read[plan] = found
        elif action == "delete":
            record.call("delete", plan, {"known": told(known)}, partial(rules.delete, known))
        else:
            changed = known.model_copy(update={"description": content})
            goes_by: dict[str, Any] = {"known": told(known), "content": content}
            made = record.call("put", plan, goes_by, partial(rules.put, changed), told)
            if made is not None and chance.random() < 0.8:
                read[plan] = made

    return turn


def whole_pipelines(store: Store, record: Recorder, chance: random.Random) -> Turn:
    """Replaces a pipeline by one with another number of steps, and reads it; each pipeline is one value."""
    pipelines = store.pipelines

    def turn(number: int) -> None:
        plan, content = chance.choice(PLANS), f"{record.process} {number}"
        if chance.random() < 0.4:
            steps = [
                PipelineStep(plan_id=plan, pay_freq=FREQ, step_order=step, agent=content)
                for step in chance.sample(range(1, 9), chance.randint(1, 6))
            ]
            value = one_value(steps)
            record.call("write", plan, value, partial(pipelines.replace, plan, FREQ, steps))
        else:
            read = partial(pipelines.steps, plan, FREQ, fallback=False, fresh=True)
            record.call("read", plan, None, read, one_value)

    return turn


def one_value(steps: Iterable[PipelineStep]) -> str | list[str] | None:
    """What tells a pipeline from all others: the writer's name and the steps' numbers; a list for a mixture."""
    found = sorted(steps, key=lambda step: step.step_order)
    agents = sorted({str(step.agent) for step in found})
    values = [f"{agent}: {[step.step_order for step in found if step.agent == agent]}" for agent in agents]
    return values if len(values) > 1 else values[0] if values else None


WORKS: Mapping[str, Work] = {
    "rules": versioned_rules,
    "rules that are put alone": partial(versioned_rules, others=()),
    "whole pipelines": whole_pipelines,
    "batches": batches.work,
}


def in_threads(run: Callable[[str], None], names: Iterable[str]) -> None:
    """Call it with each name, each in a thread of its own; raises what one of them raised."""
    names = list(names)
    with ThreadPoolExecutor(len(names)) as executor:
        for running in [executor.submit(run, name) for name in names]:
            running.result()


def work_in_threads(store: Store, names: Iterable[str], sink: Sink, work: Work, *, seed: int, turns: int) -> None:
    """An agent in each thread, each for so many turns."""

    def run(name: str) -> None:
        turn = work(store, Recorder(name, sink), random.Random(f"{seed} {name}"))
        for number in range(turns):
            turn(number)

    in_threads(run, names)


def main() -> None:
    given = json.load(sys.stdin)
    with Store.open(Settings(**given["settings"])) as store:
        sink = NotedInFile(Path(given["notes"]))
        work_in_threads(store, given["names"], sink, WORKS[sys.argv[1]], seed=given["seed"], turns=given["turns"])


if __name__ == "__main__":
    main()
