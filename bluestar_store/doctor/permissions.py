"""Which calls are denied? Each is tried, writes too: on a key that no item has, with a condition that it has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.tables import probe_key
from bluestar_store.errors import AccessDeniedError, BlueStarError, ConfigurationError, VersionConflictError
from bluestar_store.protocols import EXISTS, Check, Delete, Engine, Put, TableSpec, Update

Probe = tuple[str, str, Callable[[], object]]
"""The call that is tried, the IAM action that it needs, and how to try it."""

WRITE = "TransactWriteItems"


def check(engine: Engine, specs: Sequence[TableSpec], *, writes: bool) -> Iterator[Finding]:
    """A finding for each call that is denied, on whichever tables; one for each other failure."""
    denied: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for spec in specs:
        for call, action, attempt in (*_reads(engine, spec), *(_writes(engine, spec.name) if writes else ())):
            try:
                attempt()
            except VersionConflictError:  # the condition did not hold: the call itself is allowed
                continue
            except ConfigurationError:  # a table or index is missing: `tables` tells
                continue
            except AccessDeniedError as error:
                denied.setdefault((call, action), (str(error), []))[1].append(spec.name)
            except BlueStarError as error:
                yield Finding(Severity.ERROR, "call-failed", f"{call}: {error}", "see what the error says", spec.name)
    for (call, action), (text, tables) in denied.items():
        where = "every table" if len(tables) == len(specs) > 1 else ", ".join(tables)
        yield Finding(Severity.ERROR, "denied", f"{call} is denied on {where}: {text}", _mend(call, action))


def _mend(call: str, action: str) -> str:
    if call.startswith(WRITE):
        return (
            f"allow dynamodb:{action}: bluestar-store iam-policy writer prints the policy (credentials that are meant "
            "to read only: bluestar-store doctor --read-only)"
        )
    return f"allow dynamodb:{action}: bluestar-store iam-policy reader prints the policy"


def _reads(engine: Engine, spec: TableSpec) -> Iterator[Probe]:
    key = probe_key()
    yield "DescribeTable", "DescribeTable", partial(engine.describe, spec)
    yield "BatchGetItem", "BatchGetItem", partial(engine.get, spec.name, [key])
    yield "TransactGetItems", "GetItem", partial(engine.get_isolated, spec.name, [key])
    yield "Query", "Query", partial(engine.query, spec.name, key.pk, limit=1)
    for index in spec.indexes:
        ask = partial(engine.query, spec.name, key.pk, index=index.name, limit=1)
        yield f"Query of index {index.name}", f"Query on the table's index/{index.name}", ask
    yield "Scan", "Scan", partial(engine.scan, spec.name, limit=1)


def _writes(engine: Engine, table: str) -> Iterator[Probe]:
    """A transaction of one write each, so that a denial names the action. None of them can succeed."""
    key = probe_key()
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}}
    for action, write in (
        ("ConditionCheckItem", Check(table, key, EXISTS)),
        ("PutItem", Put(table, item, EXISTS)),
        ("UpdateItem", Update(table, key, {"probe": {"S": "doctor"}}, expect=EXISTS)),
        ("DeleteItem", Delete(table, key, EXISTS)),
    ):
        yield f"{WRITE} ({action})", action, partial(engine.write, write)
