"""Finds items by the library's own indexes, without missing what other programs wrote.

An index has only items that carry its attributes. A table with a mark (see `index_marks`) is not scanned for others,
however old the mark is; what other programs wrote since may be missing. Any other table is scanned for items without
the attributes, if it is small. If it is not, a ConfigurationError says what to do. With the setting
`BLUESTAR_INDEXES_COMPLETE` (every item carries the attributes) no table is scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, TypeAlias

from bluestar_store.engines.checks import MAX_ISOLATED_KEYS
from bluestar_store.errors import ConfigurationError, IndexMissingError
from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.tables import index_specs
from bluestar_store.protocols import Item, Page, key_of, pages, scan_pages, settles_at_once
from bluestar_store.protocols.items import chunks
from bluestar_store.repositories.index_marks import IndexMarks
from bluestar_store.repositories.recheck import Recheck
from bluestar_store.repositories.session import Session, StoreParts

SWEEP_PAGES = 32
"""Maximum pages (of 1 MB) of a scan for items without index attributes, before it is refused."""

Found: TypeAlias = list[Item] | None
"""What one read found; None when the index that it asked does not exist, or the table is too large to scan."""


class IndexReader:
    """Keys by index value, read through the session of the call.

    What it finds may be outdated: read the items again and look at them (`stored`).
    """

    def __init__(self, parts: StoreParts) -> None:
        self.marks = IndexMarks(parts)
        self.recheck = Recheck(parts, self.marks)

    def find(self, session: Session, mapper: Mapper[Any], index: str, value: str, *prefixes: str) -> list[Item]:
        """Index entries (keys and index attributes) and, whole, the items that lack the index's attributes.

        The latter are all of the kind, whatever their value would be. Raises IndexMissingError when the table has no
        such index and is too large to scan.
        """
        answers = session.together(self.calls(session, mapper, index, value, *prefixes))
        return self.merged(session, mapper, index, answers)

    def calls(
        self, session: Session, mapper: Mapper[Any], index: str, value: str, *prefixes: str
    ) -> list[Callable[[], Found]]:
        """The independent reads of `find`, to make beside other reads; pass the answers to `merged`."""
        queries = [partial(self._indexed, session, mapper, index, value, prefix) for prefix in prefixes or ("",)]
        return [*queries, partial(self._unindexed, session, mapper, index)]

    def merged(self, session: Session, mapper: Mapper[Any], index: str, answers: Sequence[Found]) -> list[Item]:
        """The answers of `calls` as one."""
        *indexed, unindexed = answers
        if any(found is None for found in indexed):
            return self._all(session, mapper, index)
        if unindexed is None:
            raise ConfigurationError(
                f"table {session.table(mapper)} is too large to be scanned for items that other programs wrote "
                "without index attributes: run `bluestar-store create --upgrade`, which gives them the attributes and "
                "marks the table as indexed (or set BLUESTAR_INDEXES_COMPLETE=true where nobody else writes)"
            )
        return [item for found in (*indexed, unindexed) for item in found or ()]

    def newest_first(
        self, session: Session, mapper: Mapper[Any], index: str, value: str, cursor: str | None, limit: int | None
    ) -> tuple[Iterator[Item], list[Item]]:
        """Index entries behind a cursor, last first, read a page of `limit` at a time; and what `find` gives whole.

        All of the kind is given whole when the table has no such index. Raises as `find` does.
        """
        engine, table = session.engine, session.table(mapper)

        def page(after: str | None) -> Page:
            return engine.query(table, value, index=index, newest_first=True, limit=limit, cursor=after or cursor)

        whole = self._unindexed(session, mapper, index)
        found = pages(page)
        try:
            first = next(found)
        except IndexMissingError:
            return iter(()), self._all(session, mapper, index)
        entries = filter(partial(self.owns, mapper), chain(first, chain.from_iterable(found)))
        return entries, self.merged(session, mapper, index, [whole])

    def stored(self, session: Session, mapper: Mapper[Any], keys: Iterable[Key]) -> dict[Key, Item]:
        """The items behind keys that were found, read consistently, as each is stored.

        What reads of several items do not show yet, though its transaction is committed, is read isolated.
        """
        engine, table, wanted = session.engine, session.table(mapper), list(dict.fromkeys(keys))
        found = engine.get(table, wanted, consistent=True)
        missed = [] if settles_at_once(engine) else [key for key in wanted if key not in found]
        for some in chunks(missed, MAX_ISOLATED_KEYS):
            found |= engine.get_isolated(table, some)
        return {key: found[key] for key in wanted if key in found}

    def existing(
        self, session: Session, mapper: Mapper[Any], items: Iterable[Item], value_of: Callable[[Key], str]
    ) -> list[str]:
        """The distinct values that at least one of the items still stands for, sorted; reads one item a value."""
        waiting: dict[str, list[Key]] = {}
        for item in items:
            key = key_of(item)
            waiting.setdefault(value_of(key), []).append(key)
        existing: set[str] = set()
        while waiting:
            asked = {value: keys.pop() for value, keys in waiting.items()}
            found = self.stored(session, mapper, asked.values())
            existing |= {value for value, key in asked.items() if key in found}
            waiting = {value: keys for value, keys in waiting.items() if keys and value not in existing}
        return sorted(existing)

    def owns(self, mapper: Mapper[Any], item: Item) -> bool:
        """Whether an item is one of the kind's."""
        return mapper.owns(item)

    def _indexed(self, session: Session, mapper: Mapper[Any], index: str, value: str, prefix: str) -> Found:
        """The index's entries; None when the table has no such index."""
        engine, table = session.engine, session.table(mapper)
        try:
            found = chain.from_iterable(
                pages(lambda cursor: engine.query(table, value, prefix, index=index, cursor=cursor))
            )
            return [item for item in found if self.owns(mapper, item)]
        except IndexMissingError:
            return None

    def _unindexed(self, session: Session, mapper: Mapper[Any], index: str) -> Found:
        """The kind's items that lack the index's attribute; None when the table is too large to scan."""
        if session.indexes_complete or self.is_marked(mapper, index):
            return []
        items, complete = self._sweep(session, mapper, index_specs(mapper)[index].partition_attribute)
        if not complete:  # its mark was taken back, or is not of this kind
            self.recheck.beside_list(mapper)
        return items if complete else None

    def is_marked(self, mapper: Mapper[Any], index: str) -> bool:
        """Whether the kind's table need not be scanned; beside the answer, a recheck that is late goes on."""
        if self.marks.checked(mapper, index) is None:
            return False
        self.recheck.beside_list(mapper)
        return True

    def _all(self, session: Session, mapper: Mapper[Any], index: str) -> list[Item]:
        """All items of the kind, where there is no index to ask."""
        items, complete = self._sweep(session, mapper, None)
        if not complete:
            raise IndexMissingError(
                f"table {session.table(mapper)} has no index {index} and is too large to scan for it; "
                "`bluestar-store create --upgrade` adds and fills the index"
            )
        return items

    def _sweep(self, session: Session, mapper: Mapper[Any], lacking: str | None) -> tuple[list[Item], bool]:
        """The kind's items that lack an attribute, and whether these are all."""
        engine, prefix = session.engine, mapper.keys.sort.prefix
        # Where a call is no round trip, a table of any size is scanned.
        most = SWEEP_PAGES if engine.parallel_calls > 1 else None
        found = scan_pages(engine, session.table(mapper), sk_prefix=prefix, lacking=lacking)
        items = [item for page in islice(found, most) for item in page if self.owns(mapper, item)]
        return items, next(found, None) is None
