"""An engine round another one whose calls are counted, and fail, wait or stop where a test wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Page, Segment, TableSpec, TableStatus, Write, settles_at_once
from bluestar_store.testing.faults import Faults

T = TypeVar("T")

READS = ("get", "get_isolated", "query", "scan")
"""The calls of an engine that read items."""
WRITES = ("write", "put_many")
"""The calls of an engine that write items."""
ENGINE_CALLS = (*READS, *WRITES, "create_tables", "describe", "delete_tables", "close")
"""All calls of an engine."""


class FaultEngine:
    """Passes every call on to `inner`, but for what `faults` asks. What it raises is what an engine raises at last:

    the library's retries lie inside of `inner`, and have been made by then.
    """

    def __init__(self, inner: Engine, faults: Faults | None = None) -> None:
        """`faults` may be shared by several engines; by default they are this one's own."""
        self.inner = inner
        self.faults = faults or Faults(ENGINE_CALLS)

    def __getattr__(self, name: str) -> Any:
        """Attributes of the inner engine beyond `protocols.Engine`, such as the connection of DynamoDB's."""
        if name == "inner":  # copied or unpickled, and not yet made
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def parallel_calls(self) -> int:
        return self.inner.parallel_calls

    @property
    def settles_at_once(self) -> bool:
        """Whether the engine behind does; not where a subclass may come between."""
        return type(self) is FaultEngine and settles_at_once(self.inner)

    @property
    def location(self) -> str:
        return self.inner.location

    @property
    def data_id(self) -> str:
        return self.inner.data_id

    def _call(self, name: str, run: Callable[[], T], also: str | None = None, /, **arguments: Any) -> T:
        """Hook: make a call of the engine behind, as the faults have it."""
        return self.faults.call(name, run, also, **arguments)

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        asked = tuple(keys)
        run = partial(self.inner.get, table, asked, consistent=consistent)
        return self._call("get", run, table=table, keys=asked, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        asked = tuple(keys)
        run = partial(self.inner.get_isolated, table, asked)
        return self._call("get", run, "get_isolated", table=table, keys=asked, consistent=True)

    def query(
        self,
        table: str,
        pk: str,
        sk_prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
    ) -> Page:
        options: dict[str, Any] = {"index": index, "newest_first": newest_first, "limit": limit}
        options |= {"cursor": cursor, "consistent": consistent}
        run = partial(self.inner.query, table, pk, sk_prefix, **options)
        return self._call("query", run, table=table, pk=pk, sk_prefix=sk_prefix, **options)

    def scan(
        self,
        table: str,
        *,
        sk_prefix: str = "",
        lacking: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
        segment: Segment | None = None,
    ) -> Page:
        options: dict[str, Any] = {"sk_prefix": sk_prefix, "lacking": lacking, "limit": limit}
        options |= {"cursor": cursor, "consistent": consistent, "segment": segment}
        return self._call("scan", partial(self.inner.scan, table, **options), table=table, **options)

    def write(self, *writes: Write) -> None:
        self._call("write", partial(self.inner.write, *writes), writes=writes)

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        given = tuple(items)
        run = partial(self.inner.put_many, table, given, progress=progress)
        return self._call("put_many", run, table=table, items=given)

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        run = partial(self.inner.create_tables, specs, upgrade=upgrade)
        return self._call("create_tables", run, specs=tuple(specs), upgrade=upgrade)

    def describe(self, spec: TableSpec) -> TableStatus:
        return self._call("describe", partial(self.inner.describe, spec), spec=spec)

    def delete_tables(self, names: Sequence[str]) -> None:
        self._call("delete_tables", partial(self.inner.delete_tables, names), names=tuple(names))

    def close(self) -> None:
        self._call("close", self.inner.close)
