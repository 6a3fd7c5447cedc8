"""Faults on purpose: calls that fail, are late, or stop where a test wants them; and a record of all calls."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar

from bluestar_store.errors import BlueStarError

T = TypeVar("T")

WAIT_SECONDS = 10.0
HELD_SECONDS = 30.0
"""A call that nobody lets go on is a mistake of the test: it fails rather than hang."""


@dataclass(frozen=True)
class Call:
    """One call as it was made, by the names of its parameters; `keys`, `writes` and the like are tuples."""

    name: str
    arguments: Mapping[str, Any]
    also: str | None = None
    """Another name that rules may know it by."""


Which: TypeAlias = Callable[[Call], bool]


def any_call(call: Call) -> bool:
    """Every call."""
    return True


class Signal(threading.Event):
    """An event whose `wait` is an error if nothing comes."""

    def wait(self, timeout: float | None = WAIT_SECONDS) -> bool:
        """True; TimeoutError when nothing came within `timeout` seconds."""
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
        """Called by the call that stops here."""
        self.reached.set()
        self._released.wait(HELD_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


@dataclass
class _Rule:
    names: frozenset[str]
    after: bool
    which: Which
    act: Callable[[Call], None]
    times: float


class Faults:
    """What goes wrong in the calls of one or more engines (or caches), and which calls there were.

    Without rules everything goes well. Rules act in the order they were made. A rule is for the calls of one name, or
    of several: `times` then counts all of them together. Safe for threads.
    """

    def __init__(self, names: Collection[str], *, sleep: Callable[[float], None] = time.sleep) -> None:
        """`names` are the calls that there are. `sleep` is what a delay waits by: a frozen clock's takes no time."""
        self._names, self._sleep = frozenset(names), sleep
        self._lock = threading.RLock()  # a `which` may look at the calls
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

    def fail(
        self,
        names: str | Collection[str],
        error: type[BlueStarError] | BlueStarError,
        *,
        after: bool = False,
        times: float = math.inf,
        which: Which = any_call,
    ) -> None:
        """Raise this error in the next so many calls: instead of the call, or `after` it was applied (reply lost).

        ValueError for a name that is none.
        """

        def act(call: Call) -> None:
            if isinstance(error, BlueStarError):
                raise error
            when = "after" if after else "before"
            raise error(f"{call.name} failed because a test asked for it, {when} it was applied")

        self._add(names, after, which, act, times)

    def delay(
        self, names: str | Collection[str], seconds: float, *, times: float = math.inf, which: Which = any_call
    ) -> None:
        """Let the next so many calls wait this long before they are made. ValueError for a name that is none."""
        self._add(names, False, which, lambda call: self._sleep(seconds), times)

    def hold(self, names: str | Collection[str], *, after: bool = False, which: Which = any_call) -> Hold:
        """Stop the next call before it is applied, or `after` that with its result in hand.

        ValueError for a name that is none.
        """
        hold = Hold()
        self._add(names, after, which, lambda call: hold.stand(), 1)
        return hold

    def _add(
        self, names: str | Collection[str], after: bool, which: Which, act: Callable[[Call], None], times: float
    ) -> None:
        wanted = frozenset([names] if isinstance(names, str) else names)
        if unknown := sorted(wanted - self._names):
            raise ValueError(f"there is no call {', '.join(unknown)}; there are {', '.join(sorted(self._names))}")
        with self._lock:
            self._rules.append(_Rule(wanted, after, which, act, times))

    def _act(self, call: Call, *, after: bool) -> None:
        with self._lock:
            rules = [
                rule
                for rule in self._rules
                if not rule.names.isdisjoint((call.name, call.also))
                and rule.after == after
                and rule.times > 0
                and rule.which(call)
            ]
            for rule in rules:
                rule.times -= 1
        for rule in rules:
            rule.act(call)

    def call(self, name: str, run: Callable[[], T], also: str | None = None, /, **arguments: Any) -> T:
        """Make a call, with the faults set for it; returns what `run` returns. For wrappers of engines and caches."""
        call = Call(name, arguments, also)
        with self._lock:
            self._calls.append(call)
        self._act(call, after=False)
        result = run()
        self._act(call, after=True)
        return result
