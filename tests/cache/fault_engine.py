"""An engine round another one that counts calls, stops them where a test wants it, and fails them."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from bluestar_store.errors import EngineError, TransactionConflictError
from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, Item, Page, TableSpec, TableStatus, Write

T = TypeVar("T")

WAIT_SECONDS = 10.0
#: A call that nobody lets go on is a mistake of the test: it fails rather than hang.
HELD_SECONDS = 30.0


@dataclass(frozen=True)
class Call:
    """One call as it was made; `keys`, `writes` and the like are tuples."""

    name: str
    arguments: Mapping[str, Any]


Which = Callable[[Call], bool]


def any_call(call: Call) -> bool:
    """Every call."""
    return True


class Signal(threading.Event):
    """An event whose `wait` is an error if nothing comes."""

    def wait(self, timeout: float | None = WAIT_SECONDS) -> bool:
        if not super().wait(timeout):
            raise TimeoutError(f"nothing came within {timeout} seconds")
        return True


class Hold:
    """A place where the next call stops. `reached` is set once it stands there; `release` lets it go on.

    As a context manager it releases at the end of the block, so that a failed test leaves no thread behind.
    """

    def __init__(self) -> None:
        self.reached = Signal()
        self._released = Signal()

    def release(self) -> None:
        """Let the call go on; before it came: it will not stop."""
        self._released.set()

    def stand(self) -> None:
        """Called by the engine."""
        self.reached.set()
        self._released.wait(HELD_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


@dataclass
class _Rule:
    name: str
    after: bool
    which: Which
    act: Callable[[], None]
    times: float


class FaultEngine:
    """Passes everything on to `inner`, but for what `hold` and `fail` ask. Rules act in the order they were made."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._rules: list[_Rule] = []

    @property
    def calls(self) -> list[Call]:
        """The calls since the start or `forget`, in the order they were begun, also those that failed."""
        with self._lock:
            return list(self._calls)

    @property
    def counts(self) -> Counter[str]:
        """How many calls of each name."""
        return Counter(call.name for call in self.calls)

    def forget(self) -> None:
        """Count from nought; the rules stay."""
        with self._lock:
            self._calls.clear()

    def clear(self) -> None:
        """Drop all rules; a call that is held now stays so until it is released."""
        with self._lock:
            self._rules.clear()

    def hold(self, name: str, *, after: bool = False, which: Which = any_call) -> Hold:
        """Stop the next call of this name before it is applied, or `after` that with its result in hand."""
        hold = Hold()
        self._add(_Rule(name, after, which, hold.stand, 1))
        return hold

    def fail(
        self,
        name: str,
        error: type[EngineError | TransactionConflictError],
        *,
        after: bool = False,
        times: float = math.inf,
        which: Which = any_call,
    ) -> None:
        """Raise this error in the next so many calls: instead of the call, or `after` it was applied (reply lost)."""

        def act() -> None:
            raise error(f"{name} failed because a test asked for it, {'after' if after else 'before'} it was applied")

        self._add(_Rule(name, after, which, act, times))

    def _add(self, rule: _Rule) -> None:
        if not hasattr(self.inner, rule.name):
            raise ValueError(f"an engine has no {rule.name!r}")
        with self._lock:
            self._rules.append(rule)

    def _act(self, call: Call, *, after: bool) -> None:
        with self._lock:
            rules = [r for r in self._rules if (r.name, r.after) == (call.name, after) and r.times and r.which(call)]
            for rule in rules:
                rule.times -= 1
        for rule in rules:
            rule.act()

    def _call(self, name: str, run: Callable[[], T], **arguments: Any) -> T:
        call = Call(name, arguments)
        with self._lock:
            self._calls.append(call)
        self._act(call, after=False)
        result = run()
        self._act(call, after=True)
        return result

    # ----------------------------------------------------------------------------------------------- the engine's calls

    @property
    def parallel_calls(self) -> int:
        return self.inner.parallel_calls

    @property
    def location(self) -> str:
        return self.inner.location

    @property
    def data_id(self) -> str:
        return self.inner.data_id

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        asked = tuple(keys)
        run = partial(self.inner.get, table, asked, consistent=consistent)
        return self._call("get", run, table=table, keys=asked, consistent=consistent)

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        asked = tuple(keys)
        return self._call("get_isolated", partial(self.inner.get_isolated, table, asked), table=table, keys=asked)

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
    ) -> Page:
        options: dict[str, Any] = {"sk_prefix": sk_prefix, "lacking": lacking, "limit": limit}
        options |= {"cursor": cursor, "consistent": consistent}
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
