"""Tables that many tests use one after the other: eight take longer to make and to delete than most tests to run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bluestar_store.engines.dynamo.bulk import BATCH_WRITE_ITEMS
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.errors import TableMissingError
from bluestar_store.models.registry import KINDS
from bluestar_store.models.tables import Tables, index_specs
from bluestar_store.protocols import Item, TableSpec
from bluestar_store.protocols.items import chunks
from bluestar_store.settings import TableLayout

INDEXES = tuple(index for kind in KINDS for index in index_specs(kind).values())
"""Of all tables, as `Store.open` gives them to its engine."""


class SharedTables:
    """The tables of both layouts on one connection, under suffixes that nobody else uses; made when first wanted."""

    def __init__(self, connection: AwsConnection) -> None:
        self.connection = connection
        self._suffixes = {layout: f"-{layout}-{uuid.uuid4().hex[:12]}" for layout in TableLayout}

    def emptied(self, layout: TableLayout) -> str:
        """The suffix of a layout's tables, all of which are there now, without items."""
        specs = self.specs(layout)
        try:
            for spec in specs:
                self._empty(spec.name)
        except TableMissingError:
            engine = DynamoEngine(self.connection, indexes=INDEXES)
            engine.delete_tables([spec.name for spec in specs])
            engine.create_tables(specs)
        return self.suffix(layout)

    def suffix(self, layout: TableLayout) -> str:
        """Of a layout's tables."""
        return self._suffixes[layout]

    def specs(self, layout: TableLayout) -> tuple[TableSpec, ...]:
        """The tables of a layout."""
        return Tables("bluestar-", self.suffix(layout), layout).specs()

    def delete(self) -> None:
        """Leave no table behind."""
        engine = DynamoEngine(self.connection, indexes=INDEXES)
        engine.delete_tables([spec.name for layout in TableLayout for spec in self.specs(layout)])

    def _empty(self, table: str) -> None:
        for chunk in chunks(self._keys(table), BATCH_WRITE_ITEMS):
            left = {table: [{"DeleteRequest": {"Key": key}} for key in chunk]}
            while left:
                left = self.connection.call("batch_write_item", table, RequestItems=left)["UnprocessedItems"]

    def _keys(self, table: str) -> Iterator[Item]:
        start: dict[str, Any] = {}
        while True:
            # Whole items: for a projection, moto would read numbers, and break on those that are over its 38 digits.
            page = self.connection.call("scan", table, TableName=table, ConsistentRead=True, **start)
            yield from ({name: item[name] for name in ("PK", "SK")} for item in page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@contextmanager
def shared_tables_of(connection: AwsConnection) -> Iterator[SharedTables]:
    """Such tables until the block ends."""
    shared = SharedTables(connection)
    yield shared
    shared.delete()
