"""The async side over a real server: botocore in threads, cancelled at any moment, raced by tasks."""

from __future__ import annotations

import asyncio

import pytest

from bluestar_store import DEFAULT, AsyncStore, BatchStatus, IrsLimits, VersionConflictError
from bluestar_store.engines.dynamo.connection import AwsConnection
from tests.aio.stores import STEPS
from tests.aio.test_cancelling import WORKS, cancelled_after
from tests.stores.conftest import MakeStore, SharedEngine

ROUNDS = 12
TASKS, ADVANCES = 6, 5


def made(make_store: MakeStore, connection: AwsConnection) -> AsyncStore:
    store = make_store(SharedEngine(connection))
    store.irs_limits.put(IrsLimits(year=2026))
    store.pipelines.replace(DEFAULT, "Weekly", STEPS)
    return AsyncStore(store)


@pytest.mark.slow
def test_a_unit_that_is_cancelled_at_any_moment_is_whole_or_not_there(
    make_store: MakeStore,
    local_connection: AwsConnection,
) -> None:
    work, is_done = WORKS["unit"]
    done = set()
    for number in range(ROUNDS):
        store = made(make_store, local_connection)
        asyncio.run(cancelled_after((work, is_done), store, number * 8 + number // 2))
        done.add(is_done(store))
    assert False in done


def test_tasks_that_race_lose_no_update(
    make_store: MakeStore,
    local_connection: AwsConnection,
) -> None:
    async def advance(store: AsyncStore, batch_id: str) -> None:
        done = 0
        while done < ADVANCES:
            try:
                await store.batches.advance(await store.batches.get(batch_id), BatchStatus.RUNNING)
            except VersionConflictError:
                continue
            done += 1

    async def run(store: AsyncStore) -> None:
        batch = await store.batches.start("ACME", "Weekly", 2026)
        await asyncio.gather(*(advance(store, batch.batch_id) for _ in range(TASKS)))
        assert (await store.batches.get(batch.batch_id)).version == (batch.version or 0) + TASKS * ADVANCES
        await store.aclose()

    asyncio.run(run(made(make_store, local_connection)))
