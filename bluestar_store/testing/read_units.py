"""Read units, counted by AWS's rules from what crosses an engine: DynamoDB Local's own figures are none to go by.

The rules are those of "DynamoDB read and write operations" in AWS's developer guide. A unit is 4 KB read consistently;
an eventual read takes half, one of a transaction twice as much. Each item of a BatchGetItem is rounded up by itself,
a page of a Query or Scan as a whole, and what is not there, or an empty page, takes as much as 4 KB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from bluestar_store.engines.checks import item_bytes
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Page, settles_at_once
from bluestar_store.testing.fault_engine import FaultEngine
from bluestar_store.testing.faults import Faults

T = TypeVar("T")

UNIT_BYTES = 4096
CONSISTENT, EVENTUAL, TRANSACTIONAL = 1.0, 0.5, 2.0
"""Units for each 4 KB."""


@dataclass
class ReadUnits:
    """What a block read: `total` units, and the units of each call, as text that names it."""

    total: float = 0.0
    calls: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n  ".join((f"{self.total:g} read units", *self.calls))


class ReadUnitEngine(FaultEngine):
    """An engine round another one, whose reads are counted in units: `with engine.counted() as units: ...`.

    A scan is counted by all that it reads, whatever its filters leave: the engine behind is asked without them. Pages
    are those of the engine behind; only DynamoDB's end after 1 MB. Safe for threads.
    """

    def __init__(self, inner: Engine, faults: Faults | None = None) -> None:
        super().__init__(inner, faults)
        self._lock = Lock()
        self._counting: list[ReadUnits] = []

    @property
    def settles_at_once(self) -> bool:
        """Whether the engine behind does."""
        return settles_at_once(self.inner)

    @contextmanager
    def counted(self) -> Iterator[ReadUnits]:
        """The units of what is read meanwhile, by any thread."""
        units = ReadUnits()
        with self._lock:
            self._counting.append(units)
        try:
            yield units
        finally:
            with self._lock:
                self._counting = [one for one in self._counting if one is not units]

    def _call(self, name: str, run: Callable[[], T], also: str | None = None, /, **arguments: Any) -> T:
        found: Any = super()._call(name, run, also, **arguments)
        rate = CONSISTENT if arguments.get("consistent") else EVENTUAL
        match name:
            case "get":
                keys = tuple(dict.fromkeys(arguments["keys"]))
                rate = TRANSACTIONAL if also else rate
                self._count(
                    f"{also or name} {arguments['table']} {', '.join(map(str, keys))}", rate * _each(keys, found)
                )
            case "query":
                index = arguments["index"]
                place = f"{arguments['table']} index {index}" if index else arguments["table"]
                what = f"query {place} PK={arguments['pk']} SK={arguments['sk_prefix']}*"
                self._count(what, (EVENTUAL if index else rate) * _page(found.items))
        answer: T = found
        return answer

    def scan(self, table: str, *, sk_prefix: str = "", lacking: str | None = None, **options: Any) -> Page:
        page = super().scan(table, **options)
        rate = CONSISTENT if options.get("consistent") else EVENTUAL
        self._count(f"scan {table} SK={sk_prefix}*", rate * _page(page.items))
        wanted = (item for item in page.items if item["SK"]["S"].startswith(sk_prefix))
        return Page([item for item in wanted if lacking is None or lacking not in item], page.cursor)

    def _count(self, call: str, units: float) -> None:
        with self._lock:
            for one in self._counting:
                one.total += units
                one.calls.append(f"{units:g}: {call}")


def _blocks(size: int) -> int:
    """How often 4 KB, begun ones too; nothing counts as much as one byte."""
    return max(1, -(-size // UNIT_BYTES))


def _each(asked: Iterable[Key], found: dict[Key, Item]) -> int:
    return sum(_blocks(item_bytes(found.get(key, {}))) for key in asked)


def _page(items: Iterable[Item]) -> int:
    return _blocks(sum(map(item_bytes, items)))
