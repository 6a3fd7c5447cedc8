"""One pass over the items of a table: page by page, each page shown to every check."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bluestar_store.cache import NullCache
from bluestar_store.doctor import (
    decoding,
    duplicates,
    encryption,
    index_attributes,
    limits,
    meaning,
    pipelines,
    plain_digests,
    reach,
    strays,
)
from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import seen
from bluestar_store.errors import AccessDeniedError, BlueStarError
from bluestar_store.protocols import pages
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.store import Store

CHECKS = (
    decoding.check,
    encryption.check,
    meaning.check,
    duplicates.check,
    pipelines.check,
    index_attributes.check,
    strays.check,
    reach.check,
    limits.check,
    plain_digests.check,
)
"""Each is given a page of one table and keeps nothing: what needs more than an item is read again."""


def check(store: Store, table: str, progress: Callable[[int], None]) -> Iterator[Finding]:
    """What the items of one table show."""
    count = 0
    session = Session(
        StoreParts(
            store.decrypting_engine, store.tables, NullCache(), sealing=store.sealing, checks=store.settings.checks
        )
    )
    kinds = [kind for kind in store.tables.kinds if store.tables.name(kind) == table]
    try:
        for items in pages(lambda cursor: session.engine.scan(table, cursor=cursor)):
            found = [seen(table, kinds, item) for item in items]
            for one_check in CHECKS:
                yield from one_check(session, found)
            progress(len(items))
            count += 1
        yield from limits.check_scans(store, table, count)
    except AccessDeniedError as error:
        yield _unread(table, error, "allow the calls that are denied (see above), then run bluestar-store doctor again")
    except BlueStarError as error:
        yield _unread(table, error, "see what the error says, then run bluestar-store doctor again")


def _unread(table: str, error: BlueStarError, mend: str) -> Finding:
    return Finding(Severity.ERROR, "table-unread", f"its items were not all looked at: {error}", mend, table)
