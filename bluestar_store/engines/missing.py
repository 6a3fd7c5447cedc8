"""Errors for missing tables and indexes, with the command that creates them."""

from __future__ import annotations

from bluestar_store.errors import IndexMissingError, TableMissingError


def missing_table(name: str, location: str) -> TableMissingError:
    """The error for a table that is not there."""
    return TableMissingError(
        f"table {name} does not exist in {location}; `bluestar-store create` makes it "
        "(or are BLUESTAR_TABLE_PREFIX, BLUESTAR_TABLE_SUFFIX, BLUESTAR_TABLE_LAYOUT and the region as meant?)"
    )


def missing_index(table: str, name: str, location: str) -> IndexMissingError:
    """The error for an index that is not there."""
    return IndexMissingError(
        f"table {table} in {location} has no index {name}, or one that is still being filled; `bluestar-store create "
        "--upgrade` adds and fills it"
    )
