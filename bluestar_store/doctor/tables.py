"""Missing tables and indexes, and tables that differ from their specification."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.engines.table_states import describe_state
from bluestar_store.errors import AccessDeniedError, BlueStarError, EngineError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.protocols import TableSpec, TableStatus
from bluestar_store.store import Store

_DRIFTS = {
    "primary key": (
        Severity.ERROR,
        "no command changes a primary key: choose another BLUESTAR_TABLE_PREFIX (--prefix) or "
        "BLUESTAR_TABLE_SUFFIX (--suffix)",
    ),
    "billing mode": (
        Severity.WARNING,
        "aws dynamodb update-table --table-name {table} --billing-mode PAY_PER_REQUEST",
    ),
    "index": (
        Severity.ERROR,
        "delete that index with aws dynamodb update-table, then bluestar-store create --upgrade",
    ),
}
"""How grave a drift is and what mends it, by a word that its description has."""


_STATES = {"CREATING": Severity.WARNING, "UPDATING": Severity.INFO}
"""How grave it is that a table is in such a state; others are errors."""


@dataclass(frozen=True)
class TableState:
    """A table as it should be and as it is; `status` is None where it could not be read, `fault` says why."""

    spec: TableSpec
    status: TableStatus | None
    fault: str = ""


def probe_key() -> Key:
    """A key that no item has."""
    return Key(f"BLUESTAR#DOCTOR#{uuid4().hex}", "PROBE")


def states(store: Store) -> list[TableState]:
    """Every table of the store as it is."""
    return [_state(store, spec) for spec in store.tables.specs()]


def _state(store: Store, spec: TableSpec) -> TableState:
    try:
        return TableState(spec, store.engine.describe(spec))
    except AccessDeniedError:  # `permissions` tells; a read knows at least whether the table is there
        return TableState(spec, TableStatus(spec.name, _exists(store, spec), indexes=_names(spec)))
    except BlueStarError as error:
        return TableState(spec, None, str(error))


def _exists(store: Store, spec: TableSpec) -> bool:
    try:
        store.engine.get(spec.name, [probe_key()])
    except TableMissingError:
        return False
    except EngineError:
        return True
    return True


def check(state: TableState) -> Iterator[Finding]:
    """What is not as it should be about one table."""
    name, status = state.spec.name, state.status
    if status is None:
        yield Finding(Severity.ERROR, "table-unread", state.fault, "see what the error says", name)
        return
    if not status.exists:
        mend = (
            "bluestar-store create; or are BLUESTAR_TABLE_PREFIX, BLUESTAR_TABLE_SUFFIX, BLUESTAR_TABLE_LAYOUT and "
            "the region not as meant?"
        )
        yield Finding(Severity.ERROR, "table-missing", "does not exist", mend, name)
        return
    if status.state != "ACTIVE":
        what, mend = describe_state(status.state)
        yield Finding(_STATES.get(status.state, Severity.ERROR), "table-state", what, mend, name)
        if not status.is_usable:
            return
    if missing := sorted(_names(state.spec) - status.indexes):
        what = f"has no index {', '.join(missing)}: questions that need it scan, or fail where the table is large"
        yield Finding(Severity.WARNING, "index-missing", what, "bluestar-store create --upgrade", name)
    for drift in status.drift:
        severity, mend = remedy(name, drift)
        yield Finding(severity, "drift", drift, mend, name)


def remedy(table: str, drift: str) -> tuple[Severity, str]:
    """How grave a drift of a table is, and what mends it."""
    found = (found for word, found in _DRIFTS.items() if word in drift)
    severity, mend = next(found, (Severity.WARNING, "see docs/tables-and-keys.md"))
    return severity, mend.format(table=table)


def _names(spec: TableSpec) -> frozenset[str]:
    return frozenset(index.name for index in spec.indexes)
