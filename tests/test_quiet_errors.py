"""What an error keeps, of an item or of what the caller handles meanwhile, and that every public call is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from bluestar_store import AsyncStore, Settings, Store
from bluestar_store.errors import BlueStarError, ConflictError
from bluestar_store.redaction.tracebacks import without_locals
from tests.planted import ACCOUNT, leaks, raised_by


def test_an_error_of_botocores_keeps_no_item_of_the_answer() -> None:
    item = {"account_number": {"S": ACCOUNT}}
    answer: Any = {"Error": {"Code": "x"}, "Item": item, "CancellationReasons": [{"Code": "None"}, {"Item": item}]}

    @without_locals
    def call() -> None:
        raise ConflictError("changed meanwhile") from ClientError(answer, "TransactWriteItems")

    error = raised_by(lambda _: call(), None)
    assert error is not None
    assert leaks(error) == []


class OwnError(Exception):
    """Of a caller, raised in place of another one."""


def own_error() -> None:
    try:
        json.loads("{")
    except ValueError:
        raise OwnError from None


def while_handled(raises: Callable[[], object], call: Callable[[], object]) -> BaseException:
    """An error of the caller's, after a call of the library failed in its handler."""
    try:
        raises()
    except (ClientError, OwnError) as mine:
        assert isinstance(raised_by(lambda _: call(), None), BlueStarError)
        return mine
    raise AssertionError


async def while_handled_awaited(raises: Callable[[], object], store: Store) -> BaseException:
    try:
        raises()
    except (ClientError, OwnError) as mine:
        with suppress(BlueStarError):
            await AsyncStore(store).batches.get("nope")
        return mine
    raise AssertionError


def test_what_the_caller_handles_meanwhile_stays_as_it_is() -> None:
    def answered() -> None:
        answer: Any = {"Error": {"Code": "x"}, "Item": {"PK": {"S": "mine"}}}
        raise ClientError(answer, "PutItem")

    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        calls = (lambda: store.batches.get("nope"), lambda: store.irs_limits.get(1999))
        kept = [while_handled(answered, call) for call in calls]
        kept.append(asyncio.run(while_handled_awaited(answered, store)))
        assert all("Item" in error.response for error in kept)  # type: ignore[attr-defined]
        others = [while_handled(own_error, call) for call in calls]
        others.append(asyncio.run(while_handled_awaited(own_error, store)))
        assert all(isinstance(error.__context__, ValueError) for error in others)


def test_a_generator_that_handled_the_error_goes_on() -> None:
    """One of the packages whose frames are cleared, be it the library's or one that the caller uses too."""
    code = """
def numbers(call):
    try:
        call()
    except Exception as error:
        caught = error
    yield caught
    yield "goes on"

def fails(secret):
    yield 1
    raise ValueError("no")
"""
    names: dict[str, Any] = {"__name__": "sqlalchemy.numbers"}
    exec(code, names)  # noqa: S102  # frames of a package's name
    going = names["numbers"](lambda: list(names["fails"](ACCOUNT)))

    @without_locals
    def call() -> None:
        raise ConflictError("no") from next(going)

    error = raised_by(lambda _: call(), None)
    assert error is not None
    assert leaks(error.__cause__ or error) == []
    assert next(going) == "goes on"
