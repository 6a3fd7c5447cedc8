"""`bluestar-store batch`: the batches of a plan, and all that is known of one."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli import watching
from bluestar_store.cli.audit import ENTRY_COLUMNS
from bluestar_store.cli.errors import DIFFERENCES, tell
from bluestar_store.cli.options import AsJson, Plan, group, opened_store
from bluestar_store.cli.output import Grid, Output, View
from bluestar_store.cli.records import Record, plain, record, records

if TYPE_CHECKING:
    from bluestar_store.repositories.batches import BatchHistory, RulesVerification
    from bluestar_store.store import Store

batch = group("Look into batches, and watch one move.")

BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="A batch's identifier.", show_default=False)]


@batch.command("list")
def list_batches(
    ctx: typer.Context,
    plan: Plan,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="COUNT", min=1, help="Only so many, the newest; else all.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The batches of a plan, newest first."""
    with opened_store(ctx, as_json) as (store, out):
        show_batches(store, out, plan, limit)


@batch.command("show")
def show(
    ctx: typer.Context,
    batch_id: BatchId,
    rules: Annotated[
        bool,
        typer.Option("--rules", help="Also compare the plan's rules with those that it was started under."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """All that is known of a batch: state, results, claims, audit trail.

    With --rules, the exit code is 3 when the rules are not any more what the batch was started under.
    """
    with opened_store(ctx, as_json) as (store, out):
        show_batch(store, out, batch_id, rules=rules)


@batch.command("watch")
def watch(
    ctx: typer.Context,
    batch_id: BatchId,
    interval_seconds: Annotated[
        float, typer.Option("--interval-seconds", metavar="SECONDS", min=0.1, help="Between two looks.")
    ] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Watch a batch move through its steps, until it is over.

    Redraws at a terminal; otherwise prints a line for each change. With --json, a line of JSON for each change.
    """
    with opened_store(ctx, as_json) as (store, out):
        steps = watching.pipeline_of(store, store.batches.get(batch_id))
        looks = watching.follow(
            partial(watching.look, store, batch_id, steps), lambda: watching.pause(interval_seconds)
        )
        if out.as_json or not sys.stdout.isatty():
            watching.tell_changes(out, looks)
        else:
            watching.redraw(out, looks)


def show_batches(store: Store, out: Output, plan: str, limit: int | None = None) -> None:
    """A plan's batches; `limit` at most, and on stderr whether there are more."""
    page = store.batches.for_plan(plan, limit=limit)
    found, free = records(page), records(page.free_states)
    columns = {"Batch": "batch_id", "Frequency": "pay_freq", "Year": "year", "Status": "status"}
    columns |= {"Step": "current_step", "Created": "created", "Updated": "updated"}
    views = [Grid.of(f"Batches of {plan}", found, columns, whole="Batch")]
    if free:
        views.append(
            Grid.of(
                "Batches that other programs keep in their own way",
                free,
                {"Batch": "batch_id", "State": "state"},
                whole="Batch",
            )
        )
    out.show(found + free, *views)
    if page.cursor is not None:
        tell(f"the newest {len(page)} only: there are older ones")


def show_batch(store: Store, out: Output, batch_id: str, *, rules: bool = False) -> None:
    """One batch; with `rules`, compared with its plan's of now."""
    history = store.batches.history(batch_id)
    data, views = _history(history)
    verification = store.batches.verify_rules(history.state) if rules else None
    if verification is not None:
        data["rules"] = _verification_record(verification)
        views.append(_verification_view(verification))
    out.show(data, *views)
    if verification is not None and not verification.unchanged and not verification.cannot_tell:
        raise typer.Exit(DIFFERENCES)


def _history(history: BatchHistory) -> tuple[Record, list[View]]:
    state = record(history.state)
    results, claims, entries = records(history.results), records(history.claims), records(history.audit)
    free_results = records(history.free_results)
    result_columns = {"Step": "step", "Saved": "saved", "Result": "result"}
    times = {"Claimed": "claimed", "Expires": "expires"}
    views: list[View] = [
        Grid.card(f"Batch {history.state.batch_id}", state),
        Grid.of("Results", results, {"Step": "step", "Worker": "worker", "Saved": "saved", "Result": "result"}),
        Grid.of("Claims", claims, {"Step": "step", "Worker": "worker", "Fence": "fence"} | times),
        Grid.of("Audit trail", entries, ENTRY_COLUMNS),
    ]
    if history.free_state is not None:
        kept = plain(history.free_state.state or {})
        views.append(Grid("State that an agent of the drop-in saved", (), [list(pair) for pair in kept.items()]))
    if free_results:
        views.append(
            Grid.of("Results by the names of steps, of the drop-in and of old programs", free_results, result_columns)
        )
    data = state | {
        "results": results,
        "claims": claims,
        "audit": entries,
        "free_state": record(history.free_state) if history.free_state else None,
        "free_results": free_results,
    }
    return data, views


def _verification_record(found: RulesVerification) -> Record:
    lists = {name: list(getattr(found, name)) for name in ("changed", "came", "went", "unknown")}
    return {
        "unchanged": found.unchanged,
        "cannot_tell": found.cannot_tell,
        "started_under": found.started_under,
        "current": found.current,
        **lists,
    }


def _verification_view(found: RulesVerification) -> View:
    if found.unchanged:
        return f"The rules are those that it was started under ({found.current[:12]})."
    if found.started_under is None:
        return "It does not say which rules it was started under: another program started it."
    rows = [[what, name] for what in ("changed", "came", "went", "unknown") for name in getattr(found, what)]
    if found.cannot_tell:
        title = "Whether the rules are those that it was started under cannot be told: a key is missing or was dropped"
        return Grid(title, ("What", "Item"), rows)
    return Grid("The rules are not those that it was started under", ("What", "Item"), rows)
