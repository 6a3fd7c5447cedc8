"""Items in process: sorted partitions, queries, scans, and writes resolved against them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from sortedcontainers import SortedDict

from bluestar_store.engines.conditions import left_behind
from bluestar_store.engines.cursors import decode_cursor, encode_cursor, question_of, question_of_query
from bluestar_store.engines.missing import missing_index, missing_table
from bluestar_store.errors import InvalidWriteError
from bluestar_store.keys import MAX_PK_BYTES, MAX_SK_BYTES, Key
from bluestar_store.mapping.wire import copied
from bluestar_store.protocols import AttributeValue, IndexSpec, Item, Page, Place, Segment, TableSpec, Write, key_of

PAGE_ITEMS = 1000
"""A page of a query or scan that asked for no limit."""


class Image(NamedTuple):
    """An item after a write; None when the write deleted it."""

    table: str
    key: Key
    item: Item | None


@dataclass
class Table:
    """One table: its partitions, each sorted by sort key. Text sorts by code point, which is UTF-8's order too."""

    spec: TableSpec
    partitions: SortedDict[str, SortedDict[str, Item]] = field(default_factory=SortedDict)

    def get(self, key: Key) -> Item | None:
        partition = self.partitions.get(key.pk)
        return partition.get(key.sk) if partition is not None else None

    def set(self, key: Key, item: Item | None) -> None:
        if item is not None:
            self.partitions.setdefault(key.pk, SortedDict())[key.sk] = item
        elif (partition := self.partitions.get(key.pk)) is not None:
            partition.pop(key.sk, None)
            if not partition:
                del self.partitions[key.pk]

    def copy(self) -> Table:
        """A table of its own with the same items."""
        partitions = ((pk, partition.copy()) for pk, partition in self.partitions.items())
        return Table(self.spec, SortedDict(partitions))

    def items(self) -> Iterator[Item]:
        """All items, by partition key and sort key."""
        for partition in self.partitions.values():
            yield from partition.values()

    def items_after(self, position: Sequence[str] | None) -> Iterator[Item]:
        """All items behind a primary key."""
        if position is None:
            yield from self.items()
            return
        pk, sk = position
        for found in self.partitions.irange(minimum=pk):
            partition = self.partitions[found]
            start = partition.bisect_right(sk) if found == pk else 0
            yield from partition.values()[start:]

    def count(self) -> int:
        return sum(map(len, self.partitions.values()))

    def index(self, name: str, location: str) -> IndexSpec:
        for spec in self.spec.indexes:
            if spec.name == name:
                return spec
        raise missing_index(self.spec.name, name, location)


class ItemTables:
    """A set of tables. Not thread-safe: the engine around it holds the lock."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """The table; TableMissingError when it does not exist."""
        try:
            return self.tables[name]
        except KeyError:
            raise missing_table(name, self.location) from None

    def get(self, name: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See Engine.get."""
        table = self.table(name)
        found = ((key, table.get(key)) for key in dict.fromkeys(keys))
        return {key: copied(item) for key, item in found if item is not None}

    def get_places(self, places: Iterable[Place]) -> dict[Place, Item]:
        """See `protocols.ReadsPlaces`."""
        found = {place: self.table(place[0]).get(place[1]) for place in places}
        return {place: copied(item) for place, item in found.items() if item is not None}

    def query(
        self,
        name: str,
        pk: str,
        sk_prefix: str,
        index: str | None,
        newest_first: bool,
        limit: int | None,
        cursor: str | None,
    ) -> Page:
        """See Engine.query."""
        table = self.table(name)
        question = question_of_query(name, index, pk, sk_prefix, newest_first)
        length = 1 if index is None else 3
        position = decode_cursor(question, cursor, length, sk_prefix) if cursor else None
        if index is None:
            rows = _partition_rows(table, pk, sk_prefix)
        else:
            rows = _index_rows(table, table.index(index, self.location), pk, sk_prefix)
        if newest_first:
            rows.reverse()
        if position is not None:
            rows = [row for row in rows if (row[0] < position if newest_first else row[0] > position)]
        size = limit or PAGE_ITEMS
        items = [copied(item) for _, item in rows[:size]]
        return Page(items, encode_cursor(question, rows[size - 1][0]) if len(rows) > size else None)

    def scan(
        self,
        name: str,
        sk_prefix: str,
        lacking: str | None,
        limit: int | None,
        cursor: str | None,
        segment: Segment | None,
    ) -> Page:
        """See Engine.scan."""
        table = self.table(name)
        question = question_of(name, "scan", sk_prefix, lacking, segment)
        position = decode_cursor(question, cursor, 2) if cursor else None
        size = limit or PAGE_ITEMS
        rows = (item for item in table.items_after(position) if segment is None or _is_in(item, segment))
        read = list(islice(rows, size + 1))
        more = len(read) > size
        read = read[:size]
        items = [
            copied(item)
            for item in read
            if item["SK"]["S"].startswith(sk_prefix) and (lacking is None or lacking not in item)
        ]
        return Page(items, encode_cursor(question, list(key_of(read[-1]))) if more else None)

    def resolve(self, writes: Mapping[Place, Write]) -> list[Image]:
        """What the writes would leave behind; raises for the first expectation that does not hold. Changes nothing."""
        found = [(place, write, self.table(place[0]).get(place[1])) for place, write in writes.items()]
        return self.checked([Image(*place, item) for place, item in left_behind(found)])

    def checked(self, images: list[Image]) -> list[Image]:
        """The images; InvalidWriteError for one with an index attribute that is no key, as DynamoDB refuses it."""
        for image in images:
            for index in self.table(image.table).spec.indexes:
                for name, limit in ((index.partition_attribute, MAX_PK_BYTES), (index.sort_attribute, MAX_SK_BYTES)):
                    value = (image.item or {}).get(name)
                    if value is not None and not 0 < len((_text(value) or "").encode()) <= limit:
                        raise InvalidWriteError(
                            f"{image.table}: {image.key}: attribute {name} of index {index.name} is no key: a text "
                            f"of 1 to {limit} bytes"
                        )
        return images

    def apply(self, images: Iterable[Image]) -> None:
        """Take over after-images. The items are not copied: nobody else may keep them."""
        for image in images:
            self.table(image.table).set(image.key, image.item)


def _partition_rows(table: Table, pk: str, sk_prefix: str) -> list[tuple[list[str], Item]]:
    partition = table.partitions.get(pk)
    if partition is None:
        return []
    keys = partition.irange(minimum=sk_prefix)
    return [([sk], partition[sk]) for sk in keys if sk.startswith(sk_prefix)]


def _index_rows(table: Table, index: IndexSpec, pk: str, prefix: str) -> list[tuple[list[str], Item]]:
    """What a keys-only index holds: DynamoDB leaves out items that lack one of its attributes."""
    rows = []
    for item in table.items():
        partition, sort = _text(item.get(index.partition_attribute)), _text(item.get(index.sort_attribute))
        if partition == pk and sort is not None and sort.startswith(prefix):
            names = ("PK", "SK", index.partition_attribute, index.sort_attribute)
            rows.append(([sort, *key_of(item)], {name: item[name] for name in names}))
    return sorted(rows, key=lambda row: row[0])


def _is_in(item: Item, segment: Segment) -> bool:
    return crc32(item["PK"]["S"].encode()) % segment.of == segment.number


def _text(value: AttributeValue | None) -> str | None:
    return value.get("S") if value is not None else None
