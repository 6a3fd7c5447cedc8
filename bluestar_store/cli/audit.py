"""`bluestar-store audit`: the audit trail of a batch, or of any other item that was changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.errors import DIFFERENCES, BadUsage, escaped, tell
from bluestar_store.cli.options import AsJson, group, opened_store, output
from bluestar_store.cli.output import Grid, Output
from bluestar_store.cli.records import Record, plain, records

if TYPE_CHECKING:
    from bluestar_store.models.audit import AuditEntry, Trail
    from bluestar_store.repositories.audit import TrailReport
    from bluestar_store.store import Store

audit = group("Look into audit trails, and verify that nobody touched them.")

OfBatch = Annotated[str | None, typer.Argument(metavar="BATCH", help="The trail of this batch.", show_default=False)]
Table = Annotated[
    str | None,
    typer.Option(
        "--table", metavar="TABLE", help="Instead: of a table, such as calculation-rules.", show_default=False
    ),
]
Partition = Annotated[
    str | None,
    typer.Option("--partition", metavar="PK", help="With --table: of what lies under this PK.", show_default=False),
]

ENTRY_COLUMNS = {"Number": "seq", "At": "at", "Actor": "actor", "Action": "action"}


@audit.command("show")
def show(
    ctx: typer.Context,
    batch_id: OfBatch = None,
    table: Table = None,
    partition: Partition = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Show the hash of each too.")] = False,
    as_json: AsJson = False,
) -> None:
    """The entries of a trail, in order."""
    with opened_store(ctx, as_json) as (store, out):
        trail = _trail(batch_id, table, partition)
        found = records(_entries(store, trail))
        columns = ENTRY_COLUMNS | {"Details": "details"} | ({"Hash": "hash"} if long else {})
        out.show(found, Grid.of(f"Audit trail of {_name(trail)}", found, columns))


def _entries(store: Store, trail: Trail | str) -> Sequence[AuditEntry]:
    """Those of a trail; without details, which is told, where these cannot be read."""
    from bluestar_store.errors import EncryptedValueError

    try:
        return store.audit.entries(trail)
    except EncryptedValueError as error:
        tell(f"note: shown without details: {escaped(str(error))}")
        return store.audit.entries(trail, details=False)


@audit.command("verify")
def verify(
    ctx: typer.Context,
    batch_id: OfBatch = None,
    table: Table = None,
    partition: Partition = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FOLDER", file_okay=False, help="As it lies in this export.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify that a trail is whole, and name what was done to it.

    Entries that were changed, removed, put in, moved or cut off. The exit code is 3 when there is any. With --from, in
    what bluestar-store export wrote: then no store is needed.
    """
    if folder is None:
        with opened_store(ctx, as_json) as (store, out):
            trail = _trail(batch_id, table, partition)
            _show_report(out, trail, store.audit.report(trail), store.engine.location)
        return
    with output(ctx, as_json) as out:
        from bluestar_store.transfer.exported_trails import exported_trail_report

        trail = _trail(batch_id, table, partition)
        _show_report(out, trail, exported_trail_report(folder, trail), str(folder))


def _trail(batch_id: str | None, table: str | None, partition: str | None) -> Trail:
    from bluestar_store.models.audit import Trail

    if (table is None) != (partition is None) or (batch_id is None) == (table is None):
        raise BadUsage("give either a BATCH, or both --table TABLE and --partition PK")
    return Trail(batch_id=batch_id, table=table, partition=partition)


def _name(trail: Trail) -> str:
    return f"batch {trail.batch_id}" if trail.batch_id is not None else f"{trail.table} {trail.partition}"


def _show_report(out: Output, trail: Trail, report: TrailReport, where: str) -> None:
    from bluestar_store.errors import NotFoundError

    name = _name(trail)
    if not report.entries and not report.faults:
        raise NotFoundError(f"{name} has no audit trail in {where}")
    faults: list[Record] = [{"seq": fault.seq, "what": fault.what} for fault in report.faults]
    count = f"{report.entries} {'entry' if report.entries == 1 else 'entries'}"
    data = {**plain(trail), "entries": report.entries, "whole": not faults, "faults": faults}
    if not faults:
        out.show(data, f"The audit trail of {name} is whole: {count}.")
        return
    out.show(
        data, Grid.of(f"The audit trail of {name} is not whole: {count}", faults, {"Entry": "seq", "What": "what"})
    )
    raise typer.Exit(DIFFERENCES)
