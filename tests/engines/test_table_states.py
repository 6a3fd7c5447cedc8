"""Tables that are being made, changed or deleted, or that nobody can use, while something is wanted of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluestar_store.doctor import tables as doctor
from bluestar_store.doctor.findings import Severity
from bluestar_store.documents import dynamo_table
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.errors import ConfigurationError, EngineError, TableMissingError
from bluestar_store.protocols import IndexSpec, TableSpec

INDEX = IndexSpec("by_plan", "bs_plan", "bs_made")
SPEC = TableSpec("irs-limits", (INDEX,))
HOPELESS = ("INACCESSIBLE_ENCRYPTION_CREDENTIALS", "ARCHIVED", "SOMETHING_NEW")


class Account:
    """One table, and what becomes of it from one look at it to the next: `states`, the last one for ever.

    An empty state: it is not there. Its indexes are active, unless `indexes` says so.
    """

    location = "an account"

    def __init__(self, *states: str, indexes: dict[str, list[str]] | None = None) -> None:
        self.states, self.indexes = list(states), indexes or {}
        self.asked: list[str] = []
        self.schema: dict[str, Any] = {}

    def call(self, operation: str, table: str, **arguments: Any) -> dict[str, Any]:
        if operation == "describe_table":
            return {"Table": self._described(table)}
        self.asked.append(operation)
        match operation, self.states[0]:
            case ("create_table", ""):
                self.states, self.schema = ["CREATING", "ACTIVE"], arguments
            case ("update_table", "ACTIVE"):
                (update,) = arguments["GlobalSecondaryIndexUpdates"]
                self.indexes[update["Create"]["IndexName"]] = ["CREATING", "CREATING", "ACTIVE"]
            case ("delete_table", "ACTIVE"):
                self.states = ["DELETING", "DELETING", ""]
            case (_, ""):
                raise TableMissingError(table)
            case _:
                raise EngineError("it is in use", code="ResourceInUseException")
        return {}

    def _described(self, table: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if not state:
            raise TableMissingError(table)
        if state == "DELETING":
            return {"TableName": table, "TableStatus": state}
        indexes = []
        for name, left in list(self.indexes.items()):
            status = left.pop(0) if len(left) > 1 else left[0]
            if status:
                keys = [{"AttributeName": "status", "KeyType": "HASH"}]
                indexes.append({"IndexName": name, "IndexStatus": status, "KeySchema": keys})
        types = ("PK", "SK", "id", "status")
        return {
            "TableName": table,
            "TableStatus": state,
            "ItemCount": 0,
            "KeySchema": self.schema.get("KeySchema", [{"AttributeName": "id", "KeyType": "HASH"}]),
            "AttributeDefinitions": [{"AttributeName": one, "AttributeType": "S"} for one in types],
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "GlobalSecondaryIndexes": indexes,
        }


def engine_of(account: Account, most: int = 50) -> DynamoEngine:
    pauses = iter(range(most))

    def pause(_: float) -> None:
        assert next(pauses, None) is not None, "it waits for ever"

    return DynamoEngine(cast(AwsConnection, account), indexes=(INDEX,), sleep=pause)


def test_a_table_that_is_being_deleted_is_made_when_it_is_gone() -> None:
    account = Account("DELETING", "DELETING", "DELETING", "")
    assert engine_of(account).create_tables([SPEC]) == [SPEC.name]
    assert account.asked == ["create_table"]


def test_a_table_that_somebody_else_makes_first_is_waited_for() -> None:
    account = Account("DELETING", "", "CREATING", "CREATING", "ACTIVE")
    assert engine_of(account).create_tables([SPEC]) == []


def test_a_table_that_somebody_else_changes_and_their_index_are_not_waited_for() -> None:
    account = Account("UPDATING", indexes={"theirs": ["CREATING"]})
    assert engine_of(account, most=1).create_tables([SPEC]) == []


def test_our_index_that_another_process_makes_is_waited_for() -> None:
    account = Account("UPDATING", indexes={"by_plan": ["CREATING", "CREATING", "CREATING", "ACTIVE"]})
    engine_of(account).create_tables([SPEC], upgrade=True)
    assert account.asked == []


def test_an_index_is_added_once_others_have_changed_the_table() -> None:
    account = Account("ACTIVE", "ACTIVE", "UPDATING", "UPDATING", "ACTIVE")
    engine_of(account).create_tables([SPEC], upgrade=True)
    assert account.asked == ["update_table"]
    assert account.indexes["by_plan"] == ["ACTIVE"]


def test_an_index_is_added_after_a_change_that_began_before_ours_was_asked_for() -> None:
    account = Account("ACTIVE", "ACTIVE", "ACTIVE", "UPDATING", "UPDATING", "UPDATING", "ACTIVE")
    engine_of(account).create_tables([SPEC], upgrade=True)
    assert account.asked == ["update_table", "update_table"]


def test_our_index_that_is_being_deleted_is_made_anew() -> None:
    account = Account("ACTIVE", indexes={"by_plan": ["DELETING", "DELETING", "DELETING", ""]})
    engine_of(account).create_tables([SPEC], upgrade=True)
    assert account.asked == ["update_table"]


@pytest.mark.parametrize("state", HOPELESS)
def test_a_table_that_no_waiting_helps_is_told_at_once(state: str) -> None:
    for upgrade in (False, True):
        with pytest.raises(ConfigurationError, match=state):
            engine_of(Account(state), most=0).create_tables([SPEC], upgrade=upgrade)
    with pytest.raises(ConfigurationError, match=state):
        dynamo_table.prepare(cast(AwsConnection, Account(state)), "documents", "id", ())


def test_deleting_waits_for_what_is_being_deleted_or_made() -> None:
    account = Account("DELETING", "DELETING", "")
    engine_of(account).delete_tables([SPEC.name])
    assert account.asked == []
    account = Account("CREATING", "CREATING", "CREATING", "ACTIVE")
    engine_of(account).delete_tables([SPEC.name])
    assert account.asked[-1] == "delete_table"


@pytest.mark.parametrize(
    ("state", "usable", "severity"),
    [
        ("CREATING", False, Severity.WARNING),
        ("UPDATING", True, Severity.INFO),
        ("DELETING", False, Severity.ERROR),
        *((state, False, Severity.ERROR) for state in HOPELESS),
    ],
)
def test_the_state_of_a_table_is_described_and_found_by_doctor(state: str, usable: bool, severity: Severity) -> None:
    spec = TableSpec("irs-limits")
    status = engine_of(Account(state)).describe(spec)
    assert (status.exists, status.state, status.is_usable) == (True, state, usable)
    found = next(iter(doctor.check(doctor.TableState(spec, status))))
    assert (found.check, found.severity, found.table) == ("table-state", severity, "irs-limits")
    assert state in found.what


@pytest.fixture(autouse=True)
def _no_pauses_of_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_table, "time", SimpleNamespace(sleep=lambda _: None))


def test_the_table_of_documents_is_made_when_the_one_before_is_gone() -> None:
    account = Account("DELETING", "DELETING", "")
    assert dynamo_table.prepare(cast(AwsConnection, account), "documents", "id", ("status",)) == {"status": "by_status"}
    assert account.asked == ["create_table", "update_table"]


def test_documents_do_not_wait_for_somebody_elses_change_but_for_their_index() -> None:
    account = Account("UPDATING", indexes={"other": ["CREATING", "ACTIVE"]})
    assert dynamo_table.prepare(cast(AwsConnection, account), "documents", "id", ("status",)) == {"status": "other"}
    assert account.indexes["other"] == ["ACTIVE"]
    account = Account("UPDATING", indexes={"theirs": ["CREATING"]})
    assert dynamo_table.prepare(cast(AwsConnection, account), "documents", "id", ()) == {}
