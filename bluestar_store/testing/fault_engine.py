"""An engine round another one whose calls are counted, and fail, wait or stop where a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from inspect import Signature, signature
from typing import Any, TypeVar

from bluestar_store.engines.passing import PassingEngine
from bluestar_store.keys import Key
from bluestar_store.protocols import BeforeAttempt, Engine, Item, Page, TableSpec, TableStatus, Write, settles_at_once
from bluestar_store.testing.faults import Faults

T = TypeVar("T")

READS = ("get", "get_isolated", "query", "scan")
"""The calls of an engine that read items."""
WRITES = ("write", "put_many")
"""The calls of an engine that write items."""
ENGINE_CALLS = (*READS, *WRITES, "create_tables", "describe", "delete_tables", "close")
"""All calls of an engine."""
QUERY, SCAN = (Signature(list(signature(call).parameters.values())[1:]) for call in (Engine.query, Engine.scan))


class FaultEngine(PassingEngine):
    """Passes every call on to `inner`, but for what `faults` asks. What it raises is what an engine raises at last:

    the library's retries lie inside of `inner`, and have been made by then.
    """

    def __init__(self, inner: Engine, faults: Faults | None = None) -> None:
        """`faults` may be shared by several engines; by default they are this one's own."""
        super().__init__(inner)
        self.faults = faults or Faults(ENGINE_CALLS)

    @property
    def inner(self) -> Engine:
        """The engine behind."""
        return self._engine

    @inner.setter
    def inner(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        """Attributes of the inner engine beyond `protocols.Engine`, such as the connection of DynamoDB's."""
        if name == "_engine":  # copied or unpickled, and not yet made
            raise AttributeError(name)
        return getattr(self._engine, name)

    @property
    def settles_at_once(self) -> bool:
        return type(self) is FaultEngine and settles_at_once(self.inner)

    def _call(self, name: str, run: Callable[[], T], also: str | None = None, /, **arguments: Any) -> T:
        """Hook: make a call of the engine behind, as the faults have it."""
        return self.faults.call(name, run, also, **arguments)

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        asked = tuple(keys)
        run = partial(super().get, table, asked, consistent=consistent)
        return self._call("get", run, table=table, keys=asked, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        asked = tuple(keys)
        run = partial(super().get_isolated, table, asked)
        return self._call("get", run, "get_isolated", table=table, keys=asked, consistent=True)

    def query(self, *asked: Any, **options: Any) -> Page:
        arguments = _named(QUERY, asked, options)
        return self._call("query", partial(super().query, **arguments), **arguments)

    def scan(self, *asked: Any, **options: Any) -> Page:
        arguments = _named(SCAN, asked, options)
        return self._call("scan", partial(super().scan, **arguments), **arguments)

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        self._call("write", partial(super().write, *writes, before_attempt=before_attempt), writes=writes)

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        given = tuple(items)
        run = partial(super().put_many, table, given, progress=progress)
        return self._call("put_many", run, table=table, items=given)

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        run = partial(super().create_tables, specs, upgrade=upgrade)
        return self._call("create_tables", run, specs=tuple(specs), upgrade=upgrade)

    def describe(self, spec: TableSpec) -> TableStatus:
        return self._call("describe", partial(super().describe, spec), spec=spec)

    def delete_tables(self, names: Sequence[str]) -> None:
        self._call("delete_tables", partial(super().delete_tables, names), names=tuple(names))

    def close(self) -> None:
        self._call("close", super().close)


def _named(call: Signature, asked: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """All arguments of a call by name, those that were left out too, so that a test may ask for any of them."""
    bound = call.bind(*asked, **options)
    bound.apply_defaults()
    return bound.arguments
