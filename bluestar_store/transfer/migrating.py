"""Moves a whole store to another engine or layout, and takes over the tables of older programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bluestar_store.errors import BlueStarError, ConfigurationError, ConflictError, FileMissingError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.digest_keys import KEPT_WITH, is_digest_key
from bluestar_store.protocols import Item, key_of, scan_pages
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.transfer.digests import exported_salts
from bluestar_store.transfer.exporting import digests, export
from bluestar_store.transfer.files import Manifest, Progress, held, read_items
from bluestar_store.transfer.importing import Import, check_empty
from bluestar_store.transfer.layout import TableMap, TransferStore, Unmarked
from bluestar_store.transfer.merge.comparing import COMPARED_ITEMS, ImportReport, write_compared

FOLDER = "migration"
"""The export within the work folder."""


@without_locals
def migrate(
    source: TransferStore, target: TransferStore, work_folder: Path, *, progress: Progress | None = None
) -> Manifest:
    """Copy everything into an empty target and compare both, count and digest of each table, as they are afterwards.

    The source is only read. Run again after an interruption, it goes on. Raises ConflictError when the target is not
    empty or when the source was written to meanwhile, BlueStarError when the target differs: each names the tables.
    The export stays in the work folder.
    """
    folder = work_folder / FOLDER
    if not _is_begun(target, folder):
        check_empty(target, "migrate into empty tables")
        export(source, folder, replace=True, progress=progress)
    with held(folder, "migrate"):
        importing = Import(target, folder, progress)
        importing.run()
    copied = Manifest.read(folder)
    keys = exported_keys(folder, copied)
    wanted, found = (digests(place, folder, progress, keys=keys) for place in (source, target))
    if changed := _differences(copied, wanted):
        raise ConflictError(
            f"the source in {source.engine.location} was written to during the migration ({changed}); stop its "
            "writers and migrate into empty tables again"
        )
    if different := _differences(wanted, found):
        raise BlueStarError(
            f"the target in {target.engine.location} differs from the source ({different}); `import --merge` of "
            f"{folder} writes what is missing and names what differs"
        )
    importing.state.remove()
    return found


def exported_keys(folder: Path, manifest: Manifest) -> dict[Key, Item]:
    """The items of the keys of digests that an export carries, and the salts of its files."""
    found = exported_salts(folder, manifest)
    if (expected := manifest.tables.get(KEPT_WITH.table)) is not None:
        for record in read_items(folder, KEPT_WITH.table, expected, trusting=True):
            if is_digest_key(record.key):
                found[record.key] = record.item
    return found


def _is_begun(target: TransferStore, folder: Path) -> bool:
    try:
        with held(folder, "migrate"):
            return Import(target, folder, None).is_begun()
    except FileMissingError:
        return False


def _differences(one: Manifest, other: Manifest) -> str:
    """The tables that differ, with their counts; empty when there is no difference."""
    names = dict.fromkeys((*one.tables, *other.tables))
    pairs = [(name, one.tables.get(name), other.tables.get(name)) for name in names]
    return ", ".join(f"{name}: {a.items if a else 0} and {b.items if b else 0} items" for name, a, b in pairs if a != b)


@without_locals
def take_over(target: TransferStore, old_table: str, *, progress: Progress | None = None) -> ImportReport:
    """Copy the items of an older table (its whole name; keys PK, SK) into processing-metadata, verbatim.

    The older table is only read. An item that exists there already and differs is left alone and reported, and so is
    one that cannot lie there. Safe to repeat.
    """
    table_map, table = TableMap(target.tables), BATCH_STATE.table
    if old_table == table_map.on_disk(table):
        raise ConfigurationError(f"{old_table} is itself the table to copy to; name an older one")
    report, done = ImportReport(), 0
    unmarked = Unmarked(target, table_map)
    for items in _older_items(target, old_table):
        ready: list[Item] = []
        for item in items:
            try:
                ready.append(table_map.incoming(table, key_of(item), item))
            except ValueError:
                report += ImportReport(left_alone=1, left_alone_keys=((table, key_of(item)),))
        for item in ready:
            unmarked.inspect(table, item)
        unmarked.distrust()
        for start in range(0, len(ready), COMPARED_ITEMS):
            report += write_compared(target, table_map, table, ready[start : start + COMPARED_ITEMS])
        done += len(items)
        if progress is not None:
            progress("take over", done, None)
    return report


def _older_items(source: TransferStore, table: str) -> Iterator[list[Item]]:
    try:
        yield from scan_pages(source.engine, table)
    except TableMissingError:  # its own advice is to create the table
        raise ConfigurationError(
            f"there is no table {table} in {source.engine.location}; an older table is named in full, as in "
            "bluestar-processing-results, and looked for in the same region"
        ) from None
