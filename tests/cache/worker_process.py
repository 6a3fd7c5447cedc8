"""A process with a Store of its own, told what to do by lines of JSON on stdin; it answers each with one on stdout.

`python -m tests.cache.worker_process '{"persistence_mode": "file", ...}'`; see `Orders` for the orders.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from unittest.mock import patch

from bluestar_store import RuleNotFoundError, Settings, Store
from bluestar_store.cache.redis.tier import RedisTier
from bluestar_store.engines.opening import open_engine
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item
from bluestar_store.store import tables_of
from bluestar_store.testing import FaultEngine
from tests.cache.stores import rule


class SlowableEngine(FaultEngine):
    """Reads may be made slow; then each is told on stderr when it begins, for whoever waits for it."""

    def __init__(self, inner: Engine) -> None:
        super().__init__(inner)
        self.get_seconds = 0.0

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        self._begin()
        return super().get(table, keys, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        self._begin()
        return super().get_isolated(table, keys)

    def _begin(self) -> None:
        if self.get_seconds:
            print("get", file=sys.stderr, flush=True)
            time.sleep(self.get_seconds)


class Orders:
    """Each method is an order; times are of the monotonic clock, which all processes of a machine share."""

    def __init__(self, store: Store, engine: SlowableEngine) -> None:
        self._store, self._engine = store, engine

    def read(self, plan: str, fresh: bool = False) -> int | None:
        """The rule's percentage; None for no rule."""
        try:
            value = self._store.calculation_rules.get(plan, "match", fresh=fresh).max_pct
        except RuleNotFoundError:
            return None
        return None if value is None else int(value)

    def write(self, plan: str, value: int) -> float:
        """When the write was done."""
        self._store.calculation_rules.put(rule(plan, value))
        return time.monotonic()

    def delete(self, plan: str) -> float:
        """When the delete was done."""
        self._store.calculation_rules.delete(rule(plan, 1))
        return time.monotonic()

    def watch(self, plan: str, value: int | None, seconds: float) -> float | None:
        """When a read gave this value first; None when it did not within so many seconds."""
        end = time.monotonic() + seconds
        while self.read(plan) != value:
            if time.monotonic() > end:
                return None
            time.sleep(0.0002)
        return time.monotonic()

    def read_for(self, plan: str, seconds: float) -> int:
        """How often it was read in that time."""
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(plan)
            count += 1
        return count

    def slow(self, seconds: float) -> None:
        """From now on each read of the engine takes so much longer."""
        self._engine.get_seconds = seconds

    def gets(self) -> int:
        """How many reads the engine has seen from this process."""
        return self._engine.faults.counts["get"]

    def forget(self) -> None:
        """Count the engine's calls from nought."""
        self._engine.faults.forget()

    def stats(self) -> dict[str, Any]:
        """The cache's."""
        return asdict(self._store.cache.stats())


def main() -> None:
    """Obey until stdin ends."""
    settings = Settings(**json.loads(sys.argv[1]))
    patch.object(
        RedisTier, "listening_seconds", lambda remote: math.inf
    ).start()  # as of a process that has run for long
    engine = SlowableEngine(open_engine(settings, tables_of(settings)))
    with Store(settings, engine) as store:
        orders = Orders(store, engine)
        for line in sys.stdin:
            name, arguments = json.loads(line)
            print(json.dumps(getattr(orders, name)(*arguments)), flush=True)


if __name__ == "__main__":
    main()
