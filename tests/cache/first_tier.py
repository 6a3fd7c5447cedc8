"""The first tier alone, piece by piece: its clock, what is derived from its values, and a source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bluestar_store import Settings
from bluestar_store.cache.in_flight import Loaded
from bluestar_store.cache.limits import AHEAD, CacheLimits, Counters
from bluestar_store.cache.local import LocalCache
from bluestar_store.cache.read_through import EngineLoader, ReadThrough
from bluestar_store.protocols import CacheKey, Source
from tests.cache.loads import Numbers

KIND, OWN, GLOBAL = ("rule",), ("ACME",), ("GLOBAL",)
KEY, OTHER = KIND + OWN, KIND + GLOBAL
LIFE = 100.0
"""Of entries here, in seconds."""
DUE = LIFE * (1 - AHEAD)


class Clock:
    """Stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Derived:
    """Keeps what it derives, as repositories do."""

    def __init__(self) -> None:
        self.kept: dict[CacheKey, tuple[Any, Any, Any]] = {}
        self.made = 0

    def get(self, own: CacheKey) -> tuple[Any, Any, Any] | None:
        return self.kept.get(own)

    def derive(self, own: CacheKey, value: Any) -> Any:
        self.made += 1
        self.kept[own] = value, None, f"{value} for {own[0]}"
        return self.kept[own][2]


A, B, C = ("a",), ("b",), ("c",)
LIMITS = replace(
    CacheLimits.of(Settings(persistence_mode="memory")),
    ttl_seconds=100,
    absence_ttl_seconds=10,
    stale_if_error_seconds=50,
    degraded_ttl_seconds=5,
)


def never(value: object) -> bool:
    return False


def put(local: LocalCache, key: CacheKey = KEY, value: object = "v", moment: object = None, weight: int = 0) -> None:
    """By a load of its own."""
    loads = local.begin_anew([key])
    one = Loaded(value, moment if moment is not None else object(), local._clock() + LIFE, weight)
    local.finish(loads, {key: one}, math.inf)


class Values(Numbers):
    """A source of what a test says; else 1, 2, 3, ..."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.values, self.asked = values, list[list[CacheKey]]()
        self.settling: object = None

    def load(self, cache_keys: Sequence[CacheKey]) -> Mapping[CacheKey, Any]:
        self.asked.append(list(cache_keys))
        numbers = super().load(cache_keys)
        found = {key: self.values.get(str(key[0]), numbers[key]) for key in cache_keys}
        return {key: value for key, value in found.items() if value != "left out"}

    def settles(self, value: Any) -> bool:
        return value is not None and value == self.settling


class Setup:
    """A first tier, its clock, and a loader of the engine that loads under it."""

    def __init__(self, limits: CacheLimits = LIMITS) -> None:
        self.clock, self.counters = Clock(), Counters()
        self.local = LocalCache(10, 10**6, self.clock)
        self.loader = EngineLoader(limits, self.counters, self.clock)
        self.reads = ReadThrough(self.local, limits, self.counters, self.clock, self.loader)

    def fetch(self, source: Source, *keys: CacheKey, fresh: bool = False) -> list[Any]:
        found = self.reads.fetch(keys, source, fresh=fresh)
        return [found[key] for key in keys if key in found]

    def count(self, name: str) -> int:
        return self.counters.counts()[name]
