"""Copies documents between stores and files unchanged: between modes, or to keep them as test data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bluestar_store.documents.data_files import read_data, table_items
from bluestar_store.documents.json_form import tables_text
from bluestar_store.documents.store import DocumentStore
from bluestar_store.documents.values import same_items
from bluestar_store.errors import FileStoreError
from bluestar_store.protocols import Item
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.whole_files import write_whole

OWNER_ONLY = 0o600
"""What agents keep about people is for the file's owner."""


@dataclass(frozen=True)
class Imported:
    """What became of a table's items: how many were new, there already alike, or there and overwritten.

    `left_alone`: the keys of those that were there, differ, and were left as they are; sorted.
    """

    table: str
    written: int
    same: int
    overwritten: int
    left_alone: tuple[str, ...]


@without_locals
def export_documents(stores: Iterable[DocumentStore], path: Path | str) -> dict[str, int]:
    """Write all items, soft-deleted ones too, to a file {table: [items]}; returns how many by table.

    The same items give the same bytes, whatever mode they come from. The file can be imported, or be test data.
    Each store is read once and page by page: stop writers first if it has to be of one moment.
    """
    path = Path(path)
    tables = {store.table_name: list(store.items()) for store in stores}
    try:
        write_whole(path, tables_text(tables).encode(), most=OWNER_ONLY)
    except OSError as error:
        raise FileStoreError(f"{path} cannot be written: {error.strerror}") from error
    return {table: len(items) for table, items in tables.items()}


@without_locals
def import_documents(
    stores: Iterable[DocumentStore], path: Path | str, *, overwrite: bool = False, schema: Path | None = None
) -> tuple[Imported, ...]:
    """Bring the items of a file {table: [items]} into the stores of these tables, exactly as they are.

    An item that is there and differs is left alone, unless `overwrite`. The file is checked as a whole first: SeedError
    with every problem, and nothing written. Interrupted, it can be run again.
    """
    path = Path(path)
    content = read_data(path, schema)
    found = [
        (store, table_items(path, content, (store.table_name,), store.pk_name, store.checked_item)) for store in stores
    ]
    return tuple(_imported(store, items, overwrite) for store, items in found)


def _imported(store: DocumentStore, items: Mapping[str, Item], overwrite: bool) -> Imported:
    there = store.merge(items, overwrite)
    differing = sorted(key for key, found in there.items() if not same_items(found, items[key]))
    return Imported(
        table=store.table_name,
        written=len(items) - len(there),
        same=len(there) - len(differing),
        overwritten=len(differing) if overwrite else 0,
        left_alone=() if overwrite else tuple(differing),
    )
