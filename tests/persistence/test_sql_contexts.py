"""Which SQL transaction a statement is part of, in tasks, generators and copies of contexts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pytest

from bluestar_store.errors import SqlError
from bluestar_store.persistence import SQLClient


@pytest.fixture
def client(tmp_path: Path) -> Iterator[SQLClient]:
    with SQLClient(f"sqlite:///{tmp_path}/people.db") as client:
        client.execute("CREATE TABLE people (name TEXT)")
        yield client


def add(client: SQLClient, name: str) -> None:
    client.execute("INSERT INTO people VALUES (:name)", {"name": name})


def names(client: SQLClient) -> list[str]:
    return [row["name"] for row in client.fetch_all("SELECT name FROM people ORDER BY name")]


def work(client: SQLClient, *added: str) -> Iterator[None]:
    with client.transaction():
        for name in added:
            add(client, name)
            yield


def test_a_transaction_that_was_entered_in_another_context_is_rolled_back_and_told(client: SQLClient) -> None:
    steps = work(client, "Ann")
    copy_context().run(next, steps)
    with pytest.raises(SqlError, match="another context"):
        next(steps)
    assert names(client) == []


def test_a_transaction_may_be_left_in_a_copy_of_its_context_and_is_over_everywhere(client: SQLClient) -> None:
    steps = work(client, "Ann")
    next(steps)
    with pytest.raises(StopIteration):
        copy_context().run(next, steps)
    add(client, "Bob")
    assert names(client) == ["Ann", "Bob"]


def test_generators_whose_transactions_end_out_of_order_are_rolled_back_and_told(client: SQLClient) -> None:
    outer, inner = work(client, "Ann"), work(client, "Bob", "Cid")
    next(outer)
    next(inner)
    with pytest.raises(SqlError, match="still open"):
        next(outer)
    with pytest.raises(SqlError, match="is over"):
        next(inner)
    add(client, "Dan")
    assert names(client) == ["Dan"]


def test_a_transaction_is_not_committed_while_one_of_another_task_within_it_is_half_done(client: SQLClient) -> None:
    async def part(begun: asyncio.Event, ends: asyncio.Event) -> None:
        with client.transaction():
            add(client, "Ann")
            begun.set()
            await ends.wait()
            add(client, "Bob")

    async def main() -> None:
        begun, ends = asyncio.Event(), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []
        with pytest.raises(SqlError, match="still open"), client.transaction():  # noqa: PT012  # the end of the block
            tasks.append(asyncio.create_task(part(begun, ends)))
            await begun.wait()
        ends.set()
        with pytest.raises(SqlError, match="is over"):
            await tasks[0]

    asyncio.run(main())
    assert names(client) == []
