"""`bluestar-store encrypt`, and `bluestar-store key`: what is encrypted at rest, and the keys of plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.errors import DIFFERENCES, escaped, tell
from bluestar_store.cli.options import AsJson, Plan, group, opened_store
from bluestar_store.cli.output import Grid, cell, progress

if TYPE_CHECKING:
    from bluestar_store.models.plan_keys import PlanKey

key = group("List and drop the keys that plans' data is encrypted with.")

COLUMNS = {"Key": "key_id", "Created": "created", "Dropped": "dropped"}


def encrypt(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what there is to do, and write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Encrypt what lies in the tables in plain text.

    With BLUESTAR_ENCRYPTION_KEY or BLUESTAR_ENCRYPTION_KMS_KEY: bank accounts; with BLUESTAR_ENCRYPT_RECORDS results
    and states of batches, too. Plans' keys are wrapped anew under the first key of the settings. May be cut off and
    run again, beside agents at work. The exit code is 3 when an item was left as it is, which is told on stderr.
    """
    with opened_store(ctx, as_json) as (store, out):
        with progress("Encrypting") as done:
            report = store.encrypt(dry_run=dry_run, progress=done)
        data = {
            "dry_run": dry_run,
            "encrypted": report.encrypted,
            "before": report.before,
            "keys": report.keys,
            "kept": report.kept,
            "failed": report.failed,
        }
        kinds = sorted({*report.encrypted, *report.before})
        rows = [[kind, str(report.encrypted.get(kind, 0)), str(report.before.get(kind, 0))] for kind in kinds]
        now = "To encrypt" if dry_run else "Encrypted"
        views: list[Grid | str] = [Grid("Encryption", ("Kind", now, "Encrypted before"), rows)]
        if report.keys:
            keys = "1 key" if report.keys == 1 else f"{report.keys} keys"
            views.append(f"{keys} {'to be ' if dry_run else ''}encrypted under the first key of the settings.")
        if report.kept:
            views.append(f"{report.kept} entries of audit trails stay in plain text: an entry is never changed.")
        out.show(data, *views)
        for reason in report.failed:
            tell(f"left as it is: {escaped(reason)}")
        if report.failed:
            raise typer.Exit(DIFFERENCES)


@key.command("list")
def list_keys(ctx: typer.Context, plan: Plan, as_json: AsJson = False) -> None:
    """The keys of a plan, oldest first.

    When they were made and dropped, never the keys themselves. Those of GLOBAL encrypt what belongs to no plan.
    """
    with opened_store(ctx, as_json) as (store, out):
        found = [_record(one) for one in store.plan_keys.of_plan(plan)]
        out.show(found, Grid.of(f"Keys of {plan}", found, COLUMNS, whole="Key"))


@key.command("drop")
def drop(ctx: typer.Context, plan: Plan, yes: Yes = False, as_json: AsJson = False) -> None:
    """Make all that is encrypted for a plan unreadable for ever.

    Shows the keys and asks. The plan's audit trails still verify. Backups and exports that hold the keys are not
    touched.
    """
    with opened_store(ctx, as_json) as (store, out):
        found = [_record(one) for one in store.plan_keys.of_plan(plan) if one.dropped is None]
        if found:
            lines = [f"Key {one['key_id']} of {plan}, made {cell(one['created'])}" for one in found]
            lines.append(f"What they encrypted for {plan} can never be read again: bank accounts, results, details.")
            ask(out, f"Drop the keys of {plan}?", lines, yes=yes)
        dropped = [_record(one) for one in store.plan_keys.drop(plan)]
        out.show(dropped, f"Dropped: {len(dropped)} key{'s' if len(dropped) != 1 else ''} of {plan}.")


def _record(one: PlanKey) -> dict[str, object]:
    return {"plan_id": one.plan_id, "key_id": one.key_id, "created": one.created, "dropped": one.dropped}
