"""An engine whose items are made when they are read, as fresh as from a server: nothing is shared, nothing is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from benchmarks.data import rule, step
from bluestar_store import Settings, Store
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Page

NAME = "P000000"
"""Stands for the plan in the texts that items are made of; plans are named like this, see `plans`."""
FREQ = "Weekly"


def plans(count: int) -> list[str]:
    """The names of so many plans, each as long as NAME."""
    return [f"P{number:06d}" for number in range(count)]


class MadeEngine(MemoryEngine):
    """Each plan P... has a `match` rule and a pipeline of `steps` steps; GLOBAL has nothing."""

    def __init__(self, *, steps: int = 0, description: str | None = None) -> None:
        super().__init__()
        with Store(Settings(persistence_mode="memory"), MemoryEngine()) as store:
            store.create_tables()
            wanted = rule(NAME)
            if description is not None:
                wanted = wanted.model_copy(update={"description": description})
            kept = [store.calculation_rules.put(wanted)]
            self._rule = _text(kept)
            self._steps = "[]"
            if steps:
                self._steps = _text(
                    store.pipelines.replace(NAME, FREQ, [step(NAME, FREQ, number) for number in range(1, steps + 1)])
                )

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See Engine."""
        return self.get_isolated(table, keys)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See Engine."""
        return {key: _made(self._rule, key.pk)[0] for key in keys if key.pk.startswith("CLIENT#P")}

    def query(self, table: str, pk: str, sk_prefix: str = "", **options: Any) -> Page:
        """See Engine."""
        return Page(_made(self._steps, pk) if pk.startswith("CLIENT#P") else [], None)


def _text(entities: Iterable[Any]) -> str:
    return json.dumps([entity.origin.item for entity in entities], default=dict)


def _made(text: str, pk: str) -> list[Item]:
    items: list[Item] = json.loads(text.replace(NAME, pk.removeprefix("CLIENT#")[: len(NAME)]))
    return items


def made_store(steps: int = 0, description: str | None = None, **options: Any) -> Store:
    """A Store of such plans, whose first tier has room for all of them."""
    room: dict[str, Any] = {"cache_max_bytes": 1 << 40, "cache_max_entries": 1_000_000, "cache_ttl_seconds": 3600}
    settings = Settings(persistence_mode="memory", **(room | options))
    engine: Engine = MadeEngine(steps=steps, description=description)
    return Store(settings, engine)
