"""A Store in memory in whose way others get: just before it writes, or while it reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from bluestar_store import Store
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import Item, Page, Put, Write

MATCH = Key("CLIENT#ACME", "CALC#match")
"""The rule that others change."""


class BusyEngine(MemoryEngine):
    """In memory; calls `before` when something is about to be written, and keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], object] = lambda: None
        self.before_read: Callable[[list[Key]], object] = lambda _keys: None
        self.sent: list[tuple[Write, ...]] = []
        self.was_sent = threading.Event()
        self.meddled = [10]
        """The numbers that others wrote."""
        self.isolated: list[Key] = []
        """What was read isolated."""
        self.stale: Page | None = None
        """What queries give, instead of what is there."""
        self.queries = 0
        self.reads = 0
        """Calls that read items by their keys."""

    def write(self, *writes: Write, **options: Any) -> None:
        self.sent.append(writes)
        self.was_sent.set()
        self.before()
        super().write(*writes, **options)

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        self.reads += 1
        return super().get(table, keys, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        asked = list(keys)
        self.isolated += asked
        self.before_read(asked)
        return super().get_isolated(table, asked)

    def query(self, *asked: Any, **options: Any) -> Page:
        self.queries += 1
        return super().query(*asked, **options) if self.stale is None else self.stale


def rules_table(store: Store) -> str:
    return store.tables.name(CALCULATION_RULE)


def raw(store: Store, engine: BusyEngine, key: Key = MATCH) -> Item:
    """What lies there, of the calculation rules."""
    return engine.get(rules_table(store), [key], consistent=True).get(key) or {}


def raw_put(store: Store, engine: BusyEngine, key: Key = MATCH, /, **attributes: Any) -> None:
    """Put a whole item, as another program does."""
    item: Item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, **attributes}
    MemoryEngine.write(engine, Put(rules_table(store), item))


def meddle(store: Store, engine: BusyEngine, times: float, **attributes: Any) -> None:
    """Before so many of its writes, another program changes the rule: these attributes, to a number not seen before."""
    calls = count(1)

    def before() -> None:
        if next(calls) <= times:
            engine.meddled.append(engine.meddled[-1] + 1)
            changed = {name: {"N": str(engine.meddled[-1])} for name in attributes}
            kept = {name: value for name, value in raw(store, engine).items() if name not in ("PK", "SK")}
            raw_put(store, engine, **kept | changed)

    engine.before = before
