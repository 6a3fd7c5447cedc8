"""Audit trails in an export: verified without the store that they come from."""

from __future__ import annotations

from pathlib import Path

from bluestar_store.errors import FileMissingError, FileStoreError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, Trail
from bluestar_store.protocols import Item
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.audit import ChainFault, TrailReport, trail_report
from bluestar_store.transfer.files import Manifest, items_path, read_items


@without_locals
def exported_trail_report(folder: Path, trail: Trail) -> TrailReport:
    """The report on a trail as it lies in an export, in the memory that the trail takes.

    A file that is not as the export's manifest tells is a fault, too; with a line that no export has, or at another
    place than there, it is the only one that is told, since what lies behind it is not read. Raises FileMissingError
    where there is no whole export, FileStoreError for one that is none of ours.
    """
    table, pk = AUDIT_ENTRY.table, AUDIT_ENTRY.keys.partition(dict(trail))
    expected = Manifest.read(folder).tables.get(table)
    if expected is None:
        return TrailReport(0, ())
    items: list[Item] = []
    changed: tuple[ChainFault, ...] = ()
    try:
        items.extend(record.item for record in read_items(folder, table, expected) if record.key.pk == pk)
    except FileMissingError:
        raise
    except ItemDecodeError as error:
        identity = AUDIT_ENTRY.keys.parse(Key(error.pk or "", error.sk or "")) if error.pk == pk else None
        fault = ChainFault(identity["seq"] if identity else None, str(error))
        return TrailReport(sum(map(AUDIT_ENTRY.owns, items)), (fault,))
    except FileStoreError as error:  # noticed at the end of the file: all of the trail has been read
        changed = (ChainFault(None, str(error)),)
    found = trail_report(items, items_path(folder, table).name)
    return TrailReport(found.entries, (*found.faults, *changed))
