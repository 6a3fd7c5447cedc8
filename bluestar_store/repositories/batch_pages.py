"""A plan's batches, page by page, newest first.

The index `by_plan` gives the order. A cursor is a position in it, so batches that are started meanwhile move nothing.
Batches without the index's attributes are sorted in where they would be.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from bluestar_store.engines.checks import check_limit
from bluestar_store.engines.cursors import decode_cursor, encode_cursor, question_of_query
from bluestar_store.errors import ItemDecodeError
from bluestar_store.keys import Key, check_plan
from bluestar_store.mapping.indexes import BY_PLAN, index_part
from bluestar_store.mapping.salvage import bare
from bluestar_store.models.batches import BATCH_STATE, BatchState
from bluestar_store.models.free_form import FreeState
from bluestar_store.models.tables import index_specs
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.free_form import old_state
from bluestar_store.repositories.index_reader import IndexReader
from bluestar_store.repositories.order import by_created
from bluestar_store.repositories.session import Session

SPEC = index_specs(BATCH_STATE)[BY_PLAN]


@dataclass(frozen=True)
class BatchPage:
    """Batches of a plan, newest first, and the `cursor` of the next page; None at the end.

    It can be looped over. A page that has a cursor is not empty. `free_states` are those between them whose state
    another program keeps in its own way (a status that is none of BatchStatus), newest first too, beyond any limit.
    """

    batches: tuple[BatchState, ...]
    cursor: str | None = None
    free_states: tuple[FreeState, ...] = ()

    def __iter__(self) -> Iterator[BatchState]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class IndexPosition(NamedTuple):
    """In the index: its sort attribute, and the item's key."""

    sort: str
    pk: str
    sk: str


Positioned: TypeAlias = tuple[IndexPosition, Key]


class BatchPages:
    """See `BatchRepository.for_plan`."""

    def __init__(self, index_reader: IndexReader) -> None:
        self._index_reader = index_reader

    def page(self, session: Session, plan_id: str, limit: int | None, cursor: str | None) -> BatchPage:
        """The batches behind the cursor, `limit` at most."""
        check_limit(limit)
        table, value = session.table(BATCH_STATE), index_part(check_plan(plan_id))
        question = question_of_query(table, BY_PLAN, value, "", True)
        behind = IndexPosition(*decode_cursor(question, cursor, len(IndexPosition._fields))) if cursor else None
        wanted = None if limit is None else limit + 1  # one more tells whether there is a next page
        found: list[tuple[IndexPosition, BatchState]] = []
        free: list[tuple[IndexPosition, FreeState]] = []
        entries = self._entries(session, plan_id, value, behind, cursor, wanted)
        while chunk := list(islice(entries, None if wanted is None else wanted - len(found))):
            # What the index says may be outdated: a batch is where it says itself that it is.
            stored = self._index_reader.stored(session, BATCH_STATE, [key for _, key in chunk])
            for place, key in chunk:
                if (item := stored.get(key)) is None or item.get("plan_id") != {"S": plan_id}:
                    continue
                try:
                    found.append((place, BATCH_STATE.decode(item, table)))
                except ItemDecodeError:
                    free.append((place, old_state(item)))
        shown = found[:limit]
        last = shown[-1][0] if len(found) > len(shown) else None
        return BatchPage(
            by_created(batch for _, batch in shown)[::-1],
            None if last is None else encode_cursor(question, list(last)),
            tuple(state for place, state in free if last is None or place > last),
        )

    def _entries(
        self,
        session: Session,
        plan_id: str,
        value: str,
        behind: IndexPosition | None,
        cursor: str | None,
        limit: int | None,
    ) -> Iterator[Positioned]:
        """Where there is something behind a place, each once, newest first; read as it is asked for."""
        # First what lacks the index's attributes: what gets them meanwhile is in the index by then.
        indexed, whole = self._index_reader.newest_first(session, BATCH_STATE, BY_PLAN, value, cursor, limit)
        unindexed = sorted((positioned for item in whole if (positioned := _positioned(item, plan_id))), reverse=True)
        later = [positioned for positioned in unindexed if behind is None or positioned[0] < behind]
        seen: set[Key] = set()
        for place, key in heapq.merge(map(_entry, indexed), later, key=itemgetter(0), reverse=True):
            if key not in seen:
                seen.add(key)
                yield place, key


def _entry(item: Item) -> Positioned:
    key = key_of(item)
    return IndexPosition(item[SPEC.sort_attribute]["S"], *key), key


def _positioned(item: Item, plan_id: str) -> Positioned | None:
    """A whole item, where the index would have it; None when it is another plan's."""
    key = key_of(item)
    identity = BATCH_STATE.keys.parse(key)
    if identity is None or item.get("plan_id") != {"S": plan_id}:
        return None
    state = bare(BATCH_STATE, item, identity, "plan_id", "created")
    return IndexPosition(BATCH_STATE.index_of(state)[SPEC.sort_attribute], *key), key
