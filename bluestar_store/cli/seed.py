"""`bluestar-store seed`: compare a rule set with the store, load it, or save the difference and apply it later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.differences import change_lines, difference_lines, difference_records, entry_records, totals
from bluestar_store.cli.errors import DIFFERENCES, BadUsage
from bluestar_store.cli.options import AsJson, session
from bluestar_store.cli.output import Output, progress
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from bluestar_store.seeding import Difference, LoadReport
    from bluestar_store.store import Store


def seed(
    ctx: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            show_default=False,
            help="A rule set: JSON files, one a table. Without it, the baseline that comes with the library.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also change what is stored and differs from the rule set.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Also remove what is stored besides, of the kinds and at the levels that the rule set names; asks.",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show the difference; exit code 3 when there is any.")
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            show_default=False,
            help="Only save as a plan, and show, what would be written; exit code 3 when there is anything.",
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="Write a saved plan, exactly, unless one of its items has changed since.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a rule set: add what the tables lack.

    What is stored and differs is left alone and listed, unless --overwrite. A rule set with mistakes is refused as a
    whole, and every mistake told. Seeding again adds nothing twice.
    """
    with session(ctx, as_json) as (store, out):
        from bluestar_store import seeding

        if apply is not None:
            given = {"--from": folder, "--overwrite": overwrite, "--prune": prune, "--dry-run": dry_run, "--plan": plan}
            if wrong := [name for name, value in given.items() if value]:
                raise BadUsage(f"--apply writes what its plan says and takes no {', '.join(wrong)}")
            _apply(store, out, apply)
            return
        if dry_run and plan is not None:
            raise BadUsage("give either --dry-run or --plan: both only show the difference, --plan saves it too")
        kinds = store.tables.kinds
        rule_set = seeding.baseline(kinds) if folder is None else seeding.read(folder, kinds)
        source = "the baseline" if folder is None else str(folder)
        with progress("Comparing"):
            difference = seeding.compare(store, rule_set, prune=prune)
        if dry_run:
            _show(out, source, difference, overwrite)
        elif plan is not None:
            _save(out, source, difference, overwrite, plan)
        else:
            _load(store, out, source, difference, overwrite, yes)


def _show(out: Output, source: str, difference: Difference, overwrite: bool) -> None:
    """The whole difference, and what of it would be left alone."""
    from bluestar_store.seeding.load import to_write

    entries = difference.entries
    lines = [f"What {source} would change in the store:" if difference else f"The store has all of {source}."]
    lines += difference_lines(entries)
    lines.append(totals(entries))
    kept = len(difference_records(entries)) - len(difference_records(to_write(difference, overwrite=overwrite).entries))
    if kept:
        lines.append(f"Without --overwrite, {kept} of these would be left alone, for something else is stored.")
    out.show(difference_records(entries), *lines)
    if difference:
        raise typer.Exit(DIFFERENCES)


def _save(out: Output, source: str, difference: Difference, overwrite: bool, path: Path) -> None:
    """What would be written, into a file and on stdout."""
    from bluestar_store.seeding.load import to_write
    from bluestar_store.seeding.saved_plan import save_plan

    wanted = to_write(difference, overwrite=overwrite)
    try:
        save_plan(wanted, path)
    except OSError as error:
        raise BadUsage(f"--plan: {path} cannot be written: {error.strerror}") from None
    lines = [f"The plan to bring {source} into the store:", *difference_lines(wanted.entries)]
    left = len(difference_records(difference.entries)) - len(difference_records(wanted.entries))
    lines.append(totals(wanted.entries).partition(";")[0] + (f"; left alone {left} (see --overwrite)" if left else ""))
    lines.append(f"Saved: bluestar-store seed --apply {path} writes exactly this.")
    out.show(difference_records(wanted.entries), *lines)
    if wanted:
        raise typer.Exit(DIFFERENCES)


def _apply(store: Store, out: Output, path: Path) -> None:
    from bluestar_store.seeding.saved_plan import apply_plan

    with progress("Applying"):
        report = apply_plan(store, path)
    out.show(_report_record(str(path), report), _summary("Applied", str(path), report))


def _load(store: Store, out: Output, source: str, difference: Difference, overwrite: bool, yes: bool) -> None:
    from bluestar_store.seeding.load import settle

    if going := [entry for part in difference.parts if not part.wanted for entry in part.entries]:
        lines = [f"To be removed, for {source} does not have it:", *difference_lines(going)]
        ask(out, f"Remove {len(going)} and write the rest?", lines, yes=yes)
    with progress("Seeding", total=len(difference.entries)) as done:
        report = settle(store, difference, overwrite=overwrite, progress=done)
    out.show(_report_record(source, report), _summary("Seeded", source, report), *_left_alone(report))


def _summary(done: str, source: str, report: LoadReport) -> str:
    return (
        f"{done} {source}: added {len(report.added)}, overwritten {len(report.overwritten)}, "
        f"removed {len(report.removed)}, same {len(report.same)}, left alone {len(report.left_alone)}"
    )


def _left_alone(report: LoadReport) -> Iterator[str]:
    differing = [entry for entry in report.left_alone if entry.changes]
    if not differing:
        return
    yield "Left alone, for something else is stored (attribute: stored -> rule set; --overwrite takes the rule set's):"
    for entry in differing:
        yield f"  {entry.kind} {entry.key}{_LACKING.get(entry.action, '')}"
        yield from change_lines(entry.kind, entry.changes)


_LACKING = {"add": " (not stored)", "remove": " (not in the rule set)"}
"""Steps that only one of two pipelines has: a pipeline is left alone, or overwritten, as a whole."""


def _report_record(source: str, report: LoadReport) -> Record:
    return {
        "source": source,
        "added": entry_records(report.added),
        "overwritten": entry_records(report.overwritten),
        "removed": entry_records(report.removed),
        "same": entry_records(report.same),
        "left_alone": entry_records(report.left_alone),
    }
