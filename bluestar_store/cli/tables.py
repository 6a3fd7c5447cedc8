"""Tables as they are, beside what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bluestar_store.cli.errors import escaped
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from bluestar_store.store import Store


def table_records(store: Store) -> list[Record]:
    """Each table of the store: whether it is there, its items, indexes, and what is not as it should be."""
    wanted = {spec.name: {index.name for index in spec.indexes} for spec in store.tables.specs()}
    return [
        {
            "name": status.name,
            "exists": status.exists,
            "state": status.state if status.exists else None,
            "items": status.item_count if status.exists else None,
            "indexes": sorted(status.indexes),
            "missing_indexes": sorted(wanted[status.name] - status.indexes) if status.is_usable else [],
            "drift": list(status.drift),
        }
        for status in store.describe_tables()
    ]


def faults(table: Record) -> Iterator[str]:
    """What is not as it should be about a table that exists, a line each, with what mends it."""
    from bluestar_store.doctor.tables import remedy
    from bluestar_store.engines.table_states import describe_state

    name = escaped(table["name"])
    if table["exists"] and table["state"] != "ACTIVE":
        what, mend = describe_state(table["state"])
        yield f"state: table {name} {what}; mend it: {mend}"
    if table["missing_indexes"]:
        names = ", ".join(table["missing_indexes"])
        yield f"missing: table {name} has no index {names}; mend it: bluestar-store create --upgrade"
    for drift in table["drift"]:
        _, mend = remedy(name, drift)
        yield f"drift: table {name}: {escaped(drift)}; mend it: {mend}"
