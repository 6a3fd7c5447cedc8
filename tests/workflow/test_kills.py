"""Agents that are killed between any two steps of a commit: all of the unit is there, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestar_store import BatchStatus, RuleNotFoundError, Store, Trail
from bluestar_store.models.holds import HOLD_GUARD
from tests.child_processes import output, python_module
from tests.workflow.agents import opened, settings_of
from tests.workflow.killed_agent import WORKER, names, write


@pytest.mark.slow
@pytest.mark.parametrize("target", ["file", "dynamo"])
def test_a_unit_whose_agent_is_killed_is_whole_or_was_never_there(
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    soak: bool,
    record_property: Callable[[str, object], None],
) -> None:
    settings = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    given = json.dumps(settings.model_dump(mode="json", exclude_unset=True))
    kills = 0 if soak else {"file": 40, "dynamo": 20}[target]
    with opened(settings) as store:  # open all the time, as another agent's
        with python_module("tests.workflow.killed_agent", given, kills) as process:
            ends = dict(line.decode().strip().split(" ", 1) for line in output(process))
            assert process.wait(60) == 0
        assert ends["0"] == "done"
        whole = {number: _check(store, int(number)) for number in ends}
        assert all(whole[number] for number, end in ends.items() if end == "done")
        record_property("killed", [sum(not made for made in whole.values()), sum(whole.values())])
        assert set(whole.values()) == {True, False}  # else no kill came where it matters
        for number in map(int, ends):
            if not whole[str(number)]:
                batch = store.batches.get(names(number)[0])
                write(store, batch, store.claims.claim(batch, 1, WORKER, 600))  # the worker, started again
            assert _check(store, number)


def _check(store: Store, number: int) -> bool:
    """Whether all of it is there; fails when a part of it is."""
    batch_id, plan_id = names(number)
    history = store.batches.history(batch_id)
    trail = Trail(table="calculation-rules", partition=f"CLIENT#{plan_id}")
    guard = HOLD_GUARD.keys.build({"plan_id": plan_id})
    table = store.tables.name(HOLD_GUARD)
    parts = {
        "state": history.state.status is BatchStatus.ON_HOLD,
        "version": history.state.version == 2,
        "results": len(history.results) == 1,
        "audit": [entry.action for entry in history.audit] == ["saved", "held"],
        "any audit": len(history.audit) > 0,
        "hold": len(store.holds.open(plan_id)) == 1,
        "guard": guard in store.engine.get(table, [guard], consistent=True),
        "rule": _has_rule(store, plan_id),
        "trail": [entry.action for entry in store.audit.entries(trail)] == ["create"],
    }
    assert len(set(parts.values())) == 1, f"{number}: {parts}"
    assert store.audit.verify(batch_id) == store.audit.verify(trail) == ()
    return parts["state"]


def _has_rule(store: Store, plan_id: str) -> bool:
    try:
        store.calculation_rules.get(plan_id, "match", fresh=True)
    except RuleNotFoundError:
        return False
    return True
