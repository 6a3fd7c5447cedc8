"""Findings, and the list of them that stays short however much is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum

LISTED = 20
"""How many findings of one check are listed; the others are counted."""


class Severity(StrEnum):
    """ERROR: calls fail, or give wrong answers. WARNING: something is of no use, or slower. INFO: good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_GRAVEST_FIRST = tuple(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `table`, `pk` and `sk` say where, as far as it has a place: an item has all three, a pipeline no `sk`. `count` is
    how many items it stands for, or how many findings that are not listed. No text shows a value of an item, a password
    or a bank account number.
    """

    severity: Severity
    check: str
    what: str
    mend: str
    table: str | None = None
    pk: str | None = None
    sk: str | None = None
    count: int = 1


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Whether there is nothing to do: information does not count."""
    return all(finding.severity is Severity.INFO for finding in findings)


@dataclass
class Findings:
    """Collects findings: of each check the first `LISTED`, and how many more there were."""

    _listed: dict[tuple[Severity, str], list[Finding]] = field(default_factory=dict)
    _more: dict[tuple[Severity, str], int] = field(default_factory=dict)

    def take(self, found: Iterable[Finding]) -> None:
        """Add findings. Those about no single item that say the same are one, their counts added."""
        for finding in found:
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        place = finding.severity, finding.check
        listed = self._listed.setdefault(place, [])
        if finding.pk is None:
            for number, known in enumerate(listed):
                if replace(known, count=finding.count) == finding:
                    listed[number] = replace(known, count=known.count + finding.count)
                    return
        if len(listed) < LISTED:
            listed.append(finding)
        else:
            self._more[place] = self._more.get(place, 0) + 1

    def result(self) -> tuple[Finding, ...]:
        """The gravest first, by check in the order found; each check's count of those not listed comes last."""
        found: list[Finding] = []
        for place in sorted(self._listed, key=lambda place: _GRAVEST_FIRST.index(place[0])):
            found += self._listed[place]
            if count := self._more.get(place):
                severity, check = place
                found.append(Finding(severity, check, "more like these, not listed", MEND_AGAIN, count=count))
        return tuple(found)


MEND_AGAIN = "mend those that are listed, then run bluestar-store doctor again"
