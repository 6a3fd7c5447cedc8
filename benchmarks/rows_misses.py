"""Misses: what looking into both tiers adds to a read that has to go to DynamoDB after all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks.bench import Bench
from benchmarks.data import PLAN, is_rule_of, with_rules
from benchmarks.measure import Contender, WrongAnswerError, compare, counted
from benchmarks.report import Goal, Line
from bluestar_store import Store
from tests.redis_proxy import RedisProxy

COUNTED_READS = 50


def rows(bench: Bench) -> Iterator[Line]:
    """Round trips of a miss, then its time with two tiers, with one, and without."""
    yield _round_trips(bench)
    yield from _times(bench)


def _round_trips(bench: Bench) -> Line:
    names = [f"t{number}" for number in range(COUNTED_READS)]
    trips = []
    with RedisProxy(bench.redis_url) as proxy, Store.open(bench.memory(redis_url=proxy.url)) as store:
        with_rules(store, ["warm", *names])
        store.calculation_rules.get(PLAN, "warm")
        for name in names:
            proxy.forget()
            if store.calculation_rules.get(PLAN, name).calc_type != name:
                raise WrongAnswerError(name)
            trips.append(sum(one.round_trips for one in proxy.connections if not one.subscribes))
    return counted("miss, Redis round trips", "bluestar-store", "trips", trips, Goal("worst", 2))


def _times(bench: Bench) -> list[Line]:
    rounds = bench.rounds(400)
    settings: dict[str, dict[str, Any]] = {
        "bluestar-store, both tiers": {"redis_url": bench.redis_url},
        "bluestar-store, first tier": {},
        "bluestar-store, no cache": {"cache_max_entries": 0},
    }
    with ExitStack() as stack:
        suffix = "-misses"
        stores = {
            name: stack.enter_context(Store.open(bench.dynamo(table_suffix=suffix, **options)))
            for name, options in settings.items()
        }
        first = next(iter(stores.values()))
        with_rules(first, [f"m{number}" for number in range(rounds + 3)])
        contenders = [_miss(name, store) for name, store in stores.items()]
        return compare("miss, to DynamoDB", contenders, {}, rounds=rounds, calls=1)


def _miss(name: str, store: Store) -> Contender:
    names = (f"m{number}" for number in range(1_000_000))  # each read once, so that each is a miss

    def block(calls: int) -> object:
        return store.calculation_rules.get(PLAN, next(names))

    return Contender(name, block, is_rule_of(PLAN))
