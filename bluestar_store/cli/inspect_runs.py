"""`bluestar-store inspect`: holds, batches, and the snapshot that a batch would run under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.options import AsJson, Frequency, Long, Plan, session
from bluestar_store.cli.output import Grid, Output
from bluestar_store.cli.records import record, records

if TYPE_CHECKING:
    from bluestar_store.store import Store


def hold(
    ctx: typer.Context,
    plan: Annotated[
        str | None, typer.Argument(metavar="PLAN", help="All holds of this plan; without it: every open hold.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The holds that keep batches from running, oldest first."""
    with session(ctx, as_json) as (store, out):
        found = records(store.holds.all_open() if plan is None else store.holds.for_plan(plan))
        columns = {"Hold": "hold_id", "Reason": "reason", "Batch": "batch_id", "Created": "created", "By": "created_by"}
        if plan is None:
            out.show(found, Grid.of("Open holds", found, {"Plan": "plan_id"} | columns))
        else:
            released = {"Released": "released", "Released by": "released_by"}
            out.show(found, Grid.of(f"Holds of {plan}", found, columns | released))


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
    """A batch and what its steps did, or a plan's batches."""
    if (batch_id is None) == (plan is None):
        raise typer.BadParameter("give either a BATCH or --plan PLAN")
    with session(ctx, as_json) as (store, out):
        if batch_id is not None:
            _show_batch(store, out, batch_id)
        elif plan is not None:
            found = records(store.batches.for_plan(plan))
            columns = {"Batch": "batch_id", "Frequency": "pay_freq", "Year": "year", "Status": "status"}
            columns |= {"Step": "current_step", "Created": "created", "Updated": "updated"}
            out.show(found, Grid.of(f"Batches of {plan}", found, columns))


def _show_batch(store: Store, out: Output, batch_id: str) -> None:
    state = record(store.batches.get(batch_id))
    results = records(store.results.for_batch(batch_id))
    claims = records(store.claims.for_batch(batch_id))
    times = {"Claimed": "claimed", "Expires": "expires"}
    out.show(
        state | {"results": results, "claims": claims},
        Grid.card(f"Batch {batch_id}", state),
        Grid.of("Results", results, {"Step": "step", "Saved": "saved", "Worker": "worker", "Result": "result"}),
        Grid.of("Claims", claims, {"Step": "step", "Worker": "worker", "Fence": "fence"} | times),
    )


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
