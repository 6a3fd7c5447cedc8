"""`bluestar-store inspect`: batches, and the snapshot that a batch would run under."""

from __future__ import annotations

from typing import Annotated

import typer

from bluestar_store.cli.batch import show_batch, show_batches
from bluestar_store.cli.options import AsJson, Frequency, Long, Plan, session
from bluestar_store.cli.output import Grid
from bluestar_store.cli.records import record, records


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
    with session(ctx, as_json) as (store, out):
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

    With --long the digest of each item too; with --json everything in it.
    """
    with session(ctx, as_json) as (store, out):
        found = store.plan_snapshot(plan, freq, year)
        data = {
            "plan_id": found.plan_id,
            "pay_freq": found.pay_freq,
            "year": found.year,
            "digest": found.digest,
            "steps": records(found.steps),
            "client_config": record(found.client_config) if found.client_config else None,
            "ach_config": record(found.ach_config) if found.ach_config else None,
            "calculation_rules": {name: record(rule) for name, rule in found.calculation_rules.items()},
            "validation_rules": {name: records(rules) for name, rules in found.validation_rules.items()},
            "limits": record(found.limits),
            "item_digests": dict(found.item_digests),
        }
        parts = [
            ("pipeline steps", found.steps),
            ("client configuration", filter(None, [found.client_config])),
            ("ACH configuration", filter(None, [found.ach_config])),
            ("calculation rules", found.calculation_rules.values()),
            *((f"validation {name}", rules) for name, rules in found.validation_rules.items()),
        ]
        rows = []
        for name, entities in parts:
            scopes = [str(entity.scope) for entity in entities]
            counts = {scope: scopes.count(scope) for scope in sorted(set(scopes))}
            rows.append([name, len(scopes), counts])
        rows.append(["limits", 1, {"year": found.limits.year}])
        views = [Grid(f"Snapshot of {plan}, {freq}, {year}", ("Part", "Items", "From"), rows)]
        if long:
            views.append(Grid("", ("Item", "Digest"), [list(pair) for pair in found.item_digests.items()]))
        out.show(data, *views, f"digest {found.digest}")
