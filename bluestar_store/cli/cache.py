"""`bluestar-store cache`: what the cache holds, and making it forget or read ahead."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluestar_store.cli.options import AsJson, Plan, group_options, opened_store
from bluestar_store.cli.output import Grid, Output, progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluestar_store.store import Store

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Look at the cache, or change it.")
app.callback()(group_options)
invalidate = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Forget what other programs changed.",
)
invalidate.callback()(group_options)
app.add_typer(invalidate, name="invalidate")


@app.command("stats")
def stats(ctx: typer.Context, as_json: AsJson = False) -> None:
    """What Redis holds for this environment.

    And whether it can be used. The counts of an agent's own process are in `store.cache.stats()`: no other process can
    see them.
    """
    with opened_store(ctx, as_json) as (store, out):
        held = store.cache.held()
        found = store.cache.stats()
        data = {"redis": found.redis, "redis_error": found.redis_error, "keys": sum(held.values()), "kinds": dict(held)}
        why = "is not set" if store.settings.redis_url is None else "names a cache without one"
        state = f"none: BLUESTAR_REDIS_URL {why}" if found.redis == "off" else "answers"
        rows = [
            [name.removesuffix("*"), "partitions" if name.endswith("*") else "items", n] for name, n in held.items()
        ]
        views: list[Any] = [f"Redis: {state}"]
        if held:
            views.append(Grid(f"Kept in Redis: {data['keys']}", ("Kind", "Of", "Keys"), rows))
        out.show(data, *views)


@app.command("clear")
def clear(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Forget everything of this environment.

    In Redis, and in every process that uses it.
    """
    with opened_store(ctx, as_json) as (store, out):
        _show(store, out, store.cache.clear())


@app.command("warm")
def warm(
    ctx: typer.Context,
    plans: Annotated[
        list[str] | None, typer.Argument(metavar="[PLAN]...", help="All, unless some are named.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read ahead what applies to plans.

    So that Redis has it before the agents ask.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.warming import warm

        with progress("Reading"):
            count = warm(store, plans or None)
        out.show({"reads": count, "kept": store.cache.held()}, f"Read: {count}.")


@invalidate.command("plan")
def plan(ctx: typer.Context, plan: Plan, as_json: AsJson = False) -> None:
    """Forget everything of a plan.

    Its rules, pipelines and configurations, and what it has none of. PLAN may be GLOBAL or DEFAULT.
    """
    _forget(ctx, as_json, None, {"plan_id": plan})


@invalidate.command("rule")
def rule(
    ctx: typer.Context,
    plan: Plan,
    calc_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as match.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Forget one calculation rule of a plan, or GLOBAL's."""
    _forget(ctx, as_json, "calculation-rule", {"plan_id": plan, "calc_type": calc_type})


@invalidate.command("category")
def category(
    ctx: typer.Context,
    category: Annotated[str, typer.Argument(metavar="CATEGORY", help="Such as SSN.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Forget the validation rules of a category.

    GLOBAL's and every plan's.
    """
    _forget(ctx, as_json, "validation-rule", {"category": category})


@invalidate.command("limits")
def limits(
    ctx: typer.Context,
    year: Annotated[int, typer.Argument(metavar="YEAR", help="Such as 2026.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Forget the IRS limits of a year."""
    _forget(ctx, as_json, "irs-limits", {"year": year})


@invalidate.command("vendor")
def vendor(
    ctx: typer.Context,
    vendor: Annotated[str, typer.Argument(metavar="VENDOR", help="Such as ADP.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Forget the schemas of a vendor."""
    _forget(ctx, as_json, "vendor-schema", {"vendor_id": vendor})


def _forget(ctx: typer.Context, as_json: bool, kind: str | None, fields: Mapping[str, Any]) -> None:
    with opened_store(ctx, as_json) as (store, out):
        _show(store, out, store.cache.invalidate(kind, fields))


def _show(store: Store, out: Output, count: int) -> None:
    shared = store.settings.redis_url is not None
    done = f"Forgotten: {count} in Redis; every process that uses it has been told."
    alone = "BLUESTAR_REDIS_URL is not set: no other process can be told, they follow within their TTL."
    out.show({"forgotten": count, "told": shared}, done if shared else alone)


def explanations(store: Store, cache_keys: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Grid]:
    """Where cache keys have values, by level: as data and as a table."""
    found = [{"level": level, **asdict(store.cache.explain(cache_key))} for level, cache_key in cache_keys.items()]
    for one in found:
        del one["cache_key"]
        for name in ("age_seconds", "expires_in_seconds"):
            one[name] = None if one[name] is None else round(one[name], 1)
    columns = {"Level": "level", "Kept in": "tier", "Absent": "absent", "Age s": "age_seconds"}
    columns |= {"Expires in s": "expires_in_seconds", "Note": "note"}
    return found, Grid.of("In the cache, before this read", found, columns)
