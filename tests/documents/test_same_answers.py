"""Both modes, given the same calls in any order, give the same answers and the same errors."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from moto import mock_aws

from bluestar_store import Settings
from bluestar_store.documents import DocumentStore, FileStore, PynamoStore, timestamps
from bluestar_store.testing.documents_case import spelled

KEYS = st.sampled_from(["A1", "A10", "a", "é", "x#y", " ", "", None, 5])
NUMBERS = st.integers(-(10**37), 10**37) | st.decimals(-1000, 1000, places=3) | st.just(Decimal("1E-130"))
TEXTS = st.text(max_size=5)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | st.binary(max_size=3)
SETS = st.sets(TEXTS, max_size=3) | st.sets(NUMBERS, max_size=3) | st.frozensets(st.binary(max_size=2), max_size=2)
REFUSED = st.sampled_from([1.5, object(), {1, "a"}, {"": 1}, {5: 5}, Decimal("NaN"), 10**39 + 1])
NAMES = st.sampled_from(["a", "z", "$set", "$binary", "$map", "a.b", "é"])
VALUES = st.recursive(
    SCALARS | SETS | REFUSED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
STAMPS = st.sampled_from(["2020-01-02", 5, 1_600_000_000_000, {"at": "2020", "by": "u"}, {"at": {"at": 5}}, True, None])
STATUS = st.sampled_from(["open", "paid", "", 5])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "a": VALUES,
        "b": VALUES,
        "$set": VALUES,
        "status": STATUS,
        "softDelete": st.booleans(),
        "created": STAMPS,
        "modified": STAMPS,
    },
)


def answer(call: Callable[[], Any]) -> Any:
    """What the call gives, with its types, or the error's code, operation and words."""
    try:
        found = call()
    except ClientError as error:
        return error.response, error.operation_name
    return spelled(found)


class BothModes(RuleBasedStateMachine):
    """The same calls on a table in memory-backed DynamoDB and on one in a folder, at the same times."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._stack.enter_context(mock_aws())
        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        self._stack.enter_context(mock.patch.object(timestamps, "now", self._now))
        self._second = 0
        options: dict[str, Any] = {"indexes": ("status",), "id_generator": self._next_key}
        self.stores: tuple[DocumentStore, DocumentStore] = (
            PynamoStore("customer-orders", "orderId", settings=Settings(), **options),
            FileStore("customer-orders", "orderId", settings=Settings(file_persistence_dir=Path(folder)), **options),
        )

    def _now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, tzinfo=UTC) + timedelta(seconds=self._second)

    def _next_key(self) -> str:
        return f"made-{self._second}"

    def both(self, call: Callable[[DocumentStore], Any]) -> None:
        self._second += 1
        dynamo, file = (answer(partial(call, store)) for store in self.stores)
        assert dynamo == file

    @rule(key=KEYS, fields=FIELDS)
    def create(self, key: Any, fields: dict[str, Any]) -> None:
        self.both(lambda store: store.create({"orderId": key, **fields}))

    @rule(key=KEYS, fields=FIELDS)
    def update_fields(self, key: Any, fields: dict[str, Any]) -> None:
        self.both(lambda store: store.update_fields(key, fields))

    @rule(key=KEYS, field=st.sampled_from(["softDelete", "archived", "status", "orderId"]))
    def soft_delete(self, key: Any, field: str) -> None:
        self.both(lambda store: store.soft_delete(key, field))

    @rule(key=KEYS)
    def get(self, key: Any) -> None:
        self.both(lambda store: store.get(key))

    @rule(value=STATUS)
    def find(self, value: Any) -> None:
        self.both(lambda store: store.find("status", value))

    @invariant()
    def lists_are_the_same(self) -> None:
        self.both(lambda store: (store.list(), store.list(hide_soft_deleted=False)))

    def teardown(self) -> None:
        self._stack.close()


@pytest.mark.slow
def test_both_modes_give_the_same_answers(soak: bool) -> None:
    run_state_machine_as_test(
        BothModes,
        settings=settings(
            max_examples=300 if soak else 40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
