"""A process that is stopped in the middle of a write, for longer than DynamoDB knows the write's token; and one that
is forked in the middle of a unit of work. What is acknowledged is there, once.

40 writes, with --soak 400; 6 forks, with --soak 60.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import ABSENT, CalculationRule, Settings, Store
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.errors import UnavailableError
from bluestar_store.keys import Key
from bluestar_store.protocols import ANY, Delete, Engine, Item, Put, TableSpec
from tests.engines.conftest import connection_to, local_connection, local_tables
from tests.engines.shared_tables import INDEXES
from tests.histories.linear import misfits, register, told, versioned_item
from tests.histories.record import Noted, NotedInFile, Recorder, by_subject, counts, read_notes

__all__ = ["local_connection", "local_tables"]

TOKEN_SECONDS, STOP_SECONDS = 600.0, 1000.0
KEYS = [Key(name, "A") for name in ("A", "B")]


class Clock:
    """Goes on while a test says that the process is stopped."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class ForgetfulConnection:
    """DynamoDB, ten minutes and more being over in a moment: then it has forgotten a transaction's token.

    Now and then the reply to a transaction gets lost.
    """

    def __init__(self, connection: AwsConnection, clock: Clock, chance: random.Random) -> None:
        self._connection, self._clock, self._chance = connection, clock, chance
        self._known: dict[str, tuple[str, float]] = {}
        self._call = connection.call
        connection.call = self.call  # type: ignore[method-assign]

    def call(self, operation: str, table: str, *args: Any, **arguments: Any) -> dict[str, Any]:
        """In place of `AwsConnection.call`."""
        token = arguments.get("ClientRequestToken")
        if token is not None:
            alias, since = self._known.setdefault(token, (token, self._clock()))
            if self._clock() - since > TOKEN_SECONDS:
                alias, since = f"{self._chance.getrandbits(120):030x}", self._clock()
                self._known[token] = alias, since
            arguments["ClientRequestToken"] = alias
        answer = self._call(operation, table, *args, **arguments)
        if token is not None and self._chance.random() < 0.5:
            lost = UnavailableError("the reply was lost")
            lost.outcome_unknown = True
            raise lost
        return answer


def value_of(items: dict[Key, Item]) -> str | None:
    return next((item["value"]["S"] for item in items.values()), None)


def turn(engine: Engine, table: str, record: Recorder, chance: random.Random, number: int) -> None:
    """Write a value, whatever is there; create one; or read."""
    key, value = chance.choice(KEYS), f"{record.process} {number}"
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, "value": {"S": value}}
    match chance.choice(("read", "write", "write", "create")):
        case "read":
            record.call("read", key.pk, None, partial(engine.get, table, [key], consistent=True), value_of)
        case "write":
            record.call("write", key.pk, value, partial(engine.write, Put(table, item, ANY)))
        case "create":
            record.call("delete", key.pk, None, partial(engine.write, Delete(table, key)))
            record.call("create", key.pk, value, partial(engine.write, Put(table, item, ABSENT)))


def test_a_process_that_is_stopped_for_long_writes_nothing_twice(
    local_connection: AwsConnection, local_tables: tuple[TableSpec, ...], dynamodb_local_url: str, seed: int, times: int
) -> None:
    """Others write while it is stopped: what it had written before must not come back over that."""
    table, chance, clock, noted = local_tables[0].name, random.Random(seed), Clock(), Noted()
    others = DynamoEngine(local_connection, indexes=INDEXES)
    numbers = iter(range(10**9))

    def stop(_: float) -> None:
        """In place of the pause before a write in doubt is sent again."""
        if chance.random() < 0.7:
            clock.seconds += STOP_SECONDS
        for _ in range(3):
            turn(others, table, Recorder("others", noted), chance, next(numbers))

    connection = connection_to(dynamodb_local_url, max_attempts=1)
    ForgetfulConnection(connection, clock, chance)
    engine = DynamoEngine(connection, indexes=INDEXES, sleep=stop, clock=clock)
    try:
        for number in range(40 * times):
            turn(engine, table, Recorder("stopped", noted), chance, number)
            turn(others, table, Recorder("others", noted), chance, next(numbers))
    finally:
        engine.close()
    print(counts(noted))
    for subject, history in by_subject(noted).items():
        wrong = misfits(history, register)
        assert not wrong, f"{subject}: {told(wrong, history)}"


# ------------------------------------------------------------------------------------------------------------- forks


def forked(work: Callable[[], object]) -> None:
    """Do it in a child, and wait for its end."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


class Undone(Exception):
    """Ends a unit of work without a commit."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store")) as store:
        store.create_tables()
        yield store


def test_what_a_child_writes_that_was_forked_within_a_unit_is_there(
    store: Store, tmp_path: Path, seed: int, times: int
) -> None:
    """Whatever becomes of its parent's unit."""
    chance, paths = random.Random(seed), []

    def create(record: Recorder, plan: str) -> None:
        content = f"{record.process} {plan}"
        rule = CalculationRule(plan_id=plan, calc_type="match", description=content)
        put = partial(store.calculation_rules.put, rule, ABSENT)
        record.call("create", plan, {"content": content}, put, lambda made: [made.version, made.description])

    for number in range(6 * times):
        paths.append(tmp_path / f"notes-{number}")
        child = Recorder(f"child {number}", NotedInFile(paths[-1]))
        with suppress(Undone), store.unit_of_work() as uow:
            uow.calculation_rules.put(CalculationRule(plan_id=f"PARENT{number}", calc_type="match"))
            forked(partial(create, child, f"CHILD{number}"))
            if chance.random() < 0.5:
                raise Undone
    noted = Noted(read_notes(paths))
    for number in range(6 * times):
        read = partial(store.calculation_rules.get, f"CHILD{number}", "match", fresh=True)
        Recorder("parent", noted).call(
            "read", f"CHILD{number}", None, read, lambda rule: [rule.version, rule.description]
        )
    assert counts(noted) == {"create ok": 6 * times, "read ok": 6 * times}
    for subject, history in by_subject(noted).items():
        wrong = misfits(history, versioned_item)
        assert not wrong, f"{subject}: {told(wrong, history)}"
