"""`bluestar-store inspect`: batches, and the snapshot that a batch would run under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluestar_store.cli.batch import show_batch, show_batches
from bluestar_store.cli.errors import DIFFERENCES
from bluestar_store.cli.options import AsJson, Frequency, Long, Plan, opened_store
from bluestar_store.cli.output import Grid
from bluestar_store.cli.records import record, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluestar_store.repositories.snapshot import PlanContents, PlanSnapshot, UnreadableItem
    from bluestar_store.store import Store


def batch(
    ctx: typer.Context,
    batch_id: Annotated[
        str | None, typer.Argument(metavar="BATCH", help="One batch, with its results and claims.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="PLAN", help="Instead: the batches of a plan.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A batch and what its steps did, or a plan's batches.

    The same as batch show and batch list.
    """
    if (batch_id is None) == (plan is None):
        raise typer.BadParameter("give either a BATCH or --plan PLAN")
    with opened_store(ctx, as_json) as (store, out):
        if batch_id is not None:
            show_batch(store, out, batch_id)
        elif plan is not None:
            show_batches(store, out, plan)


def snapshot(
    ctx: typer.Context,
    plan: Plan,
    freq: Frequency,
    year: Annotated[int, typer.Argument(metavar="YEAR", min=0, help="The year of the limits.", show_default=False)],
    long: Long = False,
    as_json: AsJson = False,
) -> None:
    """What a batch of a plan would run under, and its digest.

    With --long the digest of each item too; with --json everything in it. Where it has a bank account whose key was
    dropped: what is left, without the digest, and the exit code is 3.
    """
    with opened_store(ctx, as_json) as (store, out):
        found, lost = _snapshot(store, plan, freq, year)
        others = {kind if isinstance(kind, str) else kind.name: of_kind for kind, of_kind in found.others.items()}
        data: dict[str, Any] = {
            "plan_id": found.plan_id,
            "pay_freq": found.pay_freq,
            "year": found.year,
            "digest": None if lost else found.digest,
            "steps": records(found.steps),
            "client_config": record(found.client_config) if found.client_config else None,
            "ach_config": record(found.ach_config) if found.ach_config else None,
            "calculation_rules": {name: record(rule) for name, rule in found.calculation_rules.items()},
            "validation_rules": {name: records(rules) for name, rules in found.validation_rules.items()},
            "limits": record(found.limits) if found.limits else None,
            "others": {name: records(of_kind) for name, of_kind in others.items()},
            "item_digests": dict(found.item_digests),
        }
        if lost:
            data["unreadable"] = {name: one.reason for name, one in lost.items()}
        parts = [
            ("pipeline steps", found.steps),
            ("client configuration", filter(None, [found.client_config])),
            ("ACH configuration", filter(None, [found.ach_config])),
            ("calculation rules", found.calculation_rules.values()),
            *((f"validation {name}", rules) for name, rules in found.validation_rules.items()),
            *others.items(),
        ]
        rows = []
        for name, entities in parts:
            scopes = [str(getattr(entity, "scope", "GLOBAL")) for entity in entities]  # GLOBAL: of what no plan has
            counts = {scope: scopes.count(scope) for scope in sorted(set(scopes))}
            rows.append([name, len(scopes), counts])
        rows.append(["limits", 1, {"year": found.limits.year}] if found.limits else ["limits", 0, {}])
        views = [Grid(f"Snapshot of {plan}, {freq}, {year}", ("Part", "Items", "From"), rows)]
        if long:
            views.append(Grid("", ("Item", "Digest"), [list(pair) for pair in found.item_digests.items()]))
        if not lost:
            out.show(data, *views, f"digest {found.digest}")
            return
        notes = [f"{name}: attribute {one.attribute} {one.reason}." for name, one in lost.items()]
        out.show(
            data, *notes, "No batch can run under this: write it anew, or delete it (`config`). What is left:", *views
        )
        raise typer.Exit(DIFFERENCES)


def _snapshot(
    store: Store, plan: str, freq: str, year: int
) -> tuple[PlanSnapshot | PlanContents, Mapping[str, UnreadableItem]]:
    """What a batch would run under; where a key was dropped, what is left, and the items that nobody can read."""
    from bluestar_store.errors import EncryptedValueError

    try:
        return store.plan_snapshot(plan, freq, year), {}
    except EncryptedValueError as error:
        if not error.is_lost:
            raise
        contents = store.plan_contents(plan, freq, year)
        return contents, contents.unreadable
