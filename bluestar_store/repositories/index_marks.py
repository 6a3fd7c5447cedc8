"""Marks of tables whose items all have the index attributes: there a list need not scan for items without them.

A mark says when all items were last checked, by `create --upgrade` or by the recheck (see `recheck`). Lists use it
however old it is, since without it they would fail for a large table. Each process caches the marks for a short time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from bluestar_store.errors import AccessDeniedError, ConflictError, TableMissingError
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.index_marks import (
    KEPT_WITH,
    PARTITION,
    TABLES,
    IndexMark,
    index_label,
    is_mark,
    mark_item,
    mark_key,
    mark_of,
)
from bluestar_store.protocols import ABSENT, ANY, Expectation, Put, key_of, pages
from bluestar_store.repositories.session import StoreParts

KEPT_SECONDS = 30.0
"""How long a process goes by the marks that it read."""
SKEW = timedelta(minutes=5)
"""How far another machine's clock may be ahead: what it looked at later than that is looked at again soon."""
BEHIND, LATE = 0.5, 0.75
"""Shares of `index_recheck_hours`: then the next page is due at once, and then a call reads several."""
ATTEMPTS = 20
"""Tries of a change that others get in the way of."""


def pause(recheck: timedelta, pages_of_a_pass: int) -> timedelta:
    """Between two pages of a recheck: a pass takes a quarter of `index_recheck_hours`."""
    return recheck / (4 * max(1, pages_of_a_pass))


class IndexMarks:
    """The marks of one environment's tables. Read past every unit of work, and never a part of one."""

    def __init__(self, parts: StoreParts) -> None:
        self._parts = parts
        self._kept: tuple[float, Mapping[str, IndexMark]] | None = None

    def current(self) -> Mapping[str, IndexMark]:
        """The marks by the names of their tables; read at most `KEPT_SECONDS` ago, eventually consistent."""
        now = self._parts.monotonic()
        kept = self._kept
        if kept is None or now - kept[0] >= KEPT_SECONDS:
            kept = self._kept = now, self._read()
        return kept[1]

    def peek(self) -> Mapping[str, IndexMark]:
        """The cached marks; reads nothing."""
        return self._kept[1] if self._kept is not None else {}

    def forget(self) -> None:
        """Read them anew at the next call."""
        self._kept = None

    def _read(self) -> Mapping[str, IndexMark]:
        engine, home = self._parts.committed, self._parts.table(KEPT_WITH)
        try:
            found = chain.from_iterable(pages(lambda cursor: engine.query(home, PARTITION, TABLES, cursor=cursor)))
            marks = [mark for item in found if is_mark(key_of(item)) and (mark := mark_of(item))]
        except (TableMissingError, AccessDeniedError):  # who may not look at it has no mark to go by
            return {}
        return {mark.table: mark for mark in marks}

    def checked(self, mapper: Mapper[Any], index: str) -> datetime | None:
        """Until when all items of the kind are known to be in the index; None when its table has to be scanned."""
        mark = self.current().get(self._parts.table(mapper))
        return None if mark is None else mark.checked.get(index_label(mapper, index))

    def last_checked(self, mapper: Mapper[Any], index: str) -> datetime | None:
        """The same by the cached marks; reads nothing."""
        mark = self.peek().get(self._parts.table(mapper))
        return None if mark is None else mark.checked.get(index_label(mapper, index))

    def is_behind(self, mark: IndexMark, known: Iterable[str], share: float = BEHIND) -> bool:
        """Whether one of these indexes was not checked for this share of `index_recheck_hours`, or never."""
        now, most = self._parts.now(), self._parts.index_recheck * share
        return any((at := mark.checked.get(label)) is None or not -SKEW <= now - at <= most for label in known)

    def stored(self, table: str) -> tuple[IndexMark | None, Expectation]:
        """The mark of a table as it is now, and what a write over it expects; None, too, for a damaged one."""
        home, key = self._parts.table(KEPT_WITH), mark_key(table)
        found = self._parts.committed.get(home, [key], consistent=True).get(key)
        if found is None:
            return None, ABSENT
        mark = mark_of(found)
        return mark, ANY if mark is None else mark.version

    def write(self, mark: IndexMark, expect: Expectation) -> None:
        """Put a mark in place of the one of this expectation. Raises ConflictError, and what `Engine.write` raises."""
        version = expect + 1 if isinstance(expect, int) else 1
        item = mark_item(self._parts.tables, mark, version)
        self._parts.committed.write(Put(self._parts.table(KEPT_WITH), item, expect))
        self.forget()

    def completed(self, table: str, covered: frozenset[str], began: datetime, pages_read: int) -> None:
        """Note that all items of a table were checked since `began`, for these indexes; ends a pass under way."""
        due = self._parts.now() + pause(self._parts.index_recheck, pages_read)

        def completed(before: IndexMark | None) -> IndexMark:
            kept = before.checked if before is not None else {}
            return IndexMark(table, {**kept, **dict.fromkeys(covered, began)}, due, max(1, pages_read))

        self._change(table, completed)

    def distrust(self, table: str) -> None:
        """Before items without index attributes are written to a table that may be marked: it is no longer.

        The mark stays, without what it says, so that rechecks go on from there.
        """

        def distrusted(before: IndexMark | None) -> IndexMark | None:
            return None if before is None else IndexMark(table, {}, self._parts.now(), before.pages)

        self._change(table, distrusted)

    def _change(self, table: str, change: Callable[[IndexMark | None], IndexMark | None]) -> None:
        """Write what `change` makes of the stored mark; None: nothing. Raises ConflictError after `ATTEMPTS` tries."""
        from bluestar_store.retrying import attempts

        def attempt() -> None:
            before, expect = self.stored(table)
            if (mark := change(before)) is not None:
                self.write(mark, expect)

        attempts(ConflictError, most=ATTEMPTS, first_seconds=0.005, sleep=self._parts.sleep)(attempt)
