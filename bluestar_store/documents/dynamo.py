"""Documents on DynamoDB, by PynamoDB's connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from bluestar_store.documents import timestamps
from bluestar_store.documents.dynamo_table import prepare
from bluestar_store.documents.failures import GET, PUT, QUERY, UPDATE, condition_failed, invalid
from bluestar_store.documents.names import dynamo_table_name
from bluestar_store.documents.store import DocumentStore, IdGenerator
from bluestar_store.documents.values import same_items
from bluestar_store.engines.dynamo.cancelled import cancellation
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import BATCH_GET_KEYS, DynamoEngine
from bluestar_store.engines.dynamo.expressions import update_expression
from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    ConflictError,
    EngineError,
    TransactionConflictError,
)
from bluestar_store.protocols import AttributeValue, Item
from bluestar_store.protocols.items import chunks
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import Settings

EXISTS = "attribute_exists(#key)"
ABSENT = "attribute_not_exists(#key)"
SCAN = "Scan"


class _ConditionFailed(ConflictError):
    """DynamoDB refused a write for its condition; `item` is what is there, {} when nothing is."""

    def __init__(self, item: Item) -> None:
        super().__init__("the condition of the write does not hold")
        self.item = item


@without_locals
class PynamoStore(DocumentStore):
    """See `DynamoStore`. Made, it has its table: one DescribeTable, and where there is none, the table is made.

    On DynamoDB the table has the name that `{TABLE}_DYNAMO_TABLE_NAME` says, else the given one. Stores of one process
    share a connection. Reads are consistent and writes conditional; one whose reply was lost is applied once:
    UnavailableError with `outcome_unknown` where nobody knows whether it was, as `Engine.write`.
    Raises ConfigurationError for a table with another key.
    """

    def __init__(
        self,
        table_name: str,
        pk_name: str,
        id_generator: IdGenerator | None = None,
        *,
        indexes: Iterable[str] = (),
        settings: Settings | None = None,
    ) -> None:
        super().__init__(table_name, pk_name, id_generator, indexes=indexes)
        settings = settings or Settings()
        self._table = dynamo_table_name(table_name)
        self._connection = connection_of(settings)
        self._attempts = settings.conflict_attempts
        self._engine = DynamoEngine(self._connection, indexes=(), attempts=self._attempts)
        self._index_names = prepare(self._connection, self._table, pk_name, self.indexes)

    @property
    def connection(self) -> AwsConnection:
        """The connection, which other stores share."""
        return self._connection

    @property
    def location(self) -> str:
        """DynamoDB, and the table's name on it."""
        return f"{self._connection.location}, table {self._table}"

    def _read(self, key: str) -> Item | None:
        found: Item | None = self._call(GET, "get_item", Key=self._wire_key(key), ConsistentRead=True).get("Item")
        return found

    def _read_all(self) -> Iterator[Item]:
        return self._pages(SCAN, "scan", ConsistentRead=True)

    def _find(self, field: str, value: str) -> Iterator[Item]:
        found = self._pages(
            QUERY,
            "query",
            IndexName=self._index_names[field],
            KeyConditionExpression="#field = :value",
            ExpressionAttributeNames={"#field": field},
            ExpressionAttributeValues={":value": {"S": value}},
        )
        keys = {item[self.pk_name]["S"]: None for item in found}
        for chunk in chunks(keys, BATCH_GET_KEYS):
            items = self._engine.batch_get(self._table, [self._wire_key(key) for key in chunk], consistent=True)
            yield from (item for item in items if item.get(field) == {"S": value})

    def _pages(self, operation: str, method: str, **arguments: Any) -> Iterator[Item]:
        while True:
            answer = self._call(operation, method, **arguments)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _insert(self, key: str, item: Item, is_stamped: bool) -> None:
        def is_ours() -> bool | None:
            return (self._read(key) or {}).get(timestamps.CREATED) == item[timestamps.CREATED] if is_stamped else None

        try:
            self._put(item, ABSENT, is_ours)
        except _ConditionFailed:
            raise condition_failed(PUT, self._named(key, "exists already")) from None

    def _change(self, key: str, changes: Item) -> None:
        changed, condition, values = self._modified_as(None, changes)
        for _ in range(self._attempts):
            try:
                self._set(key, changed, condition, values)
                return
            except _ConditionFailed as failure:
                if not failure.item:
                    raise condition_failed(UPDATE, self._named(key, "does not exist")) from None
                # Its `modified` is of another shape than we took for granted.
                changed, condition, values = self._modified_as(failure.item.get(timestamps.MODIFIED), changes)
        raise TransactionConflictError(self._named(key, "others kept changing it; nothing was written"))

    def _modified_as(self, found: AttributeValue | None, changes: Item) -> tuple[Item, str, Item]:
        """The changes with a timestamp in the shape of what was found, on the condition that it is still there."""
        if timestamps.MODIFIED in changes:
            return changes, EXISTS, {}
        stamp = timestamps.shaped(found, timestamps.now())
        changed = changes | ({timestamps.MODIFIED: stamp} if stamp else {})
        if found is None or "S" in found:
            condition = "(attribute_not_exists(#modified) OR attribute_type(#modified, :text))"
            return changed, f"{EXISTS} AND {condition}", {":text": {"S": "S"}}
        return changed, f"{EXISTS} AND #modified = :found", {":found": found}

    def _set(self, key: str, changes: Item, condition: str, values: Item) -> None:
        names = {"#modified": timestamps.MODIFIED} if "#modified" in condition else {}
        values = dict(values)
        arguments: dict[str, Any] = {"Key": self._wire_key(key)}
        if changes:
            arguments["UpdateExpression"] = update_expression(changes, (), names, values)
        if values:
            arguments["ExpressionAttributeValues"] = values
        kind = "Update" if changes else "ConditionCheck"
        self._write(UPDATE, {kind: arguments | {"ConditionExpression": condition}}, names)

    def merge(self, items: Mapping[str, Item], overwrite: bool) -> Mapping[str, Item]:
        """See `DocumentStore`; item by item, and AlreadyExistsError for one that somebody makes meanwhile."""
        there = {key: item for item in self._read_all() if (key := item[self.pk_name]["S"]) in items}
        for key, item in items.items():
            if key not in there:
                try:
                    self._put(item, ABSENT)
                except _ConditionFailed:
                    raise AlreadyExistsError(self._named(key, "was made meanwhile; run the import again")) from None
            elif overwrite and not same_items(there[key], item):
                self._put(item, EXISTS)
        return there

    def _put(self, item: Item, condition: str, look: Callable[[], bool | None] = lambda: None) -> None:
        self._write(PUT, {"Put": {"Item": item, "ConditionExpression": condition}}, {}, look)

    def _write(
        self,
        operation: str,
        write: dict[str, dict[str, Any]],
        names: dict[str, str],
        look: Callable[[], bool | None] = lambda: None,
    ) -> None:
        """One write as a transaction, whose token lets it be sent again. Raises as `_checked`, and _ConditionFailed."""
        ((kind, arguments),) = write.items()
        arguments = arguments | {
            "TableName": self._table,
            "ExpressionAttributeNames": {"#key": self.pk_name} | names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

        def refusal(error: ClientError) -> BlueStarError:
            items = [(self._table, "an item")]
            return cancellation(error, items, self._connection.location, lambda _, item: _ConditionFailed(item or {}))

        with _checked(operation):
            self._engine.transact(self._table, [{kind: arguments}], refusal, look)

    def _call(self, operation: str, method: str, **arguments: Any) -> dict[str, Any]:
        """A read. Raises as `_checked`."""
        with _checked(operation):
            return self._connection.call(method, self._table, TableName=self._table, **arguments)

    def _wire_key(self, key: str) -> Item:
        return {self.pk_name: {"S": key}}


@contextmanager
def _checked(operation: str) -> Iterator[None]:
    """The ClientError for what DynamoDB does not take; all else is a BlueStarError."""
    try:
        yield
    except EngineError as error:
        if error.code.startswith("Validation") and not error.outcome_unknown:
            raise invalid(operation, str(error.args[0])) from error
        raise


def _sdk_environment() -> tuple[tuple[str, str], ...]:
    """What the AWS SDK takes its credentials and region from, besides its files."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


def connection_of(settings: Settings) -> AwsConnection:
    """The connection that all stores with these settings and this environment share."""
    return _shared_connection(settings, _sdk_environment())


@lru_cache(maxsize=8)
def _shared_connection(settings: Settings, environment: tuple[tuple[str, str], ...]) -> AwsConnection:
    """One for all stores with the same settings: agents open a store for each request, and a client takes longer to
    make than many calls."""
    return AwsConnection.from_settings(settings)
