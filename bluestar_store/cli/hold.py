"""`bluestar-store hold`: what keeps a plan's batches from running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.errors import BadUsage, escaped, tell
from bluestar_store.cli.options import AsJson, Plan, group, next_command, opened_store
from bluestar_store.cli.output import Grid
from bluestar_store.cli.records import plain, record, records
from bluestar_store.keys import check_plan

if TYPE_CHECKING:
    from bluestar_store.store import Store

SHOWN = 10
"""Running batches that are named when a hold is placed."""

hold = group("Place, release and list the holds of plans.")


@hold.command("list")
def list_holds(
    ctx: typer.Context,
    plan: Annotated[
        str | None, typer.Argument(metavar="PLAN", help="All holds of this plan; without it: every open hold.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The holds that keep batches from running, oldest first."""
    with opened_store(ctx, as_json) as (store, out):
        found = records(store.holds.all_open() if plan is None else store.holds.for_plan(plan))
        columns = {"Hold": "hold_id", "Reason": "reason", "Batch": "batch_id", "Created": "created", "By": "created_by"}
        if plan is None:
            out.show(found, Grid.of("Open holds", found, {"Plan": "plan_id"} | columns, whole="Hold"))
        else:
            released = {"Released": "released", "Released by": "released_by"}
            out.show(found, Grid.of(f"Holds of {plan}", found, columns | released, whole="Hold"))


@hold.command("place")
def place(
    ctx: typer.Context,
    plan: Plan,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why the plan's batches must wait.", show_default=False)
    ],
    hold_id: Annotated[
        str | None,
        typer.Option("--id", metavar="HOLD", help="Its identifier; without it, a new one.", show_default=False),
    ] = None,
    batch_id: Annotated[
        str | None,
        typer.Option("--batch", metavar="BATCH", help="The batch that it is about.", show_default=False),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Place a hold.

    No batch of the plan begins a step, or is completed, until it is released. Those that are running are named. Asks
    first. With --id, doing it again places nothing twice and opens nothing again.
    """
    with opened_store(ctx, as_json) as (store, out):
        check_plan(plan)
        if not reason.strip():
            raise BadUsage("--reason is empty: say why the plan's batches must wait")
        if hold_id is not None:
            from bluestar_store.errors import HoldNotFoundError

            try:
                there = store.holds.get(plan, hold_id)
            except HoldNotFoundError:
                pass
            else:
                state = "open" if there.is_open else "released, so it holds nothing: another one needs another --id"
                stays = "" if there.reason == reason else f" Its reason stays: {plain(there.reason) or '(none)'}"
                out.show(record(there), f"Nothing to do: hold {hold_id} of {plan} is there already, {state}.{stays}")
                if there.is_open:
                    _tell_what_runs(store, plan)
                return
        about = f" (batch {batch_id})" if batch_id else ""
        ask(out, "Place this hold?", [f"Hold on {plan}: {plain(reason)}{about}"], yes=yes)
        placed = store.holds.place(plan, reason, hold_id=hold_id, batch_id=batch_id)
        command = next_command(ctx, "hold", "release", plan, placed.hold_id)
        out.show(record(placed), f"Placed: {command} releases it.")
        _tell_what_runs(store, plan)
        _tell_of_another_name(store, plan)


@hold.command("release")
def release(
    ctx: typer.Context,
    plan: Plan,
    hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's identifier.", show_default=False)],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Release a hold, which stays as a record.

    Shows it and asks. One that is released already stays as it is.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.errors import ItemDecodeError

        try:
            found = store.holds.get(plan, hold_id)
        except ItemDecodeError as error:
            about = f"its {error.attribute} cannot be read, and will be taken away"
        else:
            if not found.is_open:
                out.show(record(found), f"Nothing to do: hold {hold_id} of {plan} is released already.")
                return
            about = plain(found.reason) or "(no reason given)"
        ask(out, "Release this hold?", [f"Hold on {plan}: {about}"], yes=yes)
        released = store.holds.release(plan, hold_id)
        out.show(record(released), f"Released. {_what_is_left(store, plan)}")


def _what_is_left(store: Store, plan: str) -> str:
    from bluestar_store.errors import BlueStarError

    try:
        left = len(store.holds.open(plan))
    except BlueStarError as error:  # it is released
        return f"Whether {plan} has other open holds cannot be told: {error}"
    return f"{plan} has {left} other open hold{'s' if left != 1 else ''}." if left else f"{plan} has no open hold."


def _tell_what_runs(store: Store, plan: str) -> None:
    """A line on stderr that names the plan's running batches, which begin no other step from now on."""
    from bluestar_store.errors import BlueStarError
    from bluestar_store.models.batches import BatchStatus

    try:
        found = [batch for batch in store.batches.for_plan(plan) if batch.status is BatchStatus.RUNNING]
    except BlueStarError as error:  # the hold is placed; who may place one need not be allowed to read the batches
        tell(f"note: which batches are running cannot be told: {error}")
        return
    steps = [f"{escaped(one.batch_id)} (step {one.current_step or 'none yet'})" for one in found]
    if steps:
        more = f" and {len(steps) - SHOWN} more" if len(steps) > SHOWN else ""
        tell(f"note: running now: {', '.join(steps[:SHOWN])}{more}; they begin no other step until it is released")


def _tell_of_another_name(store: Store, plan: str) -> None:
    """A line on stderr when the store has a plan of nearly the same name, and none of this one."""
    from difflib import get_close_matches

    from bluestar_store.errors import BlueStarError

    try:
        plans = {known.casefold(): known for known in store.plans()}
    except BlueStarError:  # the hold is placed; who may place one need not be allowed to read the rules
        return
    near = get_close_matches(plan.casefold(), plans, n=1)
    if near and plan not in plans.values():
        tell(f"note: {escaped(plan)} has no rules of its own; if {escaped(plans[near[0]])} is meant, release this hold")
