"""`bluestar-store seed`: compare a rule set with the store, load it, or save the difference and apply it later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.asking import Yes, ask, is_terminal
from bluestar_store.cli.differences import change_lines, difference_lines, difference_records, entry_records, totals
from bluestar_store.cli.editing import doubt_lines, refuse_under_four_eyes
from bluestar_store.cli.errors import DIFFERENCES, BadUsage, tell
from bluestar_store.cli.options import AsJson, opened_store
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
            help="Write a saved plan, exactly, unless one of its items has changed since; shows it and asks.",
        ),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST",
            show_default=False,
            help="With --apply: what --plan printed of what was reviewed. Refuses any other plan, and does not ask.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a rule set: add what the tables lack.

    What is stored and differs is left alone and listed, unless --overwrite, which shows the difference and asks. A rule
    set with mistakes is refused as a whole, and every mistake told. Seeding again adds nothing twice.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store import seeding

        if apply is not None:
            given = {"--from": folder, "--overwrite": overwrite, "--prune": prune, "--dry-run": dry_run, "--plan": plan}
            if wrong := [name for name, value in given.items() if value]:
                raise BadUsage(f"--apply writes what its plan says and takes no {', '.join(wrong)}")
            _apply(store, out, apply, digest, yes)
            return
        if digest is not None:
            raise BadUsage("--digest goes with --apply")
        if dry_run and plan is not None:
            raise BadUsage("give either --dry-run or --plan: both only show the difference, --plan saves it too")
        if not (dry_run or plan is not None) and (folder is not None or overwrite or prune):
            refuse_under_four_eyes(store, fill=True)
        kinds = store.tables.kinds
        rule_set = (
            seeding.baseline(kinds) if folder is None else seeding.read(folder, kinds, checks=store.settings.checks)
        )
        source = "the baseline" if folder is None else str(folder)
        with progress("Comparing"):
            difference = seeding.compare(store, rule_set, prune=prune)
        if dry_run:
            _show(store, out, source, difference, overwrite)
        elif plan is not None:
            _save(store, out, source, difference, overwrite, plan)
        else:
            _load(store, out, source, difference, overwrite, yes)


def _show(store: Store, out: Output, source: str, difference: Difference, overwrite: bool) -> None:
    """The whole difference, and what of it would be left alone."""
    from bluestar_store.rulesets.loading import to_write

    entries = difference.entries
    lines = [f"What {source} would change in the store:" if difference else f"The store has all of {source}."]
    lines += difference_lines(store, entries, whole=True)
    doubted = list(doubt_lines(store, difference.parts))
    lines += [*doubted, totals(entries)]
    for line in doubted if out.as_json else ():
        tell(f"warning: {line}")
    written = to_write(difference, overwrite=overwrite).entries
    kept = len(difference_records(store, entries)) - len(difference_records(store, written))
    if kept:
        lines.append(f"Without --overwrite, {kept} of these would be left alone, for something else is stored.")
    out.show(difference_records(store, entries), *lines)
    if difference:
        raise typer.Exit(DIFFERENCES)


def _save(store: Store, out: Output, source: str, difference: Difference, overwrite: bool, path: Path) -> None:
    """What would be written, into a file and on stdout."""
    from bluestar_store.rulesets.loading import to_write
    from bluestar_store.rulesets.saved_plan import save_plan

    wanted = to_write(difference, overwrite=overwrite)
    try:
        digest = save_plan(store, wanted, path)
    except OSError as error:
        raise BadUsage(f"--plan: {path} cannot be written: {error.strerror}") from None
    lines = [f"The plan to bring {source} into the store:", *difference_lines(store, wanted.entries, whole=True)]
    lines += doubt_lines(store, wanted.parts)
    left = len(difference_records(store, difference.entries)) - len(difference_records(store, wanted.entries))
    lines.append(totals(wanted.entries).partition(";")[0] + (f"; left alone {left} (see --overwrite)" if left else ""))
    lines += [f"Digest: {digest}", f"Saved: bluestar-store seed --apply {path} --digest DIGEST writes exactly this."]
    out.show(difference_records(store, wanted.entries), *lines)
    if out.as_json:
        tell(f"digest: {digest}")
    if wanted:
        raise typer.Exit(DIFFERENCES)


def _apply(store: Store, out: Output, path: Path, digest: str | None, yes: bool) -> None:
    """A saved plan, written at once where it is known what was reviewed, else shown again."""
    from bluestar_store.rulesets.saved_plan import open_plan, write_opened

    with progress("Comparing"):
        plan = open_plan(store, path, digest=digest)
    if digest is None:
        by = f", proposed by {plan.proposed_by}" if plan.proposed_by else ""
        entries = plan.difference.entries
        lines = [f"The plan {path}, made {plan.proposed:%Y-%m-%d %H:%M} UTC{by}:"]
        lines += [*difference_lines(store, entries, whole=True), *doubt_lines(store, plan.difference.parts)]
        lines += [totals(entries).partition(";")[0], f"Digest: {plan.digest}"]
        ask(out, "Apply it?", lines, yes=yes, answers="--digest DIGEST (as --plan printed it) or --yes")
    with progress("Applying"):
        report = write_opened(store, plan)
    out.show(_report_record(store, str(path), report), _summary("Applied", str(path), report))


def _load(store: Store, out: Output, source: str, difference: Difference, overwrite: bool, yes: bool) -> None:
    from bluestar_store.checks.meaning import Level
    from bluestar_store.rulesets.loading import ATTEMPTS, apply_difference, to_write

    writes = to_write(difference, overwrite=overwrite)
    if writes:
        refuse_under_four_eyes(store, fill=True)
    doubted = list(doubt_lines(store, writes.parts, only=(Level.DOUBTFUL,)))
    changes = any(part.stored for part in writes.parts)
    if changes or (doubted and is_terminal()):
        lines = [f"What {source} changes in the store:", *difference_lines(store, writes.entries, whole=True), *doubted]
        lines.append(totals(writes.entries).partition(";")[0])
        ask(out, "Write this?", lines, yes=yes)
    else:
        for line in doubted:
            tell(f"warning: {line}")
    with progress("Seeding", total=len(difference.entries)) as done:
        # What was agreed to is what was shown: nothing is looked at again and written over all the same.
        attempts = ATTEMPTS if yes or not changes else 1
        report = apply_difference(store, difference, overwrite=overwrite, progress=done, attempts=attempts)
    out.show(_report_record(store, source, report), _summary("Seeded", source, report), *_left_alone(store, report))


def _summary(done: str, source: str, report: LoadReport) -> str:
    return (
        f"{done} {source}: added {len(report.added)}, overwritten {len(report.overwritten)}, "
        f"removed {len(report.removed)}, same {len(report.same)}, left alone {len(report.left_alone)}"
    )


def _left_alone(store: Store, report: LoadReport) -> Iterator[str]:
    differing = [entry for entry in report.left_alone if entry.changes]
    if not differing:
        return
    yield "Left alone, for something else is stored (attribute: stored -> rule set; --overwrite takes the rule set's):"
    for entry in differing:
        yield f"  {entry.kind} {entry.key}{_LACKING.get(entry.action, '')}"
        yield from change_lines(store, entry.kind, entry.changes)


_LACKING = {"add": " (not stored)", "remove": " (not in the rule set)"}
"""Steps that only one of two pipelines has: a pipeline is left alone, or overwritten, as a whole."""


def _report_record(store: Store, source: str, report: LoadReport) -> Record:
    return {
        "source": source,
        "added": entry_records(store, report.added),
        "overwritten": entry_records(store, report.overwritten),
        "removed": entry_records(store, report.removed),
        "same": entry_records(store, report.same),
        "left_alone": entry_records(store, report.left_alone),
    }
