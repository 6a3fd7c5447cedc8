"""What DynamoDB leaves undone: asked again with pauses, a limit, and nothing dropped."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.transactions import ASKS
from bluestar_store.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    EngineError,
    InvalidWriteError,
    ItemTooLargeError,
    ThrottledError,
    TransactionConflictError,
    UnavailableError,
    UnprocessedItemsError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, EXISTS, Delete, Item, Put, Update, key_of
from tests.engines.fakes import Scripted, cancelled, scripted

TABLE = "bluestar-store"


def items(count: int) -> list[Item]:
    return [{"PK": {"S": f"P{number:03d}"}, "SK": {"S": "A"}} for number in range(count)]


def some_keys(arguments: dict[str, Any]) -> dict[str, Any]:
    """Answers 7 keys of those asked, last first, and leaves the others."""
    keys = arguments["RequestItems"][TABLE]["Keys"]
    answer: dict[str, Any] = {"Responses": {TABLE: keys[:7][::-1]}}
    if keys[7:]:
        answer["UnprocessedKeys"] = {TABLE: {"Keys": keys[7:], "ConsistentRead": True}}
    return answer


def some_items(arguments: dict[str, Any]) -> dict[str, Any]:
    """Writes 7 items of those given, and leaves the others, last first."""
    puts = arguments["RequestItems"][TABLE]
    return {"UnprocessedItems": {TABLE: puts[7:][::-1]} if puts[7:] else {}}


def no_items(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"UnprocessedItems": arguments["RequestItems"]}


def test_unprocessed_keys_are_asked_again_and_the_order_is_that_of_the_question() -> None:
    engine, connection, pauses = scripted(some_keys)
    wanted = items(30)
    assert list(engine.get(TABLE, map(key_of, wanted), consistent=True).values()) == wanted
    assert len(connection.asked) == 5
    assert len(pauses) == 4
    assert all(asked["RequestItems"][TABLE]["ConsistentRead"] for asked in connection.asked)


def test_a_batch_get_asks_a_hundred_keys_at_a_time() -> None:
    engine, connection, _ = scripted(
        lambda arguments: {"Responses": {TABLE: arguments["RequestItems"][TABLE]["Keys"]}, "UnprocessedKeys": {}}
    )
    wanted = items(250)
    keys = [key_of(item) for item in wanted]
    assert list(engine.get(TABLE, [*keys, *keys])) == keys
    assert [len(asked["RequestItems"][TABLE]["Keys"]) for asked in connection.asked] == [100, 100, 50]


def test_keys_that_stay_unprocessed_are_an_error_and_not_an_absence() -> None:
    engine, connection, pauses = scripted(
        lambda arguments: {"Responses": {}, "UnprocessedKeys": arguments["RequestItems"]}, attempts=4
    )
    with pytest.raises(ThrottledError, match="3 keys stayed unprocessed after 4 attempts"):
        engine.get(TABLE, map(key_of, items(3)))
    assert len(connection.asked) == 4
    assert len(pauses) == 3


def test_pauses_are_jittered_grow_and_stay_under_two_seconds() -> None:
    longest = [0.0] * 11
    for _ in range(60):
        engine, _, pauses = scripted(no_items, attempts=12)
        with pytest.raises(UnprocessedItemsError):
            engine.put_many(TABLE, items(1))
        assert len(pauses) == 11
        assert len(set(pauses)) > 1
        longest = list(map(max, longest, pauses))
    assert max(longest) <= 2
    assert longest[0] <= 0.1 < max(longest[5:])


def test_unprocessed_items_are_written_again() -> None:
    engine, connection, pauses = scripted(some_items)
    wanted = items(25)
    told: list[int] = []
    assert engine.put_many(TABLE, wanted, progress=told.append) == 25
    assert told == [25]
    assert len(pauses) == 3
    sent = [put["PutRequest"]["Item"] for asked in connection.asked for put in asked["RequestItems"][TABLE]]
    assert {key_of(item) for item in sent} == {key_of(item) for item in wanted}


def test_items_that_stay_unprocessed_are_handed_back_in_order_with_all_that_was_not_sent() -> None:
    engine, connection, _ = scripted(some_items, no_items, attempts=3)
    wanted = items(60)
    told: list[int] = []
    with pytest.raises(UnprocessedItemsError) as caught:
        engine.put_many(TABLE, iter(wanted), progress=told.append)
    assert list(caught.value.unwritten) == wanted[7:]
    assert told == []
    assert len(connection.asked) == 3


def test_what_was_left_over_can_be_written_later_and_nothing_is_lost() -> None:
    written: dict[Key, Item] = {}
    calls = 0

    def sometimes(arguments: dict[str, Any]) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        puts = arguments["RequestItems"][TABLE]
        taken = puts[:2] if calls % 4 == 0 else []
        written.update({key_of(put["PutRequest"]["Item"]): put["PutRequest"]["Item"] for put in taken})
        return {"UnprocessedItems": {TABLE: left} if (left := puts[len(taken) :]) else {}}

    engine, _, _ = scripted(sometimes, attempts=3)
    left: list[Any] = items(40)
    for _ in range(1000):
        try:
            engine.put_many(TABLE, left)
            break
        except UnprocessedItemsError as error:
            left = list(error.unwritten)
    assert [written[key] for key in sorted(written)] == items(40)


def test_a_transaction_in_conflict_is_tried_again_as_a_new_one() -> None:
    conflict = cancelled("None", "TransactionConflict")
    engine, connection, pauses = scripted(conflict, conflict, {})
    engine.write(*(Put(TABLE, item) for item in items(2)))
    assert len(pauses) == 2
    assert len({asked["ClientRequestToken"] for asked in connection.asked}) == 3


def test_a_transaction_that_stays_in_conflict_gives_up_and_names_the_item() -> None:
    engine, connection, _ = scripted(cancelled("None", "TransactionConflict"), attempts=4)
    with pytest.raises(TransactionConflictError, match="PK=P001"):
        engine.write(*(Put(TABLE, item) for item in items(2)))
    assert len(connection.asked) == 4


@pytest.mark.parametrize("code", ["ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_cancelled_for_load_is_tried_again_with_a_limit(code: str) -> None:
    load = cancelled(code, "None", messages={code: "too fast"})
    engine, connection, _ = scripted(load, {})
    engine.write(*(Put(TABLE, item) for item in items(2)))
    engine, connection, _ = scripted(load, attempts=3)
    with pytest.raises(ThrottledError, match="too fast"):
        engine.write(*(Put(TABLE, item) for item in items(2)))
    assert len(connection.asked) == 3


def transactions(connection: Scripted) -> list[dict[str, Any]]:
    """What was asked but the look at the items that comes last."""
    return [asked for asked in connection.asked if "ClientRequestToken" in asked]


def lost(error: EngineError, *, in_doubt: bool = True) -> EngineError:
    error.outcome_unknown = in_doubt
    return error


def test_an_unknown_outcome_is_asked_for_again_by_its_token() -> None:
    refused = lost(AccessDeniedError("expired"), in_doubt=False)  # of this try; of the one before, nobody knows
    engine, connection, pauses = scripted(lost(UnavailableError("gone")), refused, {})
    engine.write(Put(TABLE, items(1)[0], ABSENT))
    assert len(pauses) == 2
    assert [asked == connection.asked[0] for asked in connection.asked] == [True] * 3


@pytest.mark.parametrize("last", [UnavailableError, ThrottledError, AccessDeniedError])
def test_an_outcome_that_stays_unknown_is_told_after_a_limit(last: type[EngineError]) -> None:
    final = lost(last("no", code="Code", request_id="REQUEST-1"), in_doubt=False)
    engine, connection, _ = scripted(lost(UnavailableError("gone")), final)
    with pytest.raises(UnavailableError, match=r"^no; .*nobody says whether.*Code, request REQUEST-1") as caught:
        engine.write(Put(TABLE, items(1)[0], ABSENT))
    assert caught.value.outcome_unknown
    assert len(transactions(connection)) == ASKS


def test_what_was_refused_for_sure_is_not_asked_for_again() -> None:
    engine, connection, _ = scripted(AccessDeniedError("no"))
    with pytest.raises(AccessDeniedError):
        engine.write(Put(TABLE, items(1)[0], ABSENT))
    assert len(connection.asked) == 1


def test_an_isolated_read_in_conflict_is_tried_again_with_a_limit() -> None:
    conflict = cancelled("TransactionConflict")
    engine, _, pauses = scripted(conflict, {"Responses": [{"Item": items(1)[0]}]})
    assert list(engine.get_isolated(TABLE, [Key("P000", "A")]).values()) == items(1)
    assert len(pauses) == 1
    engine, connection, _ = scripted(conflict, attempts=3)
    with pytest.raises(TransactionConflictError):
        engine.get_isolated(TABLE, [Key("P000", "A")])
    assert len(connection.asked) == 3


@pytest.mark.parametrize(
    "text", ["Item size to update has exceeded the maximum allowed size", "Item size has exceeded"]
)
def test_an_item_that_only_the_server_finds_too_large_is_translated(text: str) -> None:
    engine, connection, _ = scripted(cancelled("None", "ValidationError", messages={"ValidationError": text}))
    with pytest.raises(ItemTooLargeError) as caught:
        engine.write(Put(TABLE, items(1)[0]), Update(TABLE, Key("A", "A"), {"x": {"S": "x"}}))
    assert (caught.value.code, caught.value.request_id) == ("ValidationError", "REQUEST-1")
    assert len(connection.asked) == 1


def test_another_validation_error_is_an_invalid_write_and_not_tried_again() -> None:
    text = "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size"
    engine, connection, _ = scripted(cancelled("ValidationError", messages={"ValidationError": text}))
    with pytest.raises(InvalidWriteError, match="Expression size"):
        engine.write(Delete(TABLE, Key("A", "A")))
    assert len(connection.asked) == 1


def test_an_unknown_reason_keeps_its_text_code_and_request_id() -> None:
    engine, _, _ = scripted(cancelled("SomethingNew", messages={"SomethingNew": "in these words"}))
    with pytest.raises(EngineError, match="in these words") as caught:
        engine.write(Delete(TABLE, Key("A", "A")))
    assert (caught.value.code, caught.value.request_id) == ("SomethingNew", "REQUEST-1")


def test_a_failed_expectation_comes_before_a_conflict_and_is_not_tried_again() -> None:
    stored = {"PK": {"S": "A"}, "SK": {"S": "A"}, "version": {"N": "4"}}
    reasons = cancelled("TransactionConflict", "ConditionalCheckFailed", "ConditionalCheckFailed", items={1: stored})
    engine, connection, _ = scripted(reasons)
    writes = (
        Put(TABLE, items(1)[0], ABSENT),
        Update(TABLE, Key("A", "A"), {"x": {"S": "x"}}, expect=3),
        Delete(TABLE, Key("B", "A"), EXISTS),
    )
    with pytest.raises(VersionConflictError) as caught:
        engine.write(*writes)
    assert (caught.value.expected, caught.value.found) == (3, 4)
    assert len(connection.asked) == 1


def test_an_absent_expectation_that_fails_says_so() -> None:
    engine, _, _ = scripted(cancelled("ConditionalCheckFailed", items={0: items(1)[0]}))
    with pytest.raises(AlreadyExistsError, match="P000"):
        engine.write(Put(TABLE, items(1)[0], ABSENT))


def test_the_number_of_attempts_is_the_engines_own() -> None:
    assert isinstance(scripted({})[0], DynamoEngine)
    for attempts in (1, 2):
        engine, connection, pauses = scripted(cancelled("TransactionConflict"), attempts=attempts)
        with pytest.raises(TransactionConflictError):
            engine.write(Delete(TABLE, Key("A", "A")))
        assert (len(connection.asked), len(pauses)) == (attempts, attempts - 1)
