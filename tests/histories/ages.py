"""What caches gave, held against what was written: how old it was, and whether a process went back in time.

Versions of a subject only grow, and each was written once.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable

from tests.histories.record import Operation, Outcome, by_process


class Ages:
    """The versions of each subject, and when each of them had been written."""

    def __init__(self) -> None:
        self._written: dict[str, list[tuple[int, float]]] = defaultdict(list)

    @classmethod
    def of(cls, operations: Iterable[Operation]) -> Ages:
        """Of the writes of a history whose results are versions; one of unknown outcome is written at no known time."""
        ages = cls()
        for one in operations:
            if one.action == "write" and one.outcome in (Outcome.OK, Outcome.UNKNOWN):
                version = one.result if one.outcome is Outcome.OK else one.argument
                ages.add(one.subject, int(version), one.ended)
        return ages

    def add(self, subject: str, version: int, ended: float) -> None:
        """A write that had been made by then."""
        insort(self._written[subject], (version, ended))

    def late(self, subject: str, version: int, began: float) -> float | None:
        """How long before a read began a newer version than it gave had been written; None when none had."""
        newer = self._after(subject, version)
        ended = min((ended for _, ended in newer), default=began)
        return began - ended if ended < began else None

    def is_known(self, subject: str, version: int) -> bool:
        """Whether this is one of the subject's versions."""
        written = self._written[subject]
        number = bisect_right(written, (version, float("inf")))
        return number > 0 and written[number - 1][0] == version

    def _after(self, subject: str, version: int) -> list[tuple[int, float]]:
        written = self._written[subject]
        return written[bisect_right(written, (version, float("inf"))) :]


def too_old(operations: Iterable[Operation], bound_seconds: float) -> list[str]:
    """The reads that gave what had been written over longer ago than that, or what nobody wrote; in words."""
    operations = list(operations)
    ages, wrong = Ages.of(operations), []
    for read in _reads(operations):
        if not ages.is_known(read.subject, read.result):
            wrong.append(f"{read} is none of its versions")
        elif (late := ages.late(read.subject, read.result, read.began)) is not None and late > bound_seconds:
            wrong.append(f"{read} was written over {late:.4f} s before")
    return wrong


def gone_back(operations: Iterable[Operation]) -> list[str]:
    """The reads of a process that are older than what it had read or written itself before they began; in words."""
    wrong = []
    for own in by_process(operations).values():
        sure = [one for one in own if one.outcome is Outcome.OK and one.action in ("read", "write")]
        over = sorted(sure, key=lambda one: one.ended, reverse=True)
        seen: dict[str, int] = defaultdict(int)
        for one in sure:
            while over[-1].ended <= one.began:
                last = over.pop()
                seen[last.subject] = max(seen[last.subject], int(last.result))
            if one.action == "read" and one.result < seen[one.subject]:
                wrong.append(f"{one} after it had seen {seen[one.subject]}")
    return wrong


def _reads(operations: Iterable[Operation]) -> list[Operation]:
    return [one for one in operations if one.action == "read" and one.outcome is Outcome.OK]
