"""`bluestar-store create`: make the tables, and say what is not as it should be."""

from __future__ import annotations

from typing import Annotated

import typer

from bluestar_store.cli.errors import DIFFERENCES, tell
from bluestar_store.cli.options import AsJson, opened_store
from bluestar_store.cli.output import Grid, progress
from bluestar_store.cli.tables import faults, table_records


def create(
    ctx: typer.Context,
    upgrade: Annotated[
        bool,
        typer.Option(
            "--upgrade", help="Add missing indexes, fill them, and mark the tables as indexed: lists then scan none."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the tables that do not exist.

    Waits until they are active. Tables that exist are left as they are; what is not as it should be about them is
    told on stderr, with the command that mends it, and the exit code is 3.
    """
    with opened_store(ctx, as_json) as (store, out):
        with progress("Waiting for the tables"):
            made = store.create_tables(upgrade=upgrade)
        tables = table_records(store)
        for table in tables:
            table["created"] = table["name"] in made
        rows = [[table["name"], "created" if table["created"] else "exists"] for table in tables]
        out.show(
            {"location": store.engine.location, "tables": tables},
            Grid(f"Tables in {store.engine.location}", ("Table", "State"), rows),
        )
        found = [fault for table in tables for fault in faults(table)]
        for fault in found:
            tell(fault)
        if found:
            raise typer.Exit(DIFFERENCES)
