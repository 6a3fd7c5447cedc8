"""`pipeline`: replace a pipeline by the steps in a file, or remove it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.differences import difference_lines, difference_records
from bluestar_store.cli.editing import refuse_under_four_eyes, write
from bluestar_store.cli.options import AsJson, Frequency, Plan, group, opened_store

pipeline = group("Change one pipeline, as a whole.")


@pipeline.command("replace")
def replace(
    ctx: typer.Context,
    plan: Plan,
    freq: Frequency,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help='JSON like processing-pipeline.json: {"steps": [...]}; plan_id and pay_freq may be left out.',
        ),
    ],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make the steps in a file the pipeline; make it if need be.

    Shows the difference and asks. All in one transaction. PLAN may be DEFAULT.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.rulesets import editing

        write(
            store,
            out,
            editing.replaced_pipeline(store, plan, freq, editing.read_steps(file, plan, freq, store.settings.checks)),
            yes=yes,
        )


@pipeline.command("remove")
def remove(ctx: typer.Context, plan: Plan, freq: Frequency, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a pipeline: the plan then has DEFAULT's.

    Shows its steps and asks. All in one transaction. PLAN may be DEFAULT. Also mends one whose steps another program
    deleted.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.protocols import ABSENT
        from bluestar_store.rulesets import editing

        refuse_under_four_eyes(store)
        if lost := editing.lost_pipeline(store, plan, freq):
            lines = [
                *difference_lines(store, [lost]),
                "Its steps are gone already: another program deleted them.",
            ]
            ask(out, "Delete this?", lines, yes=yes)
            store.pipelines.remove(plan, freq, expected=ABSENT)
            out.show(difference_records(store, [lost]), "Deleted.")
        else:
            write(store, out, editing.removed_pipeline(store, plan, freq), yes=yes)
