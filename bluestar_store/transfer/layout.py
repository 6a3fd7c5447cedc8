"""Maps items to tables for transfers between layouts, and tells whether an item can be stored in the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bluestar_store.engines.checks import MAX_ITEM_BYTES, item_bytes
from bluestar_store.keys import MAX_SK_BYTES, Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.index_marks import HOME
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import OWN_PREFIX, Engine, Item, key_of
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.repositories.audit import AuditRepository
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.index_marks import IndexMarks
from bluestar_store.repositories.revisions import Revisions, without_moves
from bluestar_store.repositories.upgrade import indexed_kinds, missing
from bluestar_store.settings import TableLayout

REST = "store"
"""The file for items of layout `single` that tell no table: another program wrote them."""
MARK = HOME
"""In layout `single`: which table an item belongs to whose key does not say it."""


class TransferStore(Protocol):
    """The part of a Store that transfers use."""

    @property
    def engine(self) -> Engine: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def index_marks(self) -> IndexMarks: ...
    @property
    def revisions(self) -> Revisions: ...
    @property
    def digests(self) -> Digests: ...


class AuditedStore(TransferStore, Protocol):
    """A place whose trails can be written, too."""

    @property
    def audit(self) -> AuditRepository: ...


class TableMap:
    """Which table an item belongs to, by its name without prefix, in the layout of a place.

    In `single`, an item whose key is no entity's carries the name of its table in `bs_table`; exports leave that away.
    """

    def __init__(self, tables: Tables) -> None:
        self.kinds = tables.kinds
        self.single = tables.layout is TableLayout.SINGLE
        self._specs = {mapper.table: tables.spec(mapper) for mapper in self.kinds}

    @property
    def names(self) -> tuple[str, ...]:
        """The tables of layout `per_table`, in the order of the kinds."""
        return tuple(self._specs)

    @property
    def sources(self) -> Mapping[str, str | None]:
        """The tables on disk, each with the one table whose items it holds; None: with those of all tables."""
        return {spec.name: None if self.single else name for name, spec in self._specs.items()}

    def on_disk(self, table: str) -> str:
        """The name on disk of the table that holds the items of `table`."""
        spec = next(iter(self._specs.values())) if self.single else self._specs[table]
        return spec.name

    def identity(self, key: Key) -> tuple[Mapper[Any] | None, Mapping[str, Any]]:
        """The kind that owns a key, and what the key says."""
        for mapper in self.kinds:
            found = mapper.keys.parse(key)
            if found is not None:
                return mapper, found
        return None, {}

    def hides(self, item: Item) -> bool:
        """Whether something of an item is shown masked."""
        mapper, _ = self.identity(key_of(item))
        return (mapper is not None and mapper.is_sensitive) or self.contains_secrets(item)

    @staticmethod
    def contains_secrets(item: Item) -> bool:
        """The same for an item of a kind that is not sensitive."""
        names = (name for name in item if name not in ("PK", "SK") and not name.startswith(OWN_PREFIX))
        return has_secrets({name: from_wire(item[name]) for name in names})

    def outgoing(self, item: Item) -> tuple[str, Item]:
        """The table of an item that lies in layout `single`, and the item as it lies in that table."""
        mapper, _ = self.identity(key_of(item))
        if mapper is not None:
            return mapper.table, item
        named = item.get(MARK, {}).get("S")
        if named not in self._specs:
            return REST, item
        return named, {name: value for name, value in item.items() if name != MARK}

    def belongs(self, table: str, item: Item) -> bool:
        """Whether an item found where the items of `table` lie is one of them."""
        return not self.single or self.outgoing(item)[0] == table

    def incoming(self, table: str, key: Key, item: Item) -> Item:
        """The item as it has to lie at this place; ValueError with the reason why it cannot."""
        item = without_moves(item)
        if not self.single:
            if table not in self._specs:
                raise ValueError("tells no table that it could go to in layout per_table")
            spec = self._specs[table]
        else:
            spec = next(iter(self._specs.values()))
            mapper, _ = self.identity(key)
            if mapper is None and table != REST:
                if MARK in item:
                    raise ValueError(f"has an attribute {MARK}, which layout single needs for itself")
                item = item | {MARK: {"S": table}}
                if item_bytes(item) > MAX_ITEM_BYTES:
                    raise ValueError("is too large for the name of its table, which layout single adds")
            elif mapper is not None and table not in (REST, mapper.table):
                raise ValueError(f"would become a {mapper.name} of {mapper.table} in layout single, though in {table}")
        for index in spec.indexes:
            for name in (index.partition_attribute, index.sort_attribute):
                if name in item and not 0 < len(item[name].get("S", "").encode()) <= MAX_SK_BYTES:
                    raise ValueError(f"has an attribute {name} that is no key of the index {index.name}")
        return item


class Unmarked:
    """The marked tables of a target that are to get items without index attributes, which items are shown to it.

    Their marks are taken back before anything is written: lists would miss those items.
    """

    def __init__(self, target: TransferStore, table_map: TableMap) -> None:
        self._target, self._table_map = target, table_map
        target.index_marks.forget()
        marked = target.index_marks.current()
        self._kinds = {name: kinds for name, kinds in indexed_kinds(target.tables).items() if name in marked}
        self._lacking: set[str] = set()

    def inspect(self, table: str, item: Item) -> None:
        """Look at one item that is to come, of a table by its name without prefix."""
        name = self._table_map.on_disk(table)
        if name in self._kinds and name not in self._lacking and missing(name, self._kinds[name], item) is not None:
            self._lacking.add(name)

    def distrust(self) -> None:
        """Take back the marks. Raises what `Engine.write` raises."""
        for table in sorted(self._lacking):
            self._target.index_marks.distrust(table)
            del self._kinds[table]
        self._lacking.clear()
