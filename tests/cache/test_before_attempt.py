"""What a cache does before each attempt at a write reaches every engine, those of users too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluestar_store.encryption.engine import SealingEngine
from bluestar_store.engines.dynamo.transactions import write_once
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.passing import PassingEngine
from bluestar_store.errors import TransactionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import (
    BeforeAttempt,
    Delete,
    Engine,
    TableSpec,
    Write,
    announces_attempts,
    write_announced,
)
from bluestar_store.retrying import attempts
from bluestar_store.testing import FaultEngine
from tests.cache.loads import background

TABLE = "bluestar-rules"
DELETE = Delete(TABLE, Key("P", "S"))


class Recorded(MemoryEngine):
    """Records what happens, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.create_tables([TableSpec(TABLE)])
        self.events.clear()

    def _commit(self, images: Any) -> None:
        self.events.append("commit")
        super()._commit(images)


class OwnWrapper:
    """As a user may have written it: its `write` knows nothing of attempts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def write(self, *writes: Write) -> None:
        self._engine.write(*writes)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda engine: engine,
    "passing": PassingEngine,
    "faults": FaultEngine,
    "encryption": lambda engine: SealingEngine(engine, None),  # type: ignore[arg-type]  # a delete seals nothing
    "a user's": OwnWrapper,
    "a user's within ours": lambda engine: FaultEngine(OwnWrapper(engine)),
    "ours within a user's": lambda engine: OwnWrapper(FaultEngine(engine)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_it_is_done_once_before_a_write_is_committed(wrapper: str) -> None:
    engine = Recorded()
    write_announced(WRAPPERS[wrapper](engine), [DELETE], lambda: engine.events.append("before"))
    assert engine.events == ["before", "commit"]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_write_without_it_is_a_write(wrapper: str) -> None:
    engine = Recorded()
    write_announced(WRAPPERS[wrapper](engine), [DELETE], None)
    assert engine.events == ["commit"]


def test_it_is_done_after_the_wait_for_the_lock() -> None:
    engine, seen = Recorded(), list[bool]()

    def is_free() -> Any:
        return background(lambda: engine._lock.acquire(blocking=False)).result(5)

    write_announced(engine, [DELETE], lambda: seen.append(is_free()))
    assert seen == [False]


def test_an_engine_is_asked_by_the_parameters_of_its_write() -> None:
    assert announces_attempts(Recorded())
    assert not announces_attempts(OwnWrapper(Recorded()))


class Conflicting:
    """A connection on which a transaction meets another one a number of times."""

    location = "nowhere"

    def __init__(self, conflicts: int, events: list[str]) -> None:
        self._conflicts, self._events = conflicts, events

    def call(self, *_: Any, **__: Any) -> dict[str, Any]:
        self._events.append("sent")
        if self._events.count("sent") <= self._conflicts:
            raise ClientError({"Error": {"Code": "TransactionCanceledException"}}, "TransactWriteItems")
        return {}


@pytest.mark.parametrize("before", [True, False])
def test_on_dynamodb_it_is_done_before_each_attempt(before: bool) -> None:
    events = list[str]()
    told: BeforeAttempt | None = (lambda: events.append("before")) if before else None
    write_once(
        Conflicting(2, events),  # type: ignore[arg-type]  # no more of a connection is used
        TABLE,
        [],
        retrying=attempts(TransactionConflictError, most=5, sleep=lambda _: None),
        refusal=lambda error: TransactionConflictError("another transaction was faster"),
        look=lambda: None,
        before_attempt=told,
        clock=lambda: 0.0,
        sleep=lambda _: None,
    )
    assert events == (["before", "sent"] * 3 if before else ["sent"] * 3)
