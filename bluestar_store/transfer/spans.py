"""The partitions of an export: items that lie together in a file, and can be gone through again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bluestar_store.protocols import Item
from bluestar_store.transfer.transfer_files import TableDigest, items_at, items_path, read_items

KEPT_BYTES = 64 * 1024
"""Of a partition that is kept in memory; a larger one is read from its file each time."""


@dataclass(frozen=True)
class Span:
    """The items of one partition of a table, in order, as they lie in the file."""

    table: str
    pk: str
    count: int
    path: Path
    offset: int
    kept: tuple[Item, ...] | None

    def __iter__(self) -> Iterator[Item]:
        return items_at(self.path, self.offset, self.count) if self.kept is None else iter(self.kept)


def spans(folder: Path, table: str, digest: TableDigest) -> Iterator[Span]:
    """The partitions of one table's file, which was checked before; raises what `read_items` raises."""
    path, offset = items_path(folder, table), 0
    for pk, records in groupby(read_items(folder, table, digest, trusting=True), key=lambda record: record.key.pk):
        start, count, kept = offset, 0, list[Item]()
        for record in records:
            offset += record.line_bytes
            count += 1
            if offset - start <= KEPT_BYTES:
                kept.append(record.item)
        yield Span(table, pk, count, path, start, tuple(kept) if len(kept) == count else None)
