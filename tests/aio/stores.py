"""AsyncStores over an engine that a test can stop and fail, and what to do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from bluestar_store import DEFAULT, AsyncStore, IrsLimits, PipelineStep
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Engine
from bluestar_store.testing import FaultEngine, Hold
from tests.cache import stores as cached_stores
from tests.cache.stores import rule

STEPS = [PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]


class Remote(MemoryEngine):
    """Memory, read as if each call were a round trip: reads that are independent are made in threads at once."""

    parallel_calls = 4


@contextmanager
def async_stores(
    count: int, redis_url: str | None = None, engine: Engine | None = None, **settings: Any
) -> Iterator[tuple[Sequence[AsyncStore], FaultEngine]]:
    """Some AsyncStores, as if each were in a process of its own, with what a batch of ACME needs."""
    faults = FaultEngine(engine or MemoryEngine())
    with cached_stores.stores(faults, count, redis_url, **settings) as opened:
        opened[0].irs_limits.put(IrsLimits(year=2026))
        opened[0].pipelines.replace(DEFAULT, "Weekly", STEPS)
        opened[0].calculation_rules.put(rule("ACME", 4))
        faults.faults.forget()
        yield [AsyncStore(store) for store in opened], faults


@contextmanager
def async_store(engine: Engine | None = None, **settings: Any) -> Iterator[tuple[AsyncStore, FaultEngine]]:
    """One of them."""
    with async_stores(1, None, engine, **settings) as ((store,), faults):
        yield store, faults


async def reached(hold: Hold) -> None:
    """A call stands where the hold is."""
    await asyncio.get_running_loop().run_in_executor(None, hold.reached.wait)


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel it, and wait until nobody awaits its calls any more; one that was done already stays so."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def count_threads_used(store: AsyncStore, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with every call that is made in a thread."""
    used: list[object] = []
    submit = store._threads.submit

    def counting(call: Any) -> Any:
        used.append(call)
        return submit(call)

    monkeypatch.setattr(store._threads, "submit", counting)
    return used
