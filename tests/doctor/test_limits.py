"""The doctor tells of what has come half the way to a limit, while there is time to do something about it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bluestar_store import PersistenceMode, PipelineStep, Settings, Store, TableLayout
from bluestar_store.doctor import Finding, Severity, examine
from bluestar_store.engines.memory import tables
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.models.batches import BATCH_RULES
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.testing import FrozenClock
from tests.own_kinds import KINDS, PAY_CALENDAR
from tests.store_suite.side_door import wire


def opened(**settings: object) -> tuple[Store, FrozenClock]:
    clock = FrozenClock()
    wanted = Settings(persistence_mode=PersistenceMode.MEMORY).model_copy(update=settings)
    store = Store(wanted, MemoryEngine(), clock=clock)
    store.create_tables()
    return store, clock


def limits(store: Store, check: str = "limit") -> list[Finding]:
    return [finding for finding in examine(store) if finding.check == check]


@pytest.mark.parametrize(("count", "warned"), [(49, False), (50, True)])
def test_a_pipeline_of_over_half_the_steps_that_can_be_replaced(count: int, warned: bool) -> None:
    store, _ = opened()
    steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n) for n in range(1, count + 1)]
    store.pipelines.replace("ACME", "Weekly", steps)
    assert [(one.severity, one.pk) for one in limits(store)] == [(Severity.WARNING, "CLIENT#ACME_Weekly")] * warned


@pytest.mark.parametrize(("count", "warned"), [(1400, False), (2000, True)])
def test_a_batch_whose_rules_fill_half_an_item(count: int, warned: bool) -> None:
    store, _ = opened()
    digests = {f"calculation-rules/CLIENT#ACME/CALC#type_{n:06d}": {"S": "d" * 64} for n in range(count)}
    rules = wire("BATCH#b", "RULES", items={"M": digests}, version={"N": "1"})
    store.engine.put_many(store.tables.name(BATCH_RULES), [rules])
    found = limits(store)
    assert [(one.severity, one.pk, one.sk) for one in found] == [(Severity.WARNING, "BATCH#b", "RULES")] * warned


def test_a_table_that_lists_scan_until_it_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PAGE_ITEMS", 10)
    monkeypatch.setattr(MemoryEngine, "parallel_calls", 2)
    store, _ = opened()
    table = store.tables.name(CALCULATION_RULE)
    store.engine.put_many(table, (wire(f"CLIENT#P{n:04d}", "CALC#match") for n in range(165)))
    (finding,) = limits(store)
    assert (finding.severity, finding.table) == (Severity.WARNING, table)
    assert "create --upgrade" in finding.mend
    store.create_tables(upgrade=True)
    assert limits(store) == []


@pytest.mark.parametrize(
    ("hours", "severity"), [(0.5, None), (2, Severity.INFO), (12, Severity.INFO), (13, Severity.WARNING)]
)
def test_the_age_of_the_last_recheck_is_told_and_warned_of_at_half_of_its_time(
    hours: float, severity: Severity | None
) -> None:
    store, clock = opened()
    store.create_tables(upgrade=True)
    clock.advance(timedelta(hours=hours))
    found = limits(store, "index-recheck")
    assert {finding.severity for finding in found} == ({severity} if severity else set())
    assert all(f"{hours:g} hours ago" in finding.what for finding in found)


def test_a_mark_that_does_not_cover_a_kind_is_told() -> None:
    store, clock = opened(table_layout=TableLayout.SINGLE)
    store.create_tables(upgrade=True)
    with Store(store.settings, store.engine, kinds=KINDS, clock=clock) as extended:
        (finding,) = limits(extended, "index-recheck")
        assert (finding.severity, PAY_CALENDAR.name in finding.what) == (Severity.WARNING, True)
        extended.create_tables(upgrade=True)
        assert limits(extended, "index-recheck") == []
