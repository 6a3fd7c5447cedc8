"""`bluestar-store doctor`: what is not as it should be, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.errors import DIFFERENCES
from bluestar_store.cli.options import AsJson, opened_store
from bluestar_store.cli.output import Grid, View, progress
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from bluestar_store.doctor import Finding


def doctor(
    ctx: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Look at the tables only, read no items.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Try no write calls: for credentials that may only read.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what is not as it should be, and say what to do.

    The engine, Redis, permissions, tables, indexes and every item are looked at; nothing is changed. Exit code 3
    when there is an error or a warning, 0 when there is none; what is marked info needs nothing.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.doctor import examine, is_healthy

        with progress("Examining") as done:
            count = 0

            def tell(items: int) -> None:
                nonlocal count
                count += items
                done(items)

            findings = examine(store, writes=not read_only, read_items=not quick, progress=tell)
        healthy = is_healthy(findings)
        data = {
            "location": store.engine.location,
            "healthy": healthy,
            "items": None if quick else count,
            "findings": [_record(finding) for finding in findings],
        }
        looked_at = "the tables" if quick else f"{count} item{'s' if count != 1 else ''}"
        head = f"Examined {store.engine.location}: {looked_at}"
        out.show(data, head, *_views(findings), _summary(findings, healthy))
        if not healthy:
            raise typer.Exit(DIFFERENCES)


def _record(finding: Finding) -> Record:
    return {
        "severity": str(finding.severity),
        "check": finding.check,
        "table": finding.table,
        "pk": finding.pk,
        "sk": finding.sk,
        "what": finding.what,
        "count": finding.count,
        "mend": finding.mend,
    }


def _views(findings: Sequence[Finding]) -> Iterator[View]:
    """A block for each check: what was found, line by line, and under what it has in common what to do."""
    for (severity, check), found in groupby(findings, key=lambda finding: (finding.severity, finding.check)):
        rows: list[list[str]] = []
        for mend, same in groupby(sorted(found, key=_kept_last), key=lambda finding: finding.mend):
            rows += [["*", _line(finding)] for finding in same]
            rows.append(["do", mend])
        yield Grid(f"{severity.upper()}: {check}", (), rows)


def _kept_last(finding: Finding) -> tuple[bool, str]:
    """Findings that are mended alike beside each other, the count of those not listed behind them."""
    from bluestar_store.doctor.findings import MEND_AGAIN

    return finding.mend == MEND_AGAIN, finding.mend


def _line(finding: Finding) -> str:
    place = " ".join(filter(None, (finding.table, finding.pk, finding.sk)))
    count = f"{finding.count} " if finding.count > 1 else ""
    return f"{place}: {count}{finding.what}" if place else f"{count}{finding.what}"


def _summary(findings: Sequence[Finding], healthy: bool) -> str:
    from bluestar_store.doctor import Severity
    from bluestar_store.doctor.findings import MEND_AGAIN

    counts = Counter[Severity]()
    for finding in findings:  # a line each, except those that are not listed
        counts[finding.severity] += finding.count if finding.mend == MEND_AGAIN else 1
    found = ", ".join(
        f"{count} {severity}{'s' if count > 1 and severity is not Severity.INFO else ''}"
        for severity in Severity
        if (count := counts[severity])
    )
    return f"Healthy{f' ({found})' if found else ''}" if healthy else f"Found: {found}"
