"""Everything the doctor looks at, in the order that makes sense: nothing can be said about items of no engine."""

from __future__ import annotations

from collections.abc import Callable

from bluestar_store.doctor import engine, items, permissions, recheck, redis_server, tables
from bluestar_store.doctor.findings import Finding, Findings
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.store import Store


@without_locals
def examine(
    store: Store,
    *,
    writes: bool = True,
    read_items: bool = True,
    progress: Callable[[int], None] | None = None,
) -> tuple[Finding, ...]:
    """What is not as it should be, the gravest first; empty for a store in the best of health.

    Changes nothing. Every table is read once, page by page and eventually consistent; what looks wrong is read again,
    consistently, before it is told. Without `writes`, write calls are not tried (the ones that are tried cannot
    succeed): for credentials that may only read. Without `read_items`, the tables are looked at, not their items.
    `progress` is told the number of items of each page. What fails is a finding, never an exception.
    """
    findings = Findings()
    findings.take(redis_server.check(store.settings))
    unreachable = engine.check(store)
    findings.take(unreachable)
    if unreachable:
        return findings.result()
    states = tables.states(store)
    findings.take(finding for state in states for finding in tables.check(state))
    present = [state.spec for state in states if state.status is not None and state.status.is_usable]
    findings.take(recheck.check(store))
    findings.take(permissions.check(store.engine, present, writes=writes))
    for spec in present if read_items else ():
        findings.take(items.check(store, spec.name, progress or (lambda count: None)))
    return findings.result()
