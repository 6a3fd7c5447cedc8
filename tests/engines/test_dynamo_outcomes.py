"""A write whose answer was lost, when DynamoDB may have forgotten its token, or cancels it: what the items tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import pytest

from bluestar_store import CalculationRule, ConflictError, Settings, Store
from bluestar_store.clock import Continuous
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.events import RESEND_SECONDS
from bluestar_store.engines.dynamo.outcome import is_written, witness_write
from bluestar_store.errors import AlreadyExistsError, UnavailableError
from bluestar_store.keys import Key
from bluestar_store.protocols import ABSENT, ANY, EXISTS, Check, Delete, Item, Put, TableSpec, Update, Write
from tests.engines.conftest import connection_to
from tests.engines.doors import ClientDoor
from tests.engines.fakes import Answer, cancelled, scripted
from tests.engines.players import error as told
from tests.engines.players import playing
from tests.engines.shared_tables import INDEXES
from tests.servers import FaultProxy, wait_until

TABLE = "bluestar-store"
KEY = Key("P", "A")


def item(version: int | None = None, **texts: str) -> Item:
    found: Item = {"PK": {"S": KEY.pk}, "SK": {"S": KEY.sk}, **{name: {"S": text} for name, text in texts.items()}}
    return found | ({"version": {"N": str(version)}} if version is not None else {})


MOVE = Update(TABLE, KEY, {"version": {"N": "5"}, "x": {"S": "ours"}}, frozenset({"y"}), expect=4)
ENTRY = Put(TABLE, item(1, x="ours"), ABSENT, once=True)
OTHER = Put(TABLE, {"PK": {"S": "Q"}, "SK": {"S": "A"}, "tags": {"SS": ["a", "b"]}}, ABSENT)


@pytest.mark.parametrize(
    ("found", "written"),
    [
        (item(1, x="ours"), True),
        ({**item(1, x="ours"), "version": {"N": "1.0"}}, True),
        (item(1, x="theirs"), False),
        (item(1, x="ours", y="more"), False),
        (item(2, x="ours"), False),
        (None, False),
    ],
)
def test_an_item_that_is_written_once_tells_whether_its_transaction_was_written(
    found: Item | None, written: bool
) -> None:
    assert witness_write([MOVE, OTHER, ENTRY]) is ENTRY
    assert is_written(ENTRY, found) is written


@pytest.mark.parametrize(
    "write", [MOVE, OTHER, Put(TABLE, item(1), 0), Delete(TABLE, KEY, 2), Check(TABLE, KEY, ABSENT)], ids=repr
)
def test_no_other_item_tells_for_what_is_equal_may_be_somebody_elses(write: Write) -> None:
    assert witness_write([write]) is None


class Suspended:
    """A clock that jumps when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def resume(self, seconds: float = 601.0) -> None:
        self.seconds += seconds


def lost(clock: Suspended | None = None) -> Answer:
    """A try that may have been applied, after which the process was stopped."""

    def answer(_: Any) -> dict[str, Any]:
        if clock is not None:
            clock.resume()
        error = UnavailableError("gone")
        error.outcome_unknown = True
        raise error

    return answer


def is_now(*items: Item | None) -> Answer:
    return {"Responses": [{"Item": one} if one else {} for one in items]}


def tokens(asked: list[dict[str, Any]]) -> list[str]:
    return [one["ClientRequestToken"] for one in asked if "ClientRequestToken" in one]


def test_after_a_long_stop_a_write_in_doubt_is_not_sent_again_and_the_item_tells() -> None:
    clock = Suspended()
    engine, connection, _ = scripted(lost(clock), is_now(item(1, x="ours")), clock=clock)
    engine.write(OTHER, ENTRY)
    assert len(tokens(connection.asked)) == 1


@pytest.mark.parametrize(
    "write",
    [MOVE, Put(TABLE, item(1, x="ours"), ABSENT), Put(TABLE, item(1), ANY), Delete(TABLE, KEY, EXISTS)],
    ids=["update", "create", "put", "delete"],
)
def test_after_a_long_stop_what_no_item_proves_is_told_as_unknown(write: Write) -> None:
    """Also where the item is as the write leaves it, at that very version: somebody else may have written the same."""
    clock = Suspended()
    engine, connection, _ = scripted(lost(clock), clock=clock)
    with pytest.raises(UnavailableError, match="nobody says whether") as raised:
        engine.write(write)
    assert raised.value.outcome_unknown
    assert len(tokens(connection.asked)) == 1


def test_two_that_create_equal_items_are_not_both_told_that_they_did() -> None:
    clock = Suspended()
    engine, _, _ = scripted(lost(clock), is_now(item(1, x="ours")), clock=clock)
    with pytest.raises(UnavailableError) as raised:
        engine.write(Put(TABLE, item(1, x="ours"), ABSENT))
    assert raised.value.outcome_unknown


def test_a_short_stop_is_none_and_what_was_refused_for_sure_may_be_sent_at_any_time() -> None:
    clock = Suspended()
    engine, connection, _ = scripted(lost(), {}, clock=clock)
    pauses_and_resumes(engine, clock, RESEND_SECONDS - 1)
    engine.write(MOVE)
    assert len(set(tokens(connection.asked))) == 1
    engine, connection, _ = scripted(cancelled("TransactionConflict"), {}, clock=clock)
    pauses_and_resumes(engine, clock, 3600)
    engine.write(MOVE)
    assert len(set(tokens(connection.asked))) == 2


def pauses_and_resumes(engine: DynamoEngine, clock: Suspended, seconds: float) -> None:
    engine._sleep = lambda _: clock.resume(seconds)


def test_what_is_cancelled_after_a_try_in_doubt_is_the_tries_own_doing_where_the_item_says_so() -> None:
    ours = item(1, x="ours")
    engine, _, _ = scripted(lost(), cancelled("None", "ConditionalCheckFailed", items={1: ours}), is_now(ours))
    engine.write(OTHER, ENTRY)


def test_what_is_cancelled_after_a_try_in_doubt_is_a_conflict_where_the_item_says_so() -> None:
    there = item(1, x="theirs")
    engine, _, _ = scripted(lost(), cancelled("None", "ConditionalCheckFailed", items={1: there}), is_now(there))
    with pytest.raises(AlreadyExistsError):
        engine.write(OTHER, ENTRY)


@pytest.mark.parametrize("write", [MOVE, Put(TABLE, item(1, x="ours"), ABSENT), Delete(TABLE, KEY, 4)])
@pytest.mark.parametrize("found", [item(4), item(5, x="ours"), item(5, x="theirs"), item(6, x="theirs")])
def test_what_is_cancelled_after_a_try_in_doubt_is_unknown_where_the_item_does_not_say(
    write: Write, found: Item
) -> None:
    engine, _, _ = scripted(lost(), cancelled("ConditionalCheckFailed", items={0: found}))
    with pytest.raises(UnavailableError, match="nobody says whether") as raised:
        engine.write(write)
    assert raised.value.outcome_unknown


def test_an_item_that_cannot_be_read_tells_nothing() -> None:
    engine, _, _ = scripted(lost(), cancelled("ConditionalCheckFailed"), UnavailableError("still gone"))
    with pytest.raises(UnavailableError) as raised:
        engine.write(ENTRY)
    assert raised.value.outcome_unknown


def test_a_transaction_in_conflict_after_a_try_in_doubt_keeps_its_token() -> None:
    """With another token both tries could be applied, the second one over what was written in between."""
    conflict = cancelled("TransactionConflict")
    engine, connection, _ = scripted(lost(), conflict, conflict, {})
    engine.write(MOVE)
    assert len(connection.asked) == 4
    assert len(set(tokens(connection.asked))) == 1
    engine, connection, _ = scripted(lost(), *[conflict] * 5)
    with pytest.raises(UnavailableError) as raised:  # and not "nothing was written"
        engine.write(MOVE)
    assert raised.value.outcome_unknown


def test_a_stop_between_the_tries_that_botocore_makes_by_itself_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Suspended()
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda _: clock.resume()))
    with playing((500, told("InternalServerError"), {})) as player:
        player.engine._clock = clock
        with pytest.raises(UnavailableError) as raised:
            player.engine.write(MOVE)
        assert raised.value.outcome_unknown
        assert player.asked.count("TransactWriteItems") == 1


def test_a_stop_before_botocores_first_try_counts_too() -> None:
    clock = Suspended()

    class Stopping(tuple[Any, ...]):
        def __iter__(self) -> Any:  # when the server is about to answer
            clock.resume()
            return super().__iter__()

    with playing(Stopping((500, told("InternalServerError"), {}))) as player:
        player.engine._clock = clock
        with pytest.raises(UnavailableError) as raised:
            player.engine.write(MOVE)
        assert raised.value.outcome_unknown
        assert player.asked.count("TransactWriteItems") == 1


@pytest.fixture
def proxy(fault_proxy: Callable[[str], FaultProxy], dynamodb_local_url: str) -> FaultProxy:
    return fault_proxy(dynamodb_local_url)


class Stopped:
    """A process whose first reply is lost, and that is stopped until others have done what they do."""

    def __init__(self, proxy: FaultProxy, meanwhile: Callable[[], object]) -> None:
        self._clock, self._meanwhile = Suspended(), meanwhile
        # What is given up before it is applied could still be applied after what others write.
        connection = connection_to(proxy.url, max_attempts=1, read_timeout_seconds=120)
        self.engine = DynamoEngine(connection, indexes=INDEXES, sleep=self._stop, clock=self._clock)
        proxy.cut_reply("TransactWriteItems")

    def _stop(self, _: float) -> None:
        self._meanwhile()
        self._clock.resume()


def test_a_stopped_process_does_not_write_over_what_others_wrote_meanwhile(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    table, door = local_tables[0].name, ClientDoor(local_connection.connection.client)
    theirs = item(2, x="newer")
    stopped = Stopped(proxy, lambda: door.put(table, theirs))
    with pytest.raises(UnavailableError) as raised:
        stopped.engine.write(Put(table, item(1, x="ours"), ANY))
    assert raised.value.outcome_unknown
    assert door.get(table, KEY) == theirs
    stopped.engine.close()


def test_a_stopped_process_finds_what_it_wrote_by_the_item_or_by_the_trail(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    rule = CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(1))
    settings = Settings(table_suffix=local_tables[0].name.rpartition("-")[2].join(("-", "")))
    with Store(settings, DynamoEngine(local_connection, indexes=INDEXES)) as other:
        stored = other.calculation_rules.put(rule)

        def change() -> None:
            current = other.calculation_rules.get("ACME", "match", fresh=True)
            other.calculation_rules.put(current.model_copy(update={"max_pct": Decimal(9)}))

        for meanwhile in (lambda: None, change):
            proxy.clear()
            with Store(settings, Stopped(proxy, meanwhile).engine) as store:
                stored = other.calculation_rules.get("ACME", "match", fresh=True)
                store.calculation_rules.put(stored.model_copy(update={"max_pct": (stored.max_pct or 0) + 1}))
        found = other.calculation_rules.get("ACME", "match", fresh=True)
        assert (found.max_pct, found.version) == (Decimal(9), 4)


def test_an_equal_change_of_somebody_else_is_not_taken_for_ones_own(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    """The write was not applied, nobody said so, and another agent does the same before the process runs again."""
    settings = Settings(table_suffix=local_tables[0].name.rpartition("-")[2].join(("-", "")))
    with Store(settings, DynamoEngine(local_connection, indexes=INDEXES)) as other:
        rule = other.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(1)))
        hold = other.holds.place("ACME", "x", hold_id="h1")
        changes: list[Callable[[Store], object]] = [
            lambda store: store.calculation_rules.put(rule.model_copy(update={"max_pct": Decimal(2)})),
            lambda store: store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="new")),
            lambda store: store.holds.put(hold.model_copy(update={"reason": "y"})),
            lambda store: store.holds.delete(store.holds.get("ACME", "h1")),
        ]
        for change in changes:
            proxy.clear()
            stopped = Stopped(proxy, lambda change=change: change(other))  # type: ignore[misc]  # bound at once
            proxy.clear()
            fails = {
                "operation": "TransactWriteItems",
                "times": 1,
                "error": {"code": "InternalServerError", "status": 500},
            }
            proxy.add_rule(fails)
            with Store(settings, stopped.engine) as store, pytest.raises(UnavailableError) as raised:
                change(store)
            assert raised.value.outcome_unknown
            wait_until(lambda: not telling_later(), "what is told later meets no fault of the next change")


def telling_later() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "bluestar-moves"]


def test_a_stopped_process_is_told_of_a_conflict_with_others_only(
    proxy: FaultProxy, local_connection: AwsConnection, local_tables: tuple[TableSpec, ...]
) -> None:
    table, door = local_tables[0].name, ClientDoor(local_connection.connection.client)
    door.put(table, item(4))
    stopped = Stopped(proxy, lambda: door.put(table, item(6, x="theirs")))
    with pytest.raises(UnavailableError) as raised:
        stopped.engine.write(Update(table, KEY, {"version": {"N": "5"}}, expect=4))
    assert raised.value.outcome_unknown
    assert not isinstance(raised.value, ConflictError)
    stopped.engine.close()


def test_the_clock_counts_sleep_and_what_the_time_of_day_gains() -> None:
    counter, day = iter([100.0, 101.0, 102.0, 103.0, 4000.0]), iter([5000.0, 5001.0, 9000.0, 100.0, 3000.0])
    clock = Continuous(lambda: next(counter), lambda: next(day))
    assert [clock() for _ in range(4)] == [5001.0, 9000.0, 9001.0, 12898.0]
