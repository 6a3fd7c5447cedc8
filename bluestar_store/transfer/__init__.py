"""Whole tables on the move: exports to files, imports from them, migrations to another engine or layout."""

from bluestar_store.transfer.exported_trails import exported_trail_report
from bluestar_store.transfer.exporting import export
from bluestar_store.transfer.files import Manifest, Progress, TableDigest
from bluestar_store.transfer.importing import import_
from bluestar_store.transfer.merge.comparing import ImportReport
from bluestar_store.transfer.migrating import migrate, take_over

__all__ = [
    "ImportReport",
    "Manifest",
    "Progress",
    "TableDigest",
    "export",
    "exported_trail_report",
    "import_",
    "migrate",
    "take_over",
]
