"""A document is written once, and by whom it is said: whatever replies are lost, its history is linearizable.

4 threads, on DynamoDB Local 20 operations each on three documents, in a folder 50; with --soak ten times as many.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bluestar_store import AlreadyExistsError, Settings
from bluestar_store.documents import DocumentStore, get_store
from tests.histories.agents import in_threads
from tests.histories.linear import misfits, register, told
from tests.histories.record import Noted, Recorder, by_subject, counts
from tests.histories.targets import settings_of
from tests.servers import FaultProxy

KEYS = ("a", "b", "c")
KEY, VALUE = "orderId", "value"
LOST: tuple[dict[str, Any], ...] = tuple(
    {"operation": operation, "probability": 0.4, "response": {"abort_bytes": 0}}
    for operation in ("PutItem", "UpdateItem", "TransactWriteItems")
)


def refused(create: Callable[[], object]) -> object:
    """As the document API says that there is one: the condition failed."""
    try:
        return create()
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise AlreadyExistsError(str(error)) from error


def work(store: DocumentStore, record: Recorder, chance: random.Random, turns: int) -> None:
    """Create documents, equal ones too, set their value and read it."""
    for number in range(turns):
        key, value = chance.choice(KEYS), f"{record.process} {number}"
        match chance.choice(("read", "create", "write", "write")):
            case "read":
                record.call("read", key, None, partial(store.get, key), lambda found: found[VALUE] if found else None)
            case "create":
                item = {KEY: key, VALUE: "new"}  # the same from everybody
                record.call("create", key, "new", partial(refused, partial(store.create, item)), lambda _: None)
            case "write":
                change = partial(refused, partial(store.update_fields, key, {VALUE: value}))
                record.call("write", key, value, change)


@pytest.mark.parametrize("target", ["file", "dynamo"])
def test_documents_are_written_once(
    target: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault_proxy: Callable[[str], FaultProxy],
    seed: int,
    times: int,
) -> None:
    table = f"orders-{uuid.uuid4().hex[:8]}"
    values = settings_of(target, tmp_path, lambda: request.getfixturevalue("dynamodb_local_url"))
    values["read_timeout_seconds"] = 20
    get_store(table, KEY, settings=Settings(**values))
    if target == "dynamo":
        proxy = fault_proxy(values["dynamodb_endpoint_url"])
        values["dynamodb_endpoint_url"] = proxy.url
    store, noted = get_store(table, KEY, settings=Settings(**values)), Noted()
    if target == "dynamo":
        for rule in LOST:
            proxy.add_rule(rule)

    def run(name: str) -> None:
        work(store, Recorder(name, noted), random.Random(f"{seed} {name}"), (20 if target == "dynamo" else 50) * times)

    in_threads(run, [f"thread {number}" for number in range(4)])
    print(counts(noted))
    assert {"read ok", "create ok", "create refused", "write ok"} <= counts(noted).keys()
    for subject, history in by_subject(noted).items():
        wrong = misfits(history, register)
        assert not wrong, f"{subject}: {told(wrong, history)}"
