"""A cache of somebody's own, with the four methods that release 0.1.0 has, serves repositories as ours does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import CalculationRule, PipelineStep, Settings
from bluestar_store.cache.control import NullCache, consistent
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import MISSING, Source
from bluestar_store.repositories.calculation_rules import CalculationRuleRepository
from bluestar_store.repositories.pipelines import PipelineRepository
from bluestar_store.repositories.session import StoreParts
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.store import tables_of
from bluestar_store.testing import FaultEngine
from tests.cache.stores import one_store


class OwnCache:
    """A dict, and 0.1.0's names of parameters."""

    def __init__(self) -> None:
        self.values: dict[tuple[Any, ...], Any] = {}
        self.is_closed = False

    def peek(self, unit: tuple[Any, ...]) -> Any:
        return self.values.get(unit, MISSING)

    def fetch(self, units: Sequence[tuple[Any, ...]], source: Source, *, fresh: bool) -> Mapping[tuple[Any, ...], Any]:
        if fresh or any(unit not in self.values for unit in units):
            self.values.update(source.load(list(dict.fromkeys(units))))
        return {unit: self.values[unit] for unit in units if unit in self.values}

    @contextmanager
    def writing(self, units: Iterable[tuple[Any, ...]]) -> Iterator[None]:
        try:
            yield
        finally:
            for unit in units:
                self.values.pop(unit, None)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def engine() -> FaultEngine:
    return FaultEngine(MemoryEngine())


@dataclass(frozen=True)
class Held:
    """What repositories need of a Store."""

    sessions: Sessions


@pytest.fixture
def store(engine: FaultEngine) -> Held:
    tables = tables_of(Settings(persistence_mode="memory"), ())
    engine.create_tables(tables.specs())
    return Held(Sessions(StoreParts(engine, tables, OwnCache())))


def test_reads_with_a_fallback_are_answered_by_it(engine: FaultEngine, store: Held) -> None:
    rules = CalculationRuleRepository(store)
    rules.put(CalculationRule(plan_id="GLOBAL", calc_type="match", max_pct=Decimal(6)))
    assert rules.get("ACME", "match").max_pct == 6
    engine.faults.forget()
    assert rules.get("GLOBAL", "match").max_pct == 6
    again = rules.get("ACME", "match")
    assert again.max_pct == 6
    assert again.inherited_by == "ACME"
    assert engine.faults.counts == {}
    assert [one.max_pct for one in rules.all("ACME").values()] == [6]


def test_what_is_written_is_read_at_once(store: Held) -> None:
    rules, pipelines = CalculationRuleRepository(store), PipelineRepository(store)
    rule = rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(6)))
    assert rules.get("ACME", "match").max_pct == 6
    rules.put(rule.model_copy(update={"max_pct": Decimal(5)}))
    assert rules.get("ACME", "match").max_pct == 5
    pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100)])
    assert [step.step_order for step in pipelines.steps("ACME", "Weekly")] == [100]
    pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=200)])
    assert [step.step_order for step in pipelines.steps("ACME", "Weekly")] == [200]


def test_a_cache_that_has_all_methods_is_used_as_it_is() -> None:
    null = NullCache()
    assert consistent(null) is null
    with one_store() as (store, _):
        cache = store.cache._cache
        assert isinstance(cache, TieredCache)
        assert consistent(cache) is cache


def test_one_that_lacks_them_may_have_been_written_lately() -> None:
    cache = OwnCache()
    completed = consistent(cache)
    assert completed.changed_lately(("calculation-rule", "ACME", "match"))
    completed.close()
    assert cache.is_closed
