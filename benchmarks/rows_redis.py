"""Hits in Redis, the first tier off: found, decoded and validated, beside the bare fetch of the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import redis

from benchmarks.bench import Bench
from benchmarks.data import PLAN, PLAN_WITHOUT_RULES, with_match_rules
from benchmarks.measure import Contender, WrongAnswerError, compare
from benchmarks.report import Line
from benchmarks.rows_cache_hits import store_get
from bluestar_store import GLOBAL, Store

BARE_GET, BARE_MGET = "redis-py GET, hiredis", "redis-py MGET of two, hiredis"
OWN, ABSENT, GLOBALS = "bench:own", "bench:absent", "bench:global"


def rows(bench: Bench) -> Iterator[Line]:
    """The plan's own rule, then one that GLOBAL has; one call a block, so that p99 is that of a call."""
    client = redis.Redis.from_url(bench.redis_url)
    with Store.open(bench.memory(redis_url=bench.redis_url, cache_max_entries=0)) as store, client:
        with_match_rules(store)
        for plan in (PLAN, PLAN_WITHOUT_RULES):  # leaves the values, and the absence, in Redis
            store.calculation_rules.get(plan, "match")
        kept = _copied(client)
        rounds = bench.rounds(6000)
        before = store.cache.stats()

        def get(calls: int) -> object:
            answer: object = None
            for _ in repeat(None, calls):
                answer = client.get(OWN)
            return answer

        def mget(calls: int) -> object:
            answer: object = None
            for _ in repeat(None, calls):
                answer = client.mget((ABSENT, GLOBALS))
            return answer

        own = [store_get(store, PLAN, PLAN), Contender(BARE_GET, get, _is(kept[OWN]))]
        yield from compare("hit in Redis", own, {BARE_GET: 1.25}, rounds=rounds, calls=1)
        both = [store_get(store, PLAN_WITHOUT_RULES, GLOBAL)]
        both.append(Contender(BARE_MGET, mget, _is([kept[ABSENT], kept[GLOBALS]])))
        yield from compare("hit in Redis, GLOBAL's", both, {BARE_MGET: 1.3}, rounds=rounds, calls=1)
        after = store.cache.stats()
        if after.loads != before.loads or after.hits_local != before.hits_local:
            raise WrongAnswerError("not every read was answered by Redis")


def _is(value: object) -> Callable[[object], bool]:
    return lambda answer: answer == value


def _copied(client: Any) -> dict[str, bytes]:
    """What the Store left in Redis, under keys of our own that do not expire."""
    contents = [content for key in client.scan_iter() if (content := client.get(key)).startswith(b"V")]
    named = {
        OWN: next(content for content in contents if PLAN.encode() in content),
        ABSENT: next(content for content in contents if PLAN_WITHOUT_RULES.encode() in content),
        GLOBALS: next(content for content in contents if GLOBAL.encode() in content),
    }
    client.mset(named)
    return named
