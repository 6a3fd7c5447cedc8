"""Cold reads with eight threads on one Store: what a read takes of the clock, beside one thread that reads them all.

Every read is of another rule: reads of one rule at the same time are one read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.bench import Bench
from benchmarks.data import PLAN, with_rules
from benchmarks.measure import Block, Contender, compare
from benchmarks.peers import boto3_client
from benchmarks.report import Line
from bluestar_store import Store
from bluestar_store.models.calculation import CALCULATION_RULE

THREADS = 8
CALC_TYPES = [f"t{number}" for number in range(4 * THREADS)]

Read = Callable[[str], object]
"""Reads a rule and gives its type."""


def rows(bench: Bench) -> Iterator[Line]:
    """The Store's, then those of boto3's client, which show how much room there is."""
    with Store.open(bench.dynamo(cache_max_entries=0)) as store, ThreadPoolExecutor(THREADS) as pool:
        with_rules(store, CALC_TYPES)
        table, client = store.tables.name(CALCULATION_RULE), boto3_client(store.settings)

        def ours(calc_type: str) -> object:
            return store.calculation_rules.get(PLAN, calc_type).calc_type

        def theirs(calc_type: str) -> object:
            key = {"PK": {"S": f"CLIENT#{PLAN}"}, "SK": {"S": f"CALC#{calc_type}"}}
            return client.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]["calc_type"]["S"]

        goals = {"bluestar-store, one thread": 1.0}
        for work, name, read in (
            ("cold reads at once, each", "bluestar-store", ours),
            ("the same, boto3", "boto3 client", theirs),
        ):
            contenders = [
                Contender(f"{name}, {THREADS} threads", _spread(pool, read), _is_all),
                Contender(f"{name}, one thread", lambda _, read=read: _in_turn(read, CALC_TYPES), _is_all),  # type: ignore[misc]  # mypy cannot infer lambdas with defaults
            ]
            yield from compare(work, contenders, goals, rounds=bench.rounds(60), calls=len(CALC_TYPES))


def _is_all(answer: object) -> bool:
    return answer == CALC_TYPES


def _in_turn(read: Read, calc_types: Sequence[str]) -> list[object]:
    return [read(calc_type) for calc_type in calc_types]


def _spread(pool: ThreadPoolExecutor, read: Read) -> Block:
    size = len(CALC_TYPES) // THREADS
    shares = [CALC_TYPES[start : start + size] for start in range(0, len(CALC_TYPES), size)]

    def block(_: int) -> object:
        return [one for answers in pool.map(lambda share: _in_turn(read, share), shares) for one in answers]

    return block
