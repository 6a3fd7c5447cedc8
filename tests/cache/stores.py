"""Stores over one engine, with the caches that a test wants."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from typing import Any

from bluestar_store import CalculationRule, Settings, Store
from bluestar_store.clock import Clock
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Engine
from bluestar_store.testing import FaultEngine
from tests import servers

WAIT_SECONDS = 10.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, not as long as for a server; fail when it does not come about."""
    servers.wait_until(lambda: bool(condition()), what, WAIT_SECONDS)


def rule(plan_id: str, max_pct: int, calc_type: str = "match") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(max_pct))


@contextmanager
def stores(
    engine: Engine,
    count: int,
    redis_url: str | None,
    *,
    clock: Clock | None = None,
    young_redis: bool = False,
    **settings: Any,
) -> Iterator[list[Store]]:
    """Some Stores over one engine, as if each were in a process of its own when they share a Redis.

    The Redis keys are of a namespace that no other test has. Each counts as one that has listened for long, unless it
    is to be as `young_redis` as a test's server is.
    """
    options: dict[str, Any] = {"table_suffix": f"-{uuid.uuid4().hex[:12]}", "redis_timeout_ms": 1000} | settings
    with ExitStack() as stack:
        opened = [
            stack.enter_context(
                Store(Settings(persistence_mode="memory", redis_url=redis_url, **options), engine, clock=clock)
            )
            for _ in range(count)
        ]
        opened[0].create_tables()
        for store in opened:  # apart in this process, so that only Redis can tell one of the other's writes
            store.cache._cache.peers = lambda cache=store.cache._cache: [cache]  # type: ignore[misc, method-assign]
            if store.cache._cache.remote is not None and not young_redis:
                store.cache._cache.remote.listening_seconds = lambda: math.inf  # type: ignore[method-assign]
        yield opened


@contextmanager
def one_store(
    redis_url: str | None = None, *, clock: Clock | None = None, young_redis: bool = False, **settings: Any
) -> Iterator[tuple[Store, FaultEngine]]:
    """A Store, and the engine that counts its calls."""
    engine = FaultEngine(MemoryEngine())
    with stores(engine, 1, redis_url, clock=clock, young_redis=young_redis, **settings) as (store,):
        engine.faults.forget()
        yield store, engine
