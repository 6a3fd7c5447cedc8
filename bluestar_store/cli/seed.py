"""`bluestar-store seed`: load a rule set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.options import AsJson, session
from bluestar_store.cli.output import cell, progress
from bluestar_store.cli.records import Record, is_bank_number, plain

if TYPE_CHECKING:
    from bluestar_store.seeding import Entry, LoadReport


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
    as_json: AsJson = False,
) -> None:
    """Load a rule set: add what the tables lack.

    What is stored and differs is left alone and listed, unless --overwrite. A rule set with mistakes is refused as a
    whole, and every mistake told. Seeding again adds nothing twice.
    """
    with session(ctx, as_json) as (store, out):
        from bluestar_store import seeding

        rule_set = seeding.baseline() if folder is None else seeding.read(folder)
        with progress("Seeding", total=len(rule_set)) as done:
            report = seeding.load(store, rule_set, overwrite=overwrite, progress=done)
        source = "the baseline" if folder is None else str(folder)
        out.show(_report_record(source, report), _summary(source, report), *_left_alone(report))


def _summary(source: str, report: LoadReport) -> str:
    return (
        f"Seeded {source}: added {len(report.added)}, overwritten {len(report.overwritten)}, "
        f"same {len(report.same)}, left alone {len(report.left_alone)}"
    )


def _left_alone(report: LoadReport) -> Iterator[str]:
    differing = [entry for entry in report.left_alone if entry.changes]
    if not differing:
        return
    yield "Left alone, for something else is stored (attribute: stored -> rule set; --overwrite takes the rule set's):"
    for entry in differing:
        yield f"  {entry.kind} {entry.key}{_LACKING.get(entry.action, '')}"
        for change in _change_records(entry):
            yield f"    {change['attribute']}: {_shown(change['stored'])} -> {_shown(change['rule_set'])}"


_LACKING = {"add": " (not stored)", "remove": " (not in the rule set)"}
"""Steps that only one of two pipelines has: a pipeline is left alone, or overwritten, as a whole."""


def _shown(value: object) -> str:
    return "(none)" if value is None else cell(value)


def _report_record(source: str, report: LoadReport) -> Record:
    return {
        "source": source,
        "added": _entry_records(report.added),
        "overwritten": _entry_records(report.overwritten),
        "same": _entry_records(report.same),
        "left_alone": _entry_records(report.left_alone),
    }


def _entry_records(entries: Iterable[Entry]) -> list[Record]:
    return [
        {
            "kind": entry.kind,
            "key": entry.key,
            "level": entry.level,
            "action": str(entry.action),
            "changes": _change_records(entry),
        }
        for entry in entries
    ]


def _change_records(entry: Entry) -> list[Record]:
    return [
        {
            "attribute": change.attribute,
            "stored": plain(change.old, secret=is_bank_number(change.attribute)),
            "rule_set": plain(change.new, secret=is_bank_number(change.attribute)),
        }
        for change in entry.changes
    ]
