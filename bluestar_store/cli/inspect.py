"""`bluestar-store inspect`: the tables, and what there is in them. Its other commands are in the modules beside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import typer

from bluestar_store.cli import inspect_plans, inspect_rules, inspect_runs
from bluestar_store.cli.hold import list_holds
from bluestar_store.cli.options import AsJson, opened_store
from bluestar_store.cli.output import Grid, Output
from bluestar_store.cli.records import Record
from bluestar_store.cli.tables import faults, table_records

app = typer.Typer(rich_markup_mode=None)
app.command("pipeline")(inspect_rules.pipeline)
app.command("rule")(inspect_rules.rule)
app.command("rules")(inspect_rules.rules)
app.command("validation")(inspect_rules.validation)
app.command("limits")(inspect_rules.limits)
app.command("config")(inspect_rules.config)
app.command("schema")(inspect_rules.schema)
app.command("plan")(inspect_plans.plan)
app.command("overrides")(inspect_plans.overrides)
app.command("diff")(inspect_plans.diff)
app.command("hold")(list_holds)
app.command("batch")(inspect_runs.batch)
app.command("snapshot")(inspect_runs.snapshot)


@app.callback(invoke_without_command=True)
def overview(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Look into the store.

    Without a command: where it is, its tables, their items and indexes.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = replace(ctx.obj, as_json=as_json)
        return
    with opened_store(ctx, as_json) as (store, out):
        tables = table_records(store)
        settings = store.settings
        data = {
            "location": store.engine.location,
            "mode": str(settings.persistence_mode),
            "layout": str(settings.table_layout),
            "tables": tables,
        }
        rows = [[table["name"], table["items"], table["indexes"], _state(table)] for table in tables]
        title = f"{store.engine.location} (mode {settings.persistence_mode}, layout {settings.table_layout})"
        notes = [fault for table in tables for fault in faults(table)]
        if not all(table["exists"] for table in tables):
            notes.append("bluestar-store create makes the tables that are missing")
        if settings.persistence_mode == "dynamo":
            notes.append("AWS updates the number of items every six hours or so")
        out.show(data, Grid(title, ("Table", "Items", "Indexes", "State"), rows), *notes)


def _state(table: Record) -> str:
    if not table["exists"]:
        return "missing"
    if table["state"] != "ACTIVE":
        return str(table["state"])
    return "see below" if table["missing_indexes"] or table["drift"] else "ok"


@app.command("plans")
def plans(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Every plan that has something of its own, one a line."""
    with opened_store(ctx, as_json) as (store, out):
        _show_names(out, store.plans())


@app.command("categories")
def categories(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Every category of validation rules, one a line."""
    with opened_store(ctx, as_json) as (store, out):
        _show_names(out, store.categories())


@app.command("vendors")
def vendors(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Every vendor that has a schema, one a line."""
    with opened_store(ctx, as_json) as (store, out):
        _show_names(out, store.vendors())


def _show_names(out: Output, names: Iterable[str]) -> None:
    out.show(list(names), *names)
