"""Can agents use what the items say? The checks of meaning that are declared beside the fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from shlex import quote

from bluestar_store.checks.fields import decreased_figures
from bluestar_store.checks.meaning import Level
from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import ItemDecodeError
from bluestar_store.mapping.entity import Entity
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.models.validation import ValidationRule
from bluestar_store.repositories.session import Session


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each value that means nothing, or most likely something else."""
    for one in page:
        if not isinstance(one.entity, Entity):
            continue
        found = [finding for finding in session.checks.findings(one.entity) if finding.level is not Level.NEW]
        if isinstance(one.entity, IrsLimits) and (before := _year_before(session, one.entity)) is not None:
            found += decreased_figures(one.entity, before, session.checks)
        for finding in found:
            if isinstance(one.entity, ValidationRule) and finding.field == "pattern":
                yield one.finding(Severity.ERROR, "unusable", str(finding), _correction(one.entity))
            else:
                mend = f"correct it; or, if it is meant, do without the check: BLUESTAR_CHECKS_OFF={finding.check}"
                yield one.finding(Severity.WARNING, "meaning", str(finding), mend)


def _year_before(session: Session, limits: IrsLimits) -> IrsLimits | None:
    if limits.year == 0:
        return None
    key, table = IRS_LIMITS.keys.build({"year": limits.year - 1}), session.table(IRS_LIMITS)
    item = session.engine.get(table, [key], consistent=True).get(key)
    try:
        return None if item is None else IRS_LIMITS.decode(item, table)
    except ItemDecodeError:  # another finding
        return None


def _correction(rule: ValidationRule) -> str:
    place = f"{quote(rule.category)} {rule.number} --plan {quote(rule.plan_id)}"
    return f"correct it, every agent fails at it: bluestar-store validation set {place} pattern=REGEX (or pattern=null)"
