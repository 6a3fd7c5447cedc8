"""Hits among many entries and among few: one hot key, and keys at random.

The latter also shows what any large dictionary costs: entries that the processor's caches do not hold.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, islice

from cachetools import TTLCache

from benchmarks.bench import Bench
from benchmarks.data import MATCH
from benchmarks.made_engine import made_store, plans
from benchmarks.measure import Block, Contender, WrongAnswerError, compare
from benchmarks.report import Line
from bluestar_store import CalculationRule, Store

FEW, MANY = 100, 100_000
CALLS = 300
MOST = 1.3


def rows(bench: Bench) -> Iterator[Line]:
    """The library's, then cachetools' and a plain dictionary's, for comparison."""
    names = plans(bench.rounds(MANY))
    shuffled = random.Random(4).sample(names, len(names))
    rounds = bench.rounds(1500)
    with made_store() as many, made_store() as few:
        kept = _filled(many, names)
        _filled(few, shuffled[:FEW])

        def pair(name: str, make: Callable[[Sequence[str]], Block]) -> list[Contender]:
            large, small = make(shuffled), make(shuffled[:FEW])
            return [_contender(f"{name}, {len(names):,}", large), _contender(f"{name}, {FEW}", small)]

        hot = [
            _contender(f"bluestar-store, {number:,}", _of_store(store, shuffled[:1]))
            for store, number in ((many, len(names)), (few, FEW))
        ]
        yield from compare("hit among many, one hot key", hot, {hot[1].name: MOST}, rounds=rounds, calls=CALLS)

        spread = pair("bluestar-store", lambda some: _of_store(many if len(some) > FEW else few, some))
        work = "hit among many, keys at random"
        yield from compare(work, spread, {spread[1].name: MOST}, rounds=rounds, calls=CALLS)
        for name, make in ((" cachetools.TTLCache.get, Lock", _of_cachetools), (" dict.get", _of_dict)):
            contenders = pair(name.strip(), lambda some, make=make: make(kept, some))  # type: ignore[misc]
            yield from compare(f"the same,{name}", contenders, {}, rounds=rounds, calls=CALLS)


def _filled(store: Store, names: Sequence[str]) -> dict[str, CalculationRule]:
    kept = {plan: store.calculation_rules.get(plan, MATCH) for plan in names}
    if store.cache.stats().entries != len(names) + 1:  # the other one is the absence of GLOBAL's
        raise WrongAnswerError("not all entries are in the first tier")
    return kept


def _contender(name: str, block: Block) -> Contender:
    return Contender(name, block, lambda answer: isinstance(answer, CalculationRule))


def _of_store(store: Store, names: Sequence[str]) -> Block:
    endless = cycle(names)

    def block(calls: int) -> object:
        answer: object = None
        for plan in islice(endless, calls):
            answer = store.calculation_rules.get(plan, MATCH)
        return answer

    return block


def _of_cachetools(kept: Mapping[str, CalculationRule], names: Sequence[str]) -> Block:
    cache: TTLCache[str, object] = TTLCache(len(names), 3600)
    cache.update({plan: kept[plan] for plan in names})
    lock, endless = threading.Lock(), cycle(names)

    def block(calls: int) -> object:
        answer: object = None
        for plan in islice(endless, calls):
            with lock:
                answer = cache.get(plan)
        return answer

    return block


def _of_dict(kept: Mapping[str, CalculationRule], names: Sequence[str]) -> Block:
    plain, endless = {plan: kept[plan] for plan in names}, cycle(names)

    def block(calls: int) -> object:
        answer: object = None
        for plan in islice(endless, calls):
            answer = plain.get(plan)
        return answer

    return block
