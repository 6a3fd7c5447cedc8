"""The commit of a unit of work, beside the bare call with the same items, on DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from benchmarks.bench import Bench
from benchmarks.measure import Contender, compare
from benchmarks.report import Line
from bluestar_store import ABSENT, BatchState, BatchStatus, Store
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.protocols import Item, Put
from bluestar_store.repositories.changes import new_item

ITEMS = 10
BARE = "transact_write_items"


def rows(bench: Bench) -> Iterator[Line]:
    """Ten new items, each expected to be absent; nothing is read."""
    with Store.open(bench.dynamo()) as store:
        store.create_tables()
        table = store.tables.name(BATCH_STATE)
        client = store._sessions.current().engine.connection.connection.client  # type: ignore[attr-defined]  # DynamoEngine's

        def unit(calls: int) -> object:
            for _ in range(calls):
                with store._sessions.unit() as opened:
                    opened.engine.write(*(Put(table, item, ABSENT) for item in _items()))
            return True

        def bare(calls: int) -> object:
            for _ in range(calls):
                puts = [_put(table, item) for item in _items()]
                client.transact_write_items(TransactItems=puts, ClientRequestToken=str(uuid.uuid4()))
            return True

        contenders = [Contender("bluestar-store", unit, bool), Contender(BARE, bare, bool)]
        yield from compare("unit of 10 items", contenders, {BARE: 1.15}, rounds=bench.rounds(400), calls=1)


def _put(table: str, item: Item) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": item, "ConditionExpression": "attribute_not_exists(PK)"}}


def _items() -> list[Item]:
    made = []
    for _ in range(ITEMS):
        batch = BatchState(
            batch_id=uuid.uuid4().hex, plan_id="ACME", pay_freq="Weekly", year=2026, status=BatchStatus.RECEIVED
        )
        made.append(new_item(BATCH_STATE, batch))
    return made
