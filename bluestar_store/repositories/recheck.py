"""The recheck: finds items that other programs wrote to marked tables without index attributes.

Starting a batch also reads one page (1 MB) of a table when that is due, and adds the attributes to the items that lack
them; a cursor in the table's mark says where the next page begins. The pages are spread over a quarter of
`index_recheck_hours`. A table whose last pass is older than half of that time is behind: then each start reads a page.
After three quarters the table is late: then the next start or list reads the rest of it, up to `PAGES_AT_ONCE`.

Processes may know different kinds. A pass covers the kinds that it began with: processes that do not know them all
leave it to those that do, unless nobody continues it for an eighth of the time. After a pass comes a pause of the same
length, in which processes with an index that is behind begin the next.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bluestar_store.errors import AccessDeniedError, BlueStarError, ConflictError, InvalidKeyError
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.index_marks import IndexMark, labels
from bluestar_store.protocols import Page
from bluestar_store.repositories.index_marks import BEHIND, KEPT_SECONDS, LATE, IndexMarks, pause
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.repositories.upgrade import indexed_kinds, stamp

LOG = logging.getLogger(__name__)
LEASE = timedelta(minutes=1)
"""How long others leave a page to whoever took it."""
PAGES_AT_ONCE = 32
"""Pages that one call reads beside its answer, where a table is late."""
REST = 1 / 8
"""Of `index_recheck_hours`: the pause after a pass, and how long one is left to others who do not go on with it."""


class Recheck:
    """Of one environment's tables. Changes index attributes and marks, and nothing else."""

    def __init__(self, parts: StoreParts, marks: IndexMarks) -> None:
        self._session, self._marks = Session(parts), marks
        self._next_list = 0.0
        """Until then, on the monotonic clock, lists of this process leave it to others."""
        self._is_denied = False
        """Whether this process was told that it may not: then it leaves it to others for good."""

    def beside_start(self) -> None:
        """Look at the page that is most overdue, if one is, without keeping the caller waiting."""
        if not self._is_denied:
            self._session.aside(self.catch_up)

    def beside_list(self, mapper: Mapper[Any]) -> None:
        """The same beside an answer from a kind's table, where that is late."""
        table, now = self._session.table(mapper), self._session.monotonic()
        mark = self._marks.peek().get(table)
        if mark is None or self._is_denied or now < self._next_list or not self._is_behind(mark, LATE):
            return
        self._next_list = now + KEPT_SECONDS
        age = max((self._session.now() - at for at in mark.checked.values()), default=timedelta(0))
        if age > self._session.index_recheck:
            hours = age.total_seconds() / 3600
            LOG.warning("table %s was not rechecked for %.0f hours: lists may lack what others wrote", table, hours)
        self._session.aside(self.catch_up)

    def catch_up(self) -> None:
        """Look at the page that is most overdue, if one is, and at more of the tables that are late.

        Keeps what fails to itself: the next one tries again.
        """
        try:
            for number in range(PAGES_AT_ONCE):
                now = self._session.now()
                due = [mark for mark in self._known().values() if self._is_open(mark, now)]
                if number:
                    due = [mark for mark in due if self._is_behind(mark, LATE) or self._is_slow(mark, now)]
                if not due:
                    return
                self._recheck_page(min(due, key=lambda mark: mark.due), now)
        except AccessDeniedError as error:  # who may not write to it is not asked to
            self._is_denied = True
            LOG.info("a recheck for items without index attributes is left to others: %s", error)
        except BlueStarError as error:
            LOG.info("a recheck for items without index attributes is left to the next one: %s", error)

    def _known(self) -> Mapping[str, IndexMark]:
        tables = indexed_kinds(self._session.tables)
        return {table: mark for table, mark in self._marks.current().items() if table in tables}

    def _labels(self, table: str) -> frozenset[str]:
        return labels(indexed_kinds(self._session.tables).get(table, ()))

    def _is_behind(self, mark: IndexMark, share: float = BEHIND) -> bool:
        return self._marks.is_behind(mark, self._labels(mark.table), share)

    def _is_open(self, mark: IndexMark, now: datetime) -> bool:
        """Whether this process may read the next page."""
        if mark.began is None:
            return mark.due <= now or self._is_behind(mark)
        if mark.covers <= self._labels(mark.table):
            return mark.due <= now
        if self._begins_anew(mark):
            return not now < mark.due <= now + LEASE
        return mark.due + self._session.index_recheck * REST <= now  # a page of ours takes out what we do not know

    def _is_slow(self, mark: IndexMark, now: datetime) -> bool:
        """Whether a pass took longer than it should, which others wait for who know other kinds."""
        is_old = mark.began is not None and now - mark.began > self._session.index_recheck / 4
        return is_old and not mark.checked.keys() <= self._labels(mark.table)

    def _begins_anew(self, mark: IndexMark) -> bool:
        """Whether an index that a pass does not cover is late, and one call reads the whole table for it.

        A larger table's pass is never begun anew: two who know different kinds would do so in turn, and none would end.
        """
        missing = self._labels(mark.table) - mark.covers
        return mark.began is not None and mark.pages < PAGES_AT_ONCE and self._marks.is_behind(mark, missing, LATE)

    def _recheck_page(self, mark: IndexMark, now: datetime) -> None:
        session = self._session
        kinds = indexed_kinds(session.tables)[mark.table]
        known = labels(kinds)
        if self._begins_anew(mark):
            mark = IndexMark(mark.table, mark.checked, mark.due, mark.pages, version=mark.version)
        covers = known if mark.began is None else mark.covers & known  # another process may know fewer kinds
        began = mark.began or now
        taken = replace(mark, due=now + LEASE, began=began, covers=covers)
        try:
            self._marks.write(taken, mark.version)
        except ConflictError:  # another one was faster
            self._marks.forget()
            return
        page = self._page(taken)
        stamp(session, mark.table, kinds, page.items)
        pages_read = taken.pages_read + 1
        if page.cursor is None:
            after = IndexMark(mark.table, {**mark.checked, **dict.fromkeys(covers, began)}, now, pages_read)
        else:
            after = replace(taken, cursor=page.cursor, pages_read=pages_read)
        due = session.now() + self._pause(after, known, pages_read)
        self._marks.write(replace(after, due=due), mark.version + 1)

    def _page(self, mark: IndexMark) -> Page:
        """Read consistently: what was written before the pass began has to be seen by it."""
        try:
            return self._session.committed.scan(mark.table, cursor=mark.cursor, consistent=True)
        except InvalidKeyError:  # a cursor of another release: the pass begins again
            self._marks.write(IndexMark(mark.table, mark.checked, self._session.now(), mark.pages), mark.version + 1)
            raise

    def _pause(self, mark: IndexMark, known: frozenset[str], pages_read: int) -> timedelta:
        """Until the next page is due: none when an index that is known here has fallen behind."""
        if self._marks.is_behind(mark, known):
            return timedelta(0)
        between = pause(self._session.index_recheck, max(mark.pages, pages_read))
        return between if mark.began is not None else max(between, self._session.index_recheck * REST)
