"""Stores for agents that work on the same batches: in memory, in a folder, on DynamoDB Local."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bluestar_store import BatchState, BatchStatus, ConflictError, Settings, Store


def settings_of(target: str, folder: Path, url: Callable[[], str], suffix: str | None = None) -> Settings:
    """Of one target; `url` is asked only where DynamoDB Local is needed."""
    values: dict[str, Any] = {"table_suffix": suffix or f"-{uuid.uuid4().hex[:12]}"}
    if target == "file":
        values["file_persistence_dir"] = folder
    if target == "dynamo":
        values |= {"dynamodb_endpoint_url": url(), "aws_region": "us-east-1", "conflict_attempts": 60}
    return Settings(persistence_mode=target, **values)


@contextmanager
def opened(settings: Settings) -> Iterator[Store]:
    """A Store with its tables."""
    with Store.open(settings) as store:
        store.create_tables()
        yield store


def running(store: Store, batch_id: str = "b") -> BatchState:
    """A batch that runs."""
    batch = store.batches.put(BatchState(batch_id=batch_id, plan_id="ACME", status=BatchStatus.RECEIVED))
    return store.batches.advance(batch, status=BatchStatus.RUNNING, step=0)


def advance(store: Store, times: int, batch_id: str = "b") -> int:
    """Move a batch one step on, so often, against all others who do; returns how many tries it took."""
    tries = 0
    for _ in range(times):
        done = False
        while not done:
            tries += 1
            batch = store.batches.get(batch_id)
            try:
                store.batches.advance(batch, step=(batch.current_step or 0) + 1)
                done = True
            except ConflictError:
                continue
    return tries
