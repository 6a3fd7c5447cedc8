"""The engine on DynamoDB: batches, pages and transactions over one botocore client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from bluestar_store.clock import continuous
from bluestar_store.engines.checks import (
    check_isolated,
    check_key,
    check_keys,
    check_limit,
    check_question,
    check_specs,
    checked,
)
from bluestar_store.engines.conditions import conflict
from bluestar_store.engines.cursors import decode_cursor, encode_cursor, question_of, question_of_query
from bluestar_store.engines.dynamo import tables as dynamo_tables
from bluestar_store.engines.dynamo.bulk import BulkWrite, Unfinished
from bluestar_store.engines.dynamo.cancelled import ThrottledTransactionError, cancellation
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.expressions import transact_items
from bluestar_store.engines.missing import missing_index
from bluestar_store.errors import (
    BlueStarError,
    ConflictError,
    ThrottledError,
    TransactionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    ANY,
    BeforeAttempt,
    Check,
    IndexSpec,
    Item,
    Page,
    Place,
    Segment,
    TableSpec,
    TableStatus,
    Write,
    key_of,
)
from bluestar_store.protocols.items import chunks
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.threads import Threads

if TYPE_CHECKING:
    from tenacity import Retrying

BATCH_GET_KEYS = 100
"""Keys of one BatchGetItem (AWS limit)."""


@without_locals
class DynamoEngine:
    """See `protocols.Engine`. `attempts` bounds the tries of what botocore does not retry: conflicts and leftovers."""

    def __init__(
        self,
        connection: AwsConnection,
        *,
        indexes: Iterable[IndexSpec],
        parallel_calls: int = 8,
        attempts: int = 10,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = continuous,
    ) -> None:
        self.connection = connection
        self.parallel_calls = parallel_calls
        self._indexes = {index.name: index for index in indexes}
        self._attempts, self._sleep, self._clock = attempts, sleep, clock
        self._threads = Threads(parallel_calls, "bluestar-bulk")

    @property
    def location(self) -> str:
        """Where the items are."""
        return self.connection.location

    @property
    def data_id(self) -> str:
        """Alike however DynamoDB is reached, and whichever it is: `table_id` says that."""
        return "dynamo"

    def table_id(self, table: str) -> str:
        """See `protocols.TellsTables`: one DescribeTable."""
        return dynamo_tables.identity(self.connection, table)

    def _retrying(self, *errors: type[Exception], given_up: threading.Event | None = None) -> Retrying:
        from bluestar_store.retrying import attempts

        return attempts(*errors, most=self._attempts, given_up=given_up, sleep=self._sleep)

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`: one BatchGetItem a hundred keys; ThrottledError when some stay unprocessed."""
        wanted = check_keys(table, keys)
        found: dict[Key, Item] = {}
        for chunk in chunks(wanted, BATCH_GET_KEYS):
            items = self.batch_get(table, [_wire_key(key) for key in chunk], consistent=consistent)
            found |= {key_of(item): item for item in items}
        return {key: found[key] for key in wanted if key in found}

    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        """See `protocols.ReadsPlaces`: one BatchGetItem. To a transaction each item of it is a GetItem (AWS)."""
        request: dict[str, Any] = {}
        for table, key in dict.fromkeys(places):
            check_key(table, key)
            request.setdefault(table, {"Keys": [], "ConsistentRead": True})["Keys"].append(_wire_key(key))
        found = self._batch(request)
        return {(table, key_of(item)): item for table, items in found.items() for item in items}

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`: one TransactGetItems, at twice the price of a consistent read."""
        found = self._as_of_now([(table, key) for key in check_isolated(table, keys)])
        return {key: item for (_, key), item in found.items()}

    def _as_of_now(self, places: Sequence[tuple[str, Key]]) -> dict[tuple[str, Key], Item]:
        """The items at these places, of any tables, as of one moment: 100 at most."""
        if not places:
            return {}
        try:
            return self._asked_once(places)
        except (TransactionConflictError, ThrottledTransactionError) as error:  # only now load what tries again
            failure: Exception | None = error
        for attempt in self._retrying(TransactionConflictError, ThrottledTransactionError):
            with attempt:
                if failure is not None:
                    first, failure = failure, None
                    raise first
                found = self._asked_once(places)
        return found

    def _asked_once(self, places: Sequence[tuple[str, Key]]) -> dict[tuple[str, Key], Item]:
        gets = [{"Get": {"TableName": table, "Key": _wire_key(key)}} for table, key in places]
        table = ", ".join(dict.fromkeys(table for table, _ in places))
        try:
            answer = self.connection.call("transact_get_items", table, TransactItems=gets)
        except aws.ClientError as error:
            failure = _refusal([Check(*place, ANY) for place in places], self.location, error)
            raise failure from (None if isinstance(failure, ConflictError) else error)
        items = (found.get("Item") for found in answer["Responses"])
        return {place: item for place, item in zip(places, items, strict=True) if item}

    def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool) -> list[Item]:
        """The items found under keys in wire form, whatever a key of the table is: 100 at most, in no order.

        Raises ThrottledError when some stay unprocessed.
        """
        return self._batch({table: {"Keys": keys, "ConsistentRead": consistent}}).get(table, [])

    def _batch(self, request: Mapping[str, Any]) -> dict[str, list[Item]]:
        """The answer to one BatchGetItem, by table."""
        tables = ", ".join(request)
        answer = self.connection.call("batch_get_item", tables, RequestItems=request)
        if answer.get("UnprocessedKeys"):
            return self._whole(tables, answer)
        found: dict[str, list[Item]] = answer["Responses"]
        return found

    def _whole(self, tables: str, first: dict[str, Any]) -> dict[str, list[Item]]:
        """The items of a first answer that left keys unprocessed, and of those keys."""
        found: dict[str, list[Item]] = {}
        answer: dict[str, Any] | None = first
        request: dict[str, Any] = {}
        try:
            for attempt in self._retrying(Unfinished):
                with attempt:
                    if answer is None:
                        answer = self.connection.call("batch_get_item", tables, RequestItems=request)
                    for table, items in answer["Responses"].items():
                        found.setdefault(table, []).extend(items)
                    request, answer = answer.get("UnprocessedKeys") or {}, None
                    if request:
                        raise Unfinished
        except Unfinished:
            left = sum(len(asked["Keys"]) for asked in request.values())
            raise ThrottledError(f"{tables}: {left} keys stayed unprocessed after {self._attempts} attempts") from None
        return found

    def query(
        self,
        table: str,
        pk: str,
        sk_prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
    ) -> Page:
        """See `protocols.Engine`."""
        pk_name, sk_name = "PK", "SK"
        if index is not None:
            spec = self._indexes.get(index)
            if spec is None:
                raise missing_index(table, index, self.location)
            pk_name, sk_name = spec.partition_attribute, spec.sort_attribute
        check_question(table, pk, sk_prefix, limit)
        question = question_of_query(table, index, pk, sk_prefix, newest_first)
        arguments: dict[str, Any] = {
            "KeyConditionExpression": "#p = :p" + (" AND begins_with(#s, :s)" if sk_prefix else ""),
            "ExpressionAttributeNames": {"#p": pk_name} | ({"#s": sk_name} if sk_prefix else {}),
            "ExpressionAttributeValues": {":p": {"S": pk}} | ({":s": {"S": sk_prefix}} if sk_prefix else {}),
            "ScanIndexForward": not newest_first,
        }
        if index is not None:
            arguments["IndexName"] = index
        else:
            arguments["ConsistentRead"] = consistent
        # The partition of the position is the question's own: a cursor holds only what lies behind it.
        names = ["SK"] if index is None else [sk_name, "PK", "SK"]
        return self._page("query", table, question, names, {pk_name: {"S": pk}}, sk_prefix, arguments, limit, cursor)

    def scan(
        self,
        table: str,
        *,
        sk_prefix: str = "",
        lacking: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
        segment: Segment | None = None,
    ) -> Page:
        """See `protocols.Engine`."""
        filters = []
        arguments: dict[str, Any] = {"ConsistentRead": consistent}
        names, values = {}, {}
        if sk_prefix:
            filters.append("begins_with(#s, :s)")
            names["#s"], values[":s"] = "SK", {"S": sk_prefix}
        if lacking:
            filters.append("attribute_not_exists(#l)")
            names["#l"] = lacking
        if filters:
            arguments |= {"FilterExpression": " AND ".join(filters), "ExpressionAttributeNames": names}
        if values:
            arguments["ExpressionAttributeValues"] = values
        if segment is not None:
            arguments |= {"Segment": segment.number, "TotalSegments": segment.of}
        check_limit(limit)
        question = question_of(table, "scan", sk_prefix, lacking, segment)
        return self._page("scan", table, question, ["PK", "SK"], {}, "", arguments, limit, cursor)

    def _page(
        self,
        operation: str,
        table: str,
        question: str,
        names: list[str],
        partition: Item,
        sk_prefix: str,
        arguments: dict[str, Any],
        limit: int | None,
        cursor: str | None,
    ) -> Page:
        if cursor:
            position = decode_cursor(question, cursor, len(names), sk_prefix)
            arguments["ExclusiveStartKey"] = partition | {
                name: {"S": text} for name, text in zip(names, position, strict=True)
            }
        if limit:
            arguments["Limit"] = limit
        answer = self.connection.call(operation, table, TableName=table, **arguments)
        last = answer.get("LastEvaluatedKey")
        after = encode_cursor(question, [last[name]["S"] for name in names]) if last else None
        return Page(answer["Items"], after)

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.AnnouncesAttempts`: one TransactWriteItems with a request token, also for a single write.

        The token makes every write safe to send again, deletes and creations too, which no attribute on the item
        could; AWS keeps it for ten minutes. The price is that of a transaction: two write units instead of one.
        """
        ready = checked(writes)
        if not ready:
            return
        table = ", ".join(dict.fromkeys(write.table for write in ready))
        refusal = partial(_refusal, ready, self.location)
        self.transact(table, transact_items(ready), refusal, partial(self._outcome_by_item, ready), before_attempt)

    def transact(
        self,
        table: str,
        items: list[dict[str, Any]],
        refusal: Callable[[aws.ClientError], BlueStarError],
        look: Callable[[], bool | None] = lambda: None,
        before_attempt: BeforeAttempt | None = None,
    ) -> None:
        """One transaction in DynamoDB's own form, applied once, on tables with any key; see `write_once`."""
        from bluestar_store.engines.dynamo.transactions import write_once

        write_once(
            self.connection,
            table,
            items,
            retrying=self._retrying(TransactionConflictError, ThrottledTransactionError),
            refusal=refusal,
            look=look,
            before_attempt=before_attempt,
            clock=self._clock,
            sleep=self._sleep,
        )

    def _outcome_by_item(self, writes: Sequence[Write]) -> bool | None:
        from bluestar_store.engines.dynamo.outcome import is_written, witness_write

        write = witness_write(writes)
        if write is None:
            return None
        place = (write.table, write.key)
        return is_written(write, self._as_of_now([place]).get(place))

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """See `protocols.Engine`: BatchWriteItem, 25 at a time; of two items with one key the later one wins.

        `parallel_calls` batches are in flight at most, fewer while DynamoDB throttles.
        """
        bulk = BulkWrite(
            self.connection.call,
            table,
            retrying=partial(self._retrying, Unfinished),
            threads=self._threads,
            most=self.parallel_calls,
            progress=progress,
        )
        return bulk.run(items)

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        """See `protocols.Engine`."""
        check_specs(specs)
        return dynamo_tables.create(self.connection, specs, upgrade=upgrade, sleep=self._sleep)

    def describe(self, spec: TableSpec) -> TableStatus:
        """See `protocols.Engine`; DynamoDB counts items about every six hours."""
        return dynamo_tables.describe(self.connection, spec)

    def delete_tables(self, names: Sequence[str]) -> None:
        """See `protocols.Engine`."""
        dynamo_tables.delete(self.connection, names, sleep=self._sleep)

    def close(self) -> None:
        """End the threads of bulk writes and close the connection pool."""
        self._threads.close()
        self.connection.close()


def _wire_key(key: Key) -> dict[str, Any]:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}}


def _refusal(writes: Sequence[Write], location: str, error: aws.ClientError) -> BlueStarError:
    """The error for the first write that AWS names as the reason of a cancelled transaction."""

    def unmet(number: int, item: Item | None) -> ConflictError:
        write = writes[number]
        changed = ConflictError(f"{write.table}: {write.key}: changed while it was written")
        changed.place = (write.table, write.key)
        return conflict(write.table, write.key, write.expect, item) or changed

    return cancellation(error, [(write.table, str(write.key)) for write in writes], location, unmet)
