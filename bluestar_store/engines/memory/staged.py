"""What a unit of work sees: an engine's items with its own writes laid over them, none of which is sent yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from bluestar_store.engines.checks import check_isolated, check_keys, checked_places
from bluestar_store.engines.conditions import updated
from bluestar_store.engines.memory.folding import folded
from bluestar_store.engines.passing import PassingEngine
from bluestar_store.errors import InvalidWriteError
from bluestar_store.keys import Key
from bluestar_store.mapping.wire import copied
from bluestar_store.protocols import (
    VERSION,
    AsRead,
    BeforeAttempt,
    Check,
    Delete,
    Engine,
    Expectation,
    IndexSpec,
    Item,
    Page,
    Place,
    Put,
    Segment,
    TableSpec,
    Update,
    Write,
    key_of,
    pages,
)


class StagedEngine(PassingEngine):
    """See `protocols.Engine`. Safe for threads. Every read of the table is consistent.

    Of what a write expects, only what its own earlier writes answer is looked at here; the rest is the engine's, when
    `writes` are sent.
    """

    def __init__(self, engine: Engine, specs: Iterable[TableSpec]) -> None:
        super().__init__(engine)
        self._specs = {spec.name: spec for spec in specs}
        self._writes: dict[Place, Write] = {}
        self._lock = threading.Lock()

    @property
    def writes(self) -> Mapping[Place, Write]:
        """What is to be sent: one write an item, in the order in which the items were first written."""
        with self._lock:
            return dict(self._writes)

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """Lay writes over what is there, all or none; nothing is sent, so `before_attempt` is not called.

        Raises as `folded` and `Engine.write` do before sending.
        """
        ready = checked_places(writes)
        with self._lock:
            after = dict(self._writes)
            for place, write in ready.items():
                after[place] = folded(after[place], write) if place in after else write
            self._writes = after

    # ------------------------------------------------------------------------------------------------------- reading

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._laid_over(
            table, check_keys(table, keys), lambda asked: self._engine.get(table, asked, consistent=True)
        )

    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        """See `protocols.ReadsPlaces`; for a unit on an engine that can it."""
        own = {place: self._writes[place] for place in places if place in self._writes}
        asked = [place for place in places if not isinstance(own.get(place), Put | Delete)]
        # Asked only of an engine that has it: `reads_places`.
        stored: dict[Place, Item] = self._engine.get_places(asked) if asked else {}  # type: ignore[attr-defined]
        seen = {place: _after(own[place], stored.get(place)) if place in own else stored.get(place) for place in places}
        return {place: item for place, item in seen.items() if item is not None}

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._laid_over(
            table, check_isolated(table, keys), lambda asked: self._engine.get_isolated(table, asked)
        )

    def _laid_over(self, table: str, keys: list[Key], read: Callable[[list[Key]], dict[Key, Item]]) -> dict[Key, Item]:
        own = {key: write for key in keys if (write := self._writes.get((table, key))) is not None}
        stored = read([key for key in keys if not isinstance(own.get(key), Put | Delete)])
        seen = {key: _after(own[key], stored.get(key)) if key in own else stored.get(key) for key in keys}
        return {key: item for key, item in seen.items() if item is not None}

    def query(
        self,
        table: str,
        pk: str,
        sk_prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
    ) -> Page:
        """See `protocols.Engine`. A partition that is written here is read whole, and paged here."""
        own = [key for name, key in self.writes if name == table and (index is not None or key.pk == pk)]
        if not own:
            return self._engine.query(
                table,
                pk,
                sk_prefix,
                index=index,
                newest_first=newest_first,
                limit=limit,
                cursor=cursor,
                consistent=index is None,
            )
        found = pages(
            lambda after: self._engine.query(table, pk, sk_prefix, index=index, cursor=after, consistent=index is None)
        )
        from bluestar_store.engines.memory.tables import ItemTables, Table  # which most processes need not load

        merged = Table(TableSpec(table, self._indexes(table)))
        for items in found:
            for item in items:
                merged.set(key_of(item), item)
        for key in own:
            merged.set(key, None)
        for key, item in self.get(table, own).items():
            merged.set(key, item)
        tables = ItemTables(self.location)
        tables.tables[table] = merged
        return tables.query(table, pk, sk_prefix, index, newest_first, limit, cursor)

    def _indexes(self, table: str) -> tuple[IndexSpec, ...]:
        return self._specs[table].indexes if table in self._specs else ()

    def scan(
        self,
        table: str,
        *,
        sk_prefix: str = "",
        lacking: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
        segment: Segment | None = None,
    ) -> Page:
        """See `protocols.Engine`; what is written here comes with the last page (of the first segment)."""
        page = self._engine.scan(
            table, sk_prefix=sk_prefix, lacking=lacking, limit=limit, cursor=cursor, consistent=True, segment=segment
        )
        own = [key for name, key in self.writes if name == table]
        items = [item for item in page.items if key_of(item) not in own]
        if page.cursor is None and (segment is None or segment.number == 0):
            written = self.get(table, own).values()
            items += [
                i for i in written if i["SK"]["S"].startswith(sk_prefix) and (lacking is None or lacking not in i)
            ]
        return Page(items, page.cursor)

    # ---------------------------------------------------------------------------------------------- no part of a unit

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """InvalidWriteError: a bulk write is no transaction."""
        raise _outside("a bulk write")

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        """InvalidWriteError."""
        raise _outside("making tables")

    def delete_tables(self, names: Sequence[str]) -> None:
        """InvalidWriteError."""
        raise _outside("deleting tables")

    def close(self) -> None:
        """Nothing: the engine is not this one's."""


def _after(write: Write, stored: Item | None) -> Item | None:
    match write:
        case Put():
            return copied(write.item)
        case Delete():
            return None
        case Update():
            return updated(write, _assumed(write.expect, stored))
        case Check():
            return _assumed(write.expect, stored)


def _assumed(expect: Expectation, stored: Item | None) -> Item | None:
    """The stored item as the unit's own write expects it: what is otherwise by now, the commit will find."""
    if stored is None or not isinstance(expect, AsRead):
        return stored
    read = {VERSION: {"N": str(expect.version)} if expect.version else None, **expect.all_attributes}
    kept = {name: value for name, value in stored.items() if name not in read}
    return kept | {name: value for name, value in read.items() if value is not None}


def _outside(what: str) -> InvalidWriteError:
    return InvalidWriteError(f"{what} cannot be part of a unit of work: do it before or after the block")
