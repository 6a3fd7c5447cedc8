"""Histories: what was asked of a store, what came of it, and when. Times are of the monotonic clock.

All processes of a machine share that clock, so what one noted can be held against what another one noted. A process
notes each operation when it begins and when it ends, in a file of its own: one that is killed in between leaves an
operation whose outcome nobody knows.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bluestar_store import AlreadyExistsError, ConflictError, EngineError, NotFoundError, VersionConflictError

T = TypeVar("T")


REFUSALS = (AlreadyExistsError, VersionConflictError)
"""Conflicts that say that an item was not as the write expected; others speak of other items."""


class Outcome(StrEnum):
    """What came of an operation."""

    OK = "ok"
    REFUSED = "refused"
    """It did not take place, because of what was there: a conflict."""
    FAILED = "failed"
    """It did not take place, and says nothing of the item: throttled, not reached, on hold, others kept interfering."""
    UNKNOWN = "unknown"
    """It may have taken place, or may do so at any later time."""


@dataclass(frozen=True)
class Operation:
    """One call. `argument` and `result` are JSON; of one that was refused, `result` is the error in words.

    `process` names the caller: "agent 1", or "agent 1/3" for the third thread of that process.
    """

    process: str
    action: str
    subject: str
    argument: Any
    began: float
    ended: float = math.inf
    outcome: Outcome = Outcome.UNKNOWN
    result: Any = None

    def __str__(self) -> str:
        span = f"{self.began:.4f}..{self.ended:.4f}"
        return f"{span} {self.process}: {self.action} {self.subject} {self.argument} -> {self.outcome} {self.result}"


class Sink(Protocol):
    """Where operations are noted."""

    def begin(self, operation: Operation) -> None:
        """One that is about to be asked."""

    def end(self, operation: Operation) -> None:
        """The same one, with what came of it."""


class Noted(list[Operation]):
    """Operations noted in this process; safe for threads. One that is under way is not in it."""

    def begin(self, operation: Operation) -> None:
        """See `Sink`."""

    def end(self, operation: Operation) -> None:
        """See `Sink`."""
        self.append(operation)


class NotedInFile:
    """Operations noted by a process that may be killed: a line of JSON for each beginning, one for each end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def begin(self, operation: Operation) -> None:
        """See `Sink`; the line is with the kernel, which a kill does not reach, before this comes back."""
        self._file.write(json.dumps(asdict(operation) | {"ended": _finite(operation.ended)}) + "\n")
        self._file.flush()

    end = begin


def _finite(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) else None


def read_notes(paths: Iterable[Path]) -> list[Operation]:
    """All that processes noted in files; what has no end is UNKNOWN. A last line that a kill cut off is left out."""
    found: list[Operation] = []
    for path in paths:
        operations: dict[tuple[str, float], Operation] = {}
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                values = json.loads(line)
                values |= {"ended": values["ended"] or math.inf, "outcome": Outcome(values["outcome"])}
                operation = Operation(**values)
                operations[operation.process, operation.began] = operation
        found += operations.values()
    return found


class Recorder:
    """Makes calls for one process or thread, one after the other, and notes them."""

    def __init__(self, process: str, sink: Sink) -> None:
        self.process, self._sink = process, sink

    def call(
        self,
        action: str,
        subject: str,
        argument: Any,
        call: Callable[[], T],
        told: Callable[[T], Any] = lambda answer: answer,
        *,
        absent: Any = None,
    ) -> T | None:
        """Make a call and note it; its answer, None when it was refused or failed.

        `told` makes of the answer what is noted. NotFoundError is an answer, noted as `absent`. Errors that no call
        may raise are noted as UNKNOWN and raised.
        """
        operation = Operation(self.process, action, subject, argument, time.monotonic())
        self._sink.begin(operation)
        answer, outcome, result = None, Outcome.UNKNOWN, None
        try:
            answer = call()
            outcome, result = Outcome.OK, told(answer)
        except NotFoundError:
            outcome, result = Outcome.OK, absent
        except ConflictError as error:
            outcome = Outcome.REFUSED if isinstance(error, REFUSALS) else Outcome.FAILED
            result = f"{type(error).__name__}: {error}"
        except EngineError as error:
            outcome = Outcome.UNKNOWN if error.outcome_unknown else Outcome.FAILED
            result = f"{type(error).__name__}: {error}"
        except OSError as error:  # the disk's own, as the file engine raises it
            outcome, result = Outcome.FAILED, f"{type(error).__name__}: {error}"
        finally:
            ended = math.inf if outcome is Outcome.UNKNOWN else time.monotonic()
            self._sink.end(replace(operation, ended=ended, outcome=outcome, result=result))
        return answer


def by_subject(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations on each subject, as they began."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in sorted(operations, key=lambda one: one.began):
        found[operation.subject].append(operation)
    return found


def by_process(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations of each process, all its threads', as they began."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in sorted(operations, key=lambda one: one.began):
        found[operation.process.partition("/")[0]].append(operation)
    return found


def counts(operations: Sequence[Operation]) -> dict[str, int]:
    """How many of each action and outcome: what a test asserts to have happened at all."""
    found: dict[str, int] = defaultdict(int)
    for operation in operations:
        found[f"{operation.action} {operation.outcome}"] += 1
    return dict(sorted(found.items()))
