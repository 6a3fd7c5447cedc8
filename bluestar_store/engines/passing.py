"""An engine that wraps another one and delegates every call to it, for subclasses that change some."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bluestar_store.keys import Key
from bluestar_store.protocols import (
    BeforeAttempt,
    Engine,
    Item,
    Page,
    TableSpec,
    TableStatus,
    Write,
    settles_at_once,
    write_announced,
)


class PassingEngine:
    """See `protocols.Engine`: each call is the engine's behind."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def parallel_calls(self) -> int:
        """The engine's."""
        return self._engine.parallel_calls

    @property
    def settles_at_once(self) -> bool:
        """Whether the engine does."""
        return settles_at_once(self._engine)

    @property
    def location(self) -> str:
        """The engine's."""
        return self._engine.location

    @property
    def data_id(self) -> str:
        """The engine's."""
        return self._engine.data_id

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._engine.get(table, keys, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._engine.get_isolated(table, keys)

    def query(self, *asked: Any, **options: Any) -> Page:
        """See `protocols.Engine`."""
        return self._engine.query(*asked, **options)

    def scan(self, *asked: Any, **options: Any) -> Page:
        """See `protocols.Engine`."""
        return self._engine.scan(*asked, **options)

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.AnnouncesAttempts`."""
        write_announced(self._engine, writes, before_attempt)

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """See `protocols.Engine`."""
        return self._engine.put_many(table, items, progress=progress)

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        """See `protocols.Engine`."""
        return self._engine.create_tables(specs, upgrade=upgrade)

    def describe(self, spec: TableSpec) -> TableStatus:
        """See `protocols.Engine`."""
        return self._engine.describe(spec)

    def delete_tables(self, names: Sequence[str]) -> None:
        """See `protocols.Engine`."""
        self._engine.delete_tables(names)

    def close(self) -> None:
        """See `protocols.Engine`."""
        self._engine.close()
