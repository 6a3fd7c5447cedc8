"""The cache's counts as OpenTelemetry metrics. Needs the extra `opentelemetry`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from bluestar_store.cache.stats import GAUGES, CacheStats
from bluestar_store.store import Store

__all__ = ["instrument"]

PREFIX = "bluestar_store.cache."


def instrument(store: Store, meter: Meter | None = None) -> None:
    """Report `store.cache.stats()` whenever metrics are collected; nothing is done on reads.

    Each count is a counter `bluestar_store.cache.{name}`; `entries`, `bytes` and `pending` are gauges, and so are
    `redis_usable` and `channel`, as 0 and 1. `meter` defaults to the global provider's. Call it once a Store.
    """
    meter = meter or get_meter("bluestar_store")
    for field in fields(CacheStats):
        if field.name in GAUGES:
            meter.create_observable_gauge(f"{PREFIX}{field.name}", [_observed(store, field.name)])
        elif field.type == "int":
            meter.create_observable_counter(f"{PREFIX}{field.name}", [_observed(store, field.name)])

    def usable(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(int(store.cache.stats().redis == "closed"))

    meter.create_observable_gauge(f"{PREFIX}redis_usable", [usable])


def _observed(store: Store, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        yield Observation(int(getattr(store.cache.stats(), name)))

    return observe
