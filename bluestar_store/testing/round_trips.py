"""Round trips of a Store's reads, counted: to the engine, and to Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bluestar_store.engines.dynamo.engine import BATCH_GET_KEYS
from bluestar_store.store import Store
from bluestar_store.testing.fault_engine import READS
from bluestar_store.testing.faults import Call, Faults


class AssertReads:
    """`with assert_reads(engine=1): ...` fails unless the block takes exactly so many round trips; it says which.

    `engine` counts calls that read items: BatchGetItem (each hundred keys are one), TransactGetItems, and each page
    of a Query or Scan. A write that has to look first reads, too. `redis` counts all that a Store asks of Redis: a
    hit there is one, a miss two (look, and fill). What is not named is not counted.
    """

    def __init__(self, faults: Faults) -> None:
        """`faults` are those of the engines whose reads count."""
        self._faults = faults
        self._redis: list[str] = []
        self._has_redis = False

    def watch(self, store: Store) -> None:
        """Count what a Store asks of its Redis from now on, if it has one: a single server."""
        if store.settings.redis_url is not None:
            from bluestar_store.testing.counted_redis import count_calls  # loads redis

            self._has_redis = True
            count_calls(store, self._redis.append)

    @contextmanager
    def __call__(self, engine: int | None = None, *, redis: int | None = None) -> Iterator[None]:
        """Raises AssertionError at the end of a block that took other round trips than these."""
        __tracebackhide__ = True
        if redis and not self._has_redis:
            raise AssertionError("no Store of this test has a Redis: ask for the fixture bluestar_redis as well")
        before, redis_before = self._faults.calls, len(self._redis)
        yield
        known = set(map(id, before))  # not how many: the block may `forget` calls
        reads = [call for call in self._faults.calls if id(call) not in known and call.name in READS]
        _compare("the engine", engine, sum(map(_round_trips, reads)), list(map(_described, reads)))
        asked = self._redis[redis_before:]
        _compare("Redis", redis, len(asked), asked)


def _compare(where: str, expected: int | None, found: int, calls: Sequence[str]) -> None:
    __tracebackhide__ = True
    if expected is not None and expected != found:
        lines = [f"round trips to {where}: {expected} expected, {found} made{':' if calls else ''}", *calls]
        raise AssertionError("\n  ".join(lines))


def _round_trips(call: Call) -> int:
    keys = call.arguments.get("keys")
    return 1 if keys is None else -(-len(set(keys)) // BATCH_GET_KEYS)


def _described(call: Call) -> str:
    """A read as a failed test shows it: the table and the keys."""
    asked = call.arguments
    text = f"{call.name} {asked['table']}"
    match call.name:
        case "query":
            text += f" PK={asked['pk']} SK={asked['sk_prefix']}*"
            text += f" index {asked['index']}" if asked["index"] else ""
        case "scan":
            text += f" SK={asked['sk_prefix']}*"
        case _:
            text += " " + ", ".join(map(str, asked["keys"]))
    return text
