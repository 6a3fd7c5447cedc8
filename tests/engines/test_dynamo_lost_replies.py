"""A write that DynamoDB applied and whose reply was lost: it succeeds, once."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.transactions import ASKS
from bluestar_store.errors import ThrottledError, UnavailableError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, EXISTS, Delete, Put, TableSpec, Update, Write
from tests.engines.conftest import connection_to
from tests.engines.doors import ClientDoor
from tests.engines.shared_tables import INDEXES
from tests.servers import FaultProxy

STORED = {"PK": {"S": "OLD"}, "SK": {"S": "A"}, "version": {"N": "4"}}
NEW = {"PK": {"S": "NEW"}, "SK": {"S": "A"}, "version": {"N": "1"}}
OLD_KEY, NEW_KEY = Key("OLD", "A"), Key("NEW", "A")


@pytest.fixture
def proxy(fault_proxy: Callable[[str], FaultProxy], dynamodb_local_url: str) -> FaultProxy:
    return fault_proxy(dynamodb_local_url)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: None))


def engine_at(proxy: FaultProxy, **connection: Any) -> DynamoEngine:
    """An engine through the proxy that asks again at once."""
    return DynamoEngine(connection_to(proxy.url, **connection), indexes=INDEXES, sleep=lambda _: None)


def cut_replies(proxy: FaultProxy) -> int:
    return sum(event["operation"] == "TransactWriteItems" for event in proxy.fired())


@pytest.mark.parametrize("cuts", [1, 4])  # of three tries a call
@pytest.mark.parametrize("case", ["create", "versioned update", "delete", "several"])
def test_a_write_whose_reply_is_lost_succeeds_once(
    case: str,
    cuts: int,
    proxy: FaultProxy,
    local_connection: AwsConnection,
    local_tables: tuple[TableSpec, ...],
) -> None:
    table, other = local_tables[0].name, local_tables[1].name
    door = ClientDoor(local_connection.connection.client)
    door.put(table, STORED)
    update = Update(table, OLD_KEY, {"version": {"N": "5"}}, expect=4)
    writes: dict[str, tuple[Write, ...]] = {
        "create": (Put(table, NEW, ABSENT),),
        "versioned update": (update,),
        "delete": (Delete(table, OLD_KEY, EXISTS),),
        "several": (update, Put(other, NEW, ABSENT)),
    }
    engine = engine_at(proxy)
    proxy.cut_reply("TransactWriteItems", times=cuts)
    engine.write(*writes[case])  # a repetition taken for a second write would fail its own expectation
    assert cut_replies(proxy) == cuts
    changed = STORED | {"version": {"N": "5"}}
    expected = {"create": STORED, "versioned update": changed, "delete": None, "several": changed}
    assert door.get(table, OLD_KEY) == expected[case]
    assert door.get(table, NEW_KEY) == (NEW if case == "create" else None)
    assert door.get(other, NEW_KEY) == (NEW if case == "several" else None)
    engine.close()


FAULTS: dict[str, dict[str, Any]] = {
    "cut replies": {"response": {"abort_bytes": 0}},
    "errors": {"error": {"code": "InternalServerError"}},
    "a transaction in progress": {"error": {"code": "TransactionInProgressException", "status": 400}},
    "refusals": {"error": {"code": "ThrottlingException", "status": 400}},
}


@pytest.mark.parametrize("later", FAULTS)
def test_after_a_lost_reply_nothing_is_said_before_the_outcome_is_known(
    later: str, proxy: FaultProxy, local_tables: tuple[TableSpec, ...]
) -> None:
    engine = engine_at(proxy, max_attempts=2)
    proxy.cut_reply("TransactWriteItems")
    proxy.add_rule({"operation": "TransactWriteItems", "times": 3} | FAULTS[later])
    engine.write(Put(local_tables[0].name, NEW, ABSENT))
    assert cut_replies(proxy) == 4
    engine.close()


@pytest.mark.parametrize("later", FAULTS)
def test_when_nobody_answers_any_more_the_error_says_that_the_outcome_is_unknown(
    later: str,
    proxy: FaultProxy,
    local_connection: AwsConnection,
    local_tables: tuple[TableSpec, ...],
) -> None:
    table = local_tables[0].name
    engine = engine_at(proxy, max_attempts=2)
    proxy.cut_reply("TransactWriteItems")
    proxy.add_rule({"operation": "TransactWriteItems"} | FAULTS[later])
    with pytest.raises(UnavailableError, match="nobody says whether the transaction was written") as caught:
        engine.write(Put(table, NEW, ABSENT))
    assert caught.value.outcome_unknown
    assert cut_replies(proxy) == 2 * ASKS
    assert ClientDoor(local_connection.connection.client).get(table, NEW_KEY) == NEW
    engine.close()


def test_a_refusal_of_all_that_was_sent_is_no_doubt(proxy: FaultProxy, local_tables: tuple[TableSpec, ...]) -> None:
    engine = engine_at(proxy, max_attempts=2)
    proxy.add_rule({"operation": "TransactWriteItems"} | FAULTS["refusals"])
    with pytest.raises(ThrottledError) as caught:
        engine.write(Put(local_tables[0].name, NEW, ABSENT))
    assert not caught.value.outcome_unknown
    assert cut_replies(proxy) == 2
    engine.close()


def test_answers_that_come_too_late_are_asked_for_again(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    table = local_tables[0].name
    engine = engine_at(proxy, max_attempts=1, read_timeout_seconds=0.3)
    engine.get(table, [NEW_KEY])
    proxy.add_rule({"operation": "TransactWriteItems", "times": 2, "latency": 1000})
    engine.write(Put(table, NEW, ABSENT))
    assert cut_replies(proxy) == 2
    assert ClientDoor(local_connection.connection.client).get(table, NEW_KEY) == NEW
    engine.close()


def test_a_bulk_and_a_read_whose_replies_are_lost_succeed(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    table = local_tables[0].name
    engine = engine_at(proxy)
    proxy.cut_reply("BatchWriteItem")
    proxy.cut_reply("BatchGetItem")
    assert engine.put_many(table, [STORED, NEW]) == 2
    assert list(engine.get(table, [NEW_KEY, OLD_KEY], consistent=True).values()) == [NEW, STORED]
    assert {event["operation"] for event in proxy.fired()} == {"BatchWriteItem", "BatchGetItem"}
    engine.close()
