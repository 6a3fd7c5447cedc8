"""What a write reads first: all of it is one round trip where the engine has one for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import BatchStatus, CalculationRule, Settings, Store, TableLayout
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Item, Place, reads_places
from tests.engines.shared_tables import SharedTables
from tests.store_suite.batches import with_rules
from tests.stores.conftest import store_on

READS = ["batch_get_item", "transact_write_items"]


@pytest.fixture
def store(shared_moto_tables: SharedTables) -> Iterator[Store]:
    with store_on(shared_moto_tables, TableLayout.PER_TABLE) as store:
        yield store


@pytest.fixture
def calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], list[str]]:
    """The calls to DynamoDB that some work makes."""
    connection: Any = store.engine.connection  # type: ignore[attr-defined]
    made: list[str] = []
    call = connection.call

    def counted(operation: str, *args: Any, **options: Any) -> Any:
        made.append(operation)
        return call(operation, *args, **options)

    monkeypatch.setattr(connection, "call", counted)

    def calls_of(work: Callable[[], Any]) -> list[str]:
        made.clear()
        work()
        return list(made)

    return calls_of


def test_a_put_reads_the_item_and_the_head_of_its_trail_at_once(
    store: Store, calls: Callable[[Callable[[], Any]], list[str]]
) -> None:
    rule = CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(4))
    assert calls(lambda: store.calculation_rules.put(rule)) == READS
    read = store.calculation_rules.get("ACME", "match")
    assert calls(lambda: store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(5)}))) == READS
    assert calls(lambda: store.calculation_rules.put(rule)) == READS
    assert calls(lambda: store.calculation_rules.delete(rule)) == READS


def test_a_batch_that_begins_to_run_reads_itself_and_the_guard_of_the_holds_at_once(
    store: Store, calls: Callable[[Callable[[], Any]], list[str]]
) -> None:
    with_rules(store)
    batch = store.batches.start("ACME", "Weekly", 2026)
    made = calls(lambda: store.batches.advance(batch, BatchStatus.RUNNING))
    assert made.count("batch_get_item") == 1


def test_a_hold_is_read_with_its_guard(store: Store, calls: Callable[[Callable[[], Any]], list[str]]) -> None:
    hold = store.holds.place("ACME", "x")
    made = calls(lambda: store.holds.put(hold.model_copy(update={"reason": "y"})))
    assert made[:2] == ["batch_get_item", "query"]  # the open holds are counted after the guard was read


class OwnGet(MemoryEngine):
    """A subclass that sees each `get`, and knows nothing of other ways to read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        self.seen.append(table)
        return super().get(table, keys, consistent=consistent)


class OwnBoth(OwnGet):
    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        return super().get_places(places)


def test_an_engine_that_overrides_get_alone_is_read_by_it() -> None:
    assert not reads_places(OwnGet())
    assert reads_places(OwnBoth())
    engine = OwnGet()
    with Store(Settings(persistence_mode="memory"), engine) as store:
        store.create_tables()
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(4)))
    assert engine.seen == [f"bluestar-{name}" for name in ("calculation-rules", "processing-metadata")]
