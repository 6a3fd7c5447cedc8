"""`bluestar-store export`, `import`, `migrate-layout` and `take-over`: all items, exactly as they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.editing import refuse_under_four_eyes
from bluestar_store.cli.errors import DIFFERENCES, BadUsage, tell
from bluestar_store.cli.options import AsJson, opened_store
from bluestar_store.cli.output import Grid, Output, console_of
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from rich.progress import TaskID

    from bluestar_store.transfer.files import Manifest, Progress
    from bluestar_store.transfer.merge.comparing import ImportReport

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", file_okay=False, show_default=False, help="The export.")]


def export(
    ctx: typer.Context,
    folder: Folder,
    plan: Annotated[
        list[str] | None,
        typer.Option("--plan", metavar="PLAN", show_default=False, help="Only what this plan has; may be repeated."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Over an export that is there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write all items to a folder, a file a table.

    The same items give the same bytes, whatever engine or layout they come from; but of a store without a key of
    digests, the files with something that is shown masked get a new salt each time. Stop writers first if the export
    has to be of one moment. Memory is constant, but mode file holds its tables in memory.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.transfer.exporting import export as export_items

        with phases() as progress:
            manifest = export_items(store, folder, plans=plan or None, replace=replace, progress=progress)
        _show_manifest(out, f"Exported to {folder}", manifest)


def import_(
    ctx: typer.Context,
    folder: Folder,
    merge: Annotated[bool, typer.Option("--merge", help="Into tables that are not empty.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="With --merge: also change what differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an export in, every item exactly as it was.

    Versions and foreign attributes too. Tables that are not empty are refused, unless --merge: then what differs is
    left alone and listed (exit code 3), unless --overwrite. What that changes gets a version above the one it had, so
    that programs that read it before see a change. Batches with their trails, trails and pipelines come in whole or not
    at all: one that is there stays as it is. Holds are added and never overwritten. A merge leaves an entry in the
    trail IMPORTS. Interrupted, it goes on where it stopped when it is run again. Memory is constant, but mode file
    holds its tables in memory.

    With BLUESTAR_FOUR_EYES one person may import into a store without any item only; an import that was interrupted is
    not gone on with there: make the tables anew and import again.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.cache.control import clear_quietly
        from bluestar_store.transfer.importing import import_ as import_items

        if overwrite and not merge:
            raise BadUsage("--overwrite goes with --merge; without it the tables must be empty")
        refuse_under_four_eyes(store, fill=not merge)
        with phases() as progress:
            report = import_items(store, folder, merge=merge, overwrite=overwrite, progress=progress)
        # What agents have cached of before the import, most of all that something was not there.
        clear_quietly(store.cache, lambda text: tell(f"warning: {text}"))
        _show_report(out, f"Imported {folder}", report)


def migrate_layout(
    ctx: typer.Context,
    layout: Annotated[str, typer.Argument(metavar="per_table|single", show_default=False, help="The layout to have.")],
    work: Annotated[Path, typer.Option("--work", metavar="FOLDER", file_okay=False, help="For the export in between.")],
    as_json: AsJson = False,
) -> None:
    """Copy everything into the other layout's tables.

    Both are compared before it says done. The tables it came from stay as they are; set BLUESTAR_TABLE_LAYOUT to
    change over. Interrupted, run it again.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.settings import TableLayout
        from bluestar_store.store import Store
        from bluestar_store.transfer.migrating import migrate

        try:
            wanted = TableLayout(layout)
        except ValueError:
            raise BadUsage(f"a layout is per_table or single, not {layout}") from None
        if wanted is store.settings.table_layout:
            raise BadUsage(f"the layout is {wanted} already (--layout says which one to copy from)")
        settings = store.settings.model_copy(update={"table_layout": wanted})
        with Store(settings, store.engine) as target, phases() as progress:
            target.create_tables()
            manifest = migrate(store, target, work, progress=progress)
        _show_manifest(out, f"Copied to layout {wanted}, and compared", manifest)


def take_over(
    ctx: typer.Context,
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", show_default=False, help="Such as bluestar-processing-results, its whole name."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Copy the items of an older table into processing-metadata.

    For bluestar-processing-results and bluestar-audit-log. The older table stays; what is there already and differs is
    left alone and listed (exit code 3).
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.transfer.migrating import take_over as take_over_items

        with phases() as progress:
            report = take_over_items(store, table, progress=progress)
        _show_report(out, f"Took over {table}", report)


@contextmanager
def phases() -> Iterator[Progress | None]:
    """Bars with rate and time left, one a phase, on stderr; only where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        """Items a second."""

        def render(self, task: object) -> Text:
            speed = getattr(task, "speed", None)
            return Text(f"{speed:,.0f}/s" if speed else "")

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, Rate(), TimeRemainingColumn(), console=console_of(sys.stderr)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)

        yield progress


def _show_manifest(out: Output, title: str, manifest: Manifest) -> None:
    data: list[Record] = [
        {"table": name, "items": found.items, "sha256": found.sha256} for name, found in manifest.tables.items()
    ]
    rows = [[row["table"], row["items"], row["sha256"][:12]] for row in data]
    out.show({"items": manifest.items, "tables": data}, Grid(title, ("Table", "Items", "SHA-256"), rows))


def _show_report(out: Output, title: str, report: ImportReport) -> None:
    left = [{"table": table, "pk": key.pk, "sk": key.sk} for table, key in report.left_alone_keys]
    counts = {name: getattr(report, name) for name in ("written", "same", "overwritten", "left_alone", "resumed")}
    summary = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
    lines = [f"Left alone, for something else is there: {row['table']} {row['pk']} {row['sk']}" for row in left]
    out.show({**counts, "left_alone_keys": left}, f"{title}: {summary}", *lines)
    if report.left_alone:
        raise typer.Exit(DIFFERENCES)
