"""Somebody who can write to a Store's Redis: what he plants there, forges and says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

from bluestar_store import (
    Store,
)
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.protocols import Engine
from tests.cache.stores import rule, stores, until
from tests.redis_servers import RedisProcess

KEY, OTHER_KEY, OLD_KEY = ("k" * 43 + "=", "o" * 43 + "=", "p" * 43 + "=")
PLANTED = "998877665541"
CACHE_KEY = ["calculation-rule", "ACME", "match"]


class Inside:
    """Somebody with a client of the server, who knows the names of things and no key."""

    def __init__(self, store: Store, process: RedisProcess) -> None:
        self.store, self.client = store, process.client()
        remote = store.cache._cache.attach()
        self.space, self.run_id = remote.client.namespace, self.client.info("server")["run_id"].encode()

    def key(self, *cache_key: Any) -> bytes:
        return self.space.redis_key(cache_key, self.run_id)

    def plant(self, cache_key: list[Any], item: Any, *, lifetime_ms: int = 300_000, px: int | None = 300_000) -> None:
        payload = json.dumps([cache_key, [item]], separators=(",", ":")).encode()
        value = b"V%b2%d %d\n%b" % (b"0" * 16, lifetime_ms, crc32(payload), payload)
        self.client.set(self.key(*cache_key), value, px=px)

    def say(self, message: Any) -> None:
        assert self.client.publish(self.space.channel, json.dumps(message)) >= 1


@contextmanager
def attacked(redis_process: RedisProcess, engine: Engine | None = None, **settings: Any) -> Iterator[Inside]:
    with stores(engine or MemoryEngine(), 1, redis_process.url, cache_heartbeat_seconds=0.1, **settings) as (store,):
        store.calculation_rules.put(rule("ACME", 5))
        store.calculation_rules.get("ACME", "match")
        until(lambda: store.cache.stats().channel, "the channel is there")
        yield Inside(store, redis_process)


def read(store: Store) -> int:
    """The rule as a process sees it that has nothing of its own."""
    store.cache._cache.local.flush()
    found = store.calculation_rules.get("ACME", "match").max_pct
    assert found is not None
    return int(found)


def an_item(max_pct: int, **more: Any) -> dict[str, Any]:
    return {
        "PK": {"S": "CLIENT#ACME"},
        "SK": {"S": "CALC#match"},
        "max_pct": {"N": str(max_pct)},
        "version": {"N": "1"},
        **more,
    }
