"""A cache over a second tier that only records what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis.listener import Received
from bluestar_store.cache.redis.messages import Message
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.protocols import CacheKey
from tests.cache.first_tier import LIMITS, Clock

A, B, C = ("rule", "ACME", "match"), ("rule", "ACME", "loan"), ("config", "NEWCO")
FIELDS = {"rule": ("plan_id", "calc_type"), "rule*": ("plan_id",), "config": ("plan_id",), "limits": ("year",)}
BLOCK = LIMITS.block_seconds
TRUST = LIMITS.trust_seconds


class Recorder:
    """Stands for a RedisTier and its publisher."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.publisher = self.client = self
        self.listening_since: float | None = None
        self.held: Any = "it is being written"
        self.keys: list[CacheKey] = []
        self.published = True
        self.error: Exception | None = None
        self.while_publishing: Callable[[], None] = lambda: None
        self.is_open, self.retained, self.pending, self.origin = False, 0.0, list[object](), "origin"

    def put_tombstones(self, keys: Iterable[CacheKey], writer: bytes, seconds: float) -> None:
        self.events.append(("put", list(keys), writer, seconds))

    def remove_tombstones(self, keys: Iterable[CacheKey], writer: bytes) -> None:
        self.events.append(("remove", list(keys), writer))

    def distrust(self, keys: Iterable[CacheKey]) -> None:
        self.events.append(("distrust", list(keys)))

    def forget_quietly(self, matches: Callable[[CacheKey], bool]) -> None:
        self.events.append(("forget", [key for key in (A, B, C) if matches(key)]))

    def forget(self, matches: Callable[[CacheKey], bool]) -> int:
        self._fail()
        found = [key for key in (A, B, C) if matches(key)]
        self.events.append(("forget", found))
        return len(found)

    def publish_matching(self, kind: str | None, fields: Mapping[str, Any]) -> bool:
        self.events.append(("matching", kind, dict(fields)))
        self.while_publishing()
        return self.published

    def inspect(self, key: CacheKey) -> Any:
        self.events.append(("inspect", key))
        return self.held

    def held_keys(self) -> list[CacheKey]:
        self._fail()
        return self.keys

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    def retained_seconds(self) -> float:
        return self.retained

    def recover(self) -> None:
        self.events.append(("recover",))

    def reset(self) -> None:
        self.events.append(("reset",))

    def close(self) -> None:
        self.events.append(("close",))

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]


class Tiers:
    """A cache over a recorder."""

    def __init__(self, namespace: str = "tiers", *, shared: bool = True) -> None:
        self.clock, self.remote = Clock(), Recorder()
        remote: Any = self.remote if shared else None
        self.cache = TieredCache(LIMITS, namespace, FIELDS, Counters(), remote=remote, clock=self.clock)

    def told(self, *, legacy: bool = False, signed: bool = True, **said: Any) -> None:
        self.cache._on_message(Received(Message("elsewhere", **said), legacy, signed))

    def kept(self, *keys: CacheKey) -> list[bool]:
        return [self.cache.local.look(key) is not None for key in keys]

    def covered(self, *keys: CacheKey) -> list[bool]:
        return [self.cache.local.writes.cover(key) for key in keys]
