"""How long ago were all items of the marked tables last looked at?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.errors import BlueStarError
from bluestar_store.models.index_marks import labels
from bluestar_store.repositories.upgrade import indexed_kinds
from bluestar_store.store import Store

YOUNG = timedelta(hours=1)
"""An age that is not worth a line."""
MEND = (
    "bluestar-store create --upgrade; batches.start and lists go on with the recheck beside their answers: where there "
    "are few, or who makes them may not write to the table, run the command by a schedule"
)


def check(store: Store) -> Iterator[Finding]:
    """The age of each mark; a warning from half of `index_recheck_hours` on."""
    hours = store.settings.index_recheck_hours
    try:
        marks = store.index_marks.current()
    except BlueStarError:  # other findings say why
        return
    for table, kinds in indexed_kinds(store.tables).items():
        mark = marks.get(table)
        if mark is None:
            continue
        if unknown := sorted(labels(kinds) - mark.checked.keys()):
            what = f"is marked as indexed, but not for {', '.join(unknown)}: lists of it scan the table"
            yield Finding(Severity.WARNING, "index-recheck", what, "bluestar-store create --upgrade", table)
        ages = [store.clock.now() - at for label, at in mark.checked.items() if label in labels(kinds)]
        if not ages or max(ages) < YOUNG:
            continue
        age = max(ages).total_seconds() / 3600
        what = f"its items were last looked at {age:.0f} hours ago: lists may miss what other programs wrote since"
        mend, severity = "nothing", Severity.INFO
        if age >= hours:
            what += f" (BLUESTAR_INDEX_RECHECK_HOURS is {hours:g})"
        if age > hours / 2:
            mend, severity = MEND, Severity.WARNING
        yield Finding(severity, "index-recheck", what, mend, table)
