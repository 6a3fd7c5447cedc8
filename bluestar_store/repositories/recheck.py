"""The recheck: finds, page by page, what other programs wrote to marked tables without index attributes.

Whoever starts a batch reads at most one page (1 MB) after it, when one is due, and gives the items the attributes that
they lack; a cursor in the table's mark says where the next one goes on. The pages are spread over a quarter of
`index_recheck_hours`, so that a mark is never older than half of it; when it is, every start reads one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bluestar_store.errors import BlueStarError, ConflictError, InvalidKeyError
from bluestar_store.models.index_marks import IndexMark, labels
from bluestar_store.models.kind import Kind
from bluestar_store.protocols import Page
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.index_marks import IndexMarks, pause
from bluestar_store.repositories.upgrade import indexed_kinds, renew, stamp

LOG = logging.getLogger(__name__)
LEASE = timedelta(minutes=1)
"""How long others leave a page to whoever took it."""


class Recheck:
    """Of one environment's tables. Changes index attributes and marks, and nothing else."""

    def __init__(self, access: Access, marks: IndexMarks) -> None:
        self._access, self._marks = access, marks

    def one_page(self) -> None:
        """Look at the page that is most overdue, if one is. Keeps what fails to itself: the next one tries again."""
        try:
            now = self._access.now()
            due = [mark for mark in self._known().values() if mark.due <= now]
            if due:
                self._look(min(due, key=lambda mark: mark.due), now)
        except BlueStarError as error:
            LOG.info("a recheck for items without index attributes is left to the next one: %s", error)

    def _known(self) -> Mapping[str, IndexMark]:
        tables = indexed_kinds(self._access.tables)
        return {table: mark for table, mark in self._marks.current().items() if table in tables}

    def renew(self, kind: Kind[Any]) -> bool:
        """Look at a whole table at once, if it was marked and nobody rechecked it in time; whether that was done.

        Raises what the engine raises.
        """
        table = self._access.table(kind)
        self._marks.forget()
        if table not in self._known():
            return False
        renew(self._access, self._marks, table)
        return True

    def _look(self, mark: IndexMark, now: datetime) -> None:
        kinds = indexed_kinds(self._access.tables)[mark.table]
        known = labels(kinds)
        covers = known if mark.began is None else mark.covers & known  # another process may know fewer kinds
        began = mark.began or now
        taken = replace(mark, due=now + LEASE, began=began, covers=covers)
        try:
            self._marks.write(taken, mark.version)
        except ConflictError:  # another one was faster
            self._marks.forget()
            return
        page = self._page(taken)
        stamp(self._access, mark.table, kinds, page.items)
        pages_read = taken.pages_read + 1
        due = self._access.now() + self._pause(mark, known, pages_read)
        if page.cursor is None:
            checked = {**mark.checked, **dict.fromkeys(covers, began)}
            after = IndexMark(mark.table, checked, due, pages_read)
        else:
            after = replace(taken, cursor=page.cursor, pages_read=pages_read, due=due)
        self._marks.write(after, mark.version + 1)

    def _page(self, mark: IndexMark) -> Page:
        """Read consistently: what was written before the pass began has to be seen by it."""
        try:
            return self._access.committed.scan(mark.table, cursor=mark.cursor, consistent=True)
        except InvalidKeyError:  # a cursor of another release: the pass begins again
            self._marks.write(IndexMark(mark.table, mark.checked, self._access.now(), mark.pages), mark.version + 1)
            raise

    def _pause(self, mark: IndexMark, known: frozenset[str], pages_read: int) -> timedelta:
        """Until the next page is due: none when an index that is known here falls behind."""
        recheck, now = self._access.index_recheck, self._access.now()
        if any(label not in mark.checked or now - mark.checked[label] > recheck / 2 for label in known):
            return timedelta(0)
        return pause(recheck, max(mark.pages, pages_read))
