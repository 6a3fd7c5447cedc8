"""Tables, batches and pipelines that have reached half of a limit, beyond which calls fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.engines.checks import MAX_ITEM_BYTES, item_bytes
from bluestar_store.protocols import key_of
from bluestar_store.repositories.index_reader import SWEEP_PAGES
from bluestar_store.repositories.pipeline_replacement import MAX_STEPS
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.upgrade import indexed_kinds
from bluestar_store.store import Store


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each batch whose rules, and each pipeline whose steps, are over half of what there may be."""
    for one in page:
        grows = one.mapper.grows if one.mapper is not None else None
        if grows is not None and (size := item_bytes(one.item)) > MAX_ITEM_BYTES // 2:
            what = f"{grows[0]} take {size // 1024} KB of the 400 KB of an item (an AWS limit)"
            yield one.finding(Severity.WARNING, "limit", what, grows[1])
    here = Counter((one.mapper, one.key.pk) for one in page if one.mapper is not None and one.mapper.replaced_whole)
    for (mapper, pk), count in here.items():
        if count <= MAX_STEPS // 4:  # the rest may be on another page
            continue
        steps = list(session.partition_items(session.table(mapper), pk, mapper.keys.sort.prefix))
        if len(steps) > MAX_STEPS // 2 and any(one.key == key_of(steps[0]) for one in page):
            what = f"has {len(steps)} steps: with over {MAX_STEPS} before and after, it cannot be replaced any more"
            yield Finding(Severity.WARNING, "limit", what, "make one step of several", session.table(mapper), pk)


def check_scans(store: Store, table: str, pages: int) -> Iterator[Finding]:
    """A finding for a table that lists scan, when it has come half the way to what they refuse."""
    scanned = table in indexed_kinds(store.tables) and not store.settings.indexes_complete
    if scanned and store.engine.parallel_calls > 1 and pages > SWEEP_PAGES // 2 and not _is_marked(store, table):
        what = f"has {pages} MB, and is not marked as indexed: lists scan it, and fail from {SWEEP_PAGES} MB on"
        yield Finding(Severity.WARNING, "limit", what, "bluestar-store create --upgrade", table)


def _is_marked(store: Store, table: str) -> bool:
    return table in store.index_marks.current()
