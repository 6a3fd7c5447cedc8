"""Hits in the process: the Store's public read beside what other libraries take to fetch a value from memory.

The peers' keys are made beforehand and their values are not looked at; ours builds its key from the plan and the type.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

from cachetools import TTLCache

from benchmarks.bench import Bench
from benchmarks.data import MATCH, PLAN, PLAN_WITHOUT_RULES, is_rule_of, with_match_rules
from benchmarks.measure import Contender, lines, race
from benchmarks.peers import installed
from benchmarks.report import Line
from bluestar_store import GLOBAL, AsyncStore, Store

CALLS = 300
KEY = f"calculation-rule#{PLAN}#{MATCH}"
SECONDS = 3600
UNDER_LOCK = "cachetools.TTLCache.get, Lock"


def rows(bench: Bench) -> Iterator[Line]:
    """The plan's own rule, then one that GLOBAL has."""
    with Store.open(bench.memory()) as store:
        with_match_rules(store)
        yield from asyncio.run(_own(store, bench.rounds(1500)))
        yield from asyncio.run(_fallback(store, bench.rounds(1500)))


def store_get(store: Store, plan_id: str, found_at: str) -> Contender:
    """The work that all of this is about."""

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = store.calculation_rules.get(plan_id, MATCH)
        return answer

    return Contender("bluestar-store", block, is_rule_of(found_at))


async def _own(store: Store, rounds: int) -> list[Line]:
    value = store.calculation_rules.get(PLAN, MATCH)
    peers = [_dogpile(value)] if installed("dogpile") else []
    peers += [await make(value) for name, make in (("cashews", _cashews), ("aiocache", _aiocache)) if installed(name)]
    contenders = [store_get(store, PLAN, PLAN), _cachetools(value), *peers, _dict(value), _async_store(store)]
    goals = {UNDER_LOCK: 0.8} | {peer.name: 1.0 for peer in peers}
    return lines("hit in the process", await race(contenders, rounds=rounds, calls=CALLS), goals)


async def _fallback(store: Store, rounds: int) -> list[Line]:
    value = store.calculation_rules.get(PLAN_WITHOUT_RULES, MATCH)
    contenders = [store_get(store, PLAN_WITHOUT_RULES, GLOBAL), _cachetools(value), _cachetools_twice(value)]
    timings = await race(contenders, rounds=rounds, calls=CALLS)
    return lines("hit in the process, GLOBAL's", timings, {UNDER_LOCK: 1.5})


def _async_store(store: Store) -> Contender:
    read = AsyncStore(store).calculation_rules.get

    async def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = await read(PLAN, MATCH)
        return answer

    return Contender("AsyncStore, awaited", block, is_rule_of(PLAN))


def _is(value: object) -> Callable[[object], bool]:
    return lambda answer: answer == value  # cashews keeps a copy


def _cachetools(value: object) -> Contender:
    cache: TTLCache[str, object] = TTLCache(100_000, SECONDS)
    cache[KEY] = value
    lock = threading.Lock()

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            with lock:
                answer = cache.get(KEY)
        return answer

    return Contender(UNDER_LOCK, block, _is(value))


def _cachetools_twice(value: object) -> Contender:
    absent, absence = f"calculation-rule#{PLAN_WITHOUT_RULES}#{MATCH}", object()
    cache: TTLCache[str, object] = TTLCache(100_000, SECONDS)
    cache[KEY], cache[absent] = value, absence
    lock = threading.Lock()

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            with lock:
                answer = cache.get(absent)
            if answer is absence:
                with lock:
                    answer = cache.get(KEY)
        return answer

    return Contender("the same, both lookups", block, _is(value))


def _dogpile(value: object) -> Contender:
    from dogpile.cache import make_region

    region = make_region().configure("dogpile.cache.memory", expiration_time=SECONDS)
    region.set(KEY, value)

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = region.get(KEY)
        return answer

    return Contender("dogpile.cache memory get", block, _is(value))


async def _cashews(value: Any) -> Contender:
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://")
    await cache.set(KEY, value, expire=SECONDS)

    async def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = await cache.get(KEY)
        return answer

    return Contender("cashews mem get", block, _is(value))


async def _aiocache(value: object) -> Contender:
    from aiocache import SimpleMemoryCache

    cache = SimpleMemoryCache(timeout=0)  # without its watch over slow servers, which costs it some microseconds
    await cache.set(KEY, value, ttl=SECONDS)

    async def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = await cache.get(KEY)
        return answer

    return Contender("aiocache memory get", block, _is(value))


def _dict(value: object) -> Contender:
    plain = {KEY: value}

    def block(calls: int) -> object:
        answer: object = None
        for _ in repeat(None, calls):
            answer = plain.get(KEY)
        return answer

    return Contender("dict.get", block, _is(value))
