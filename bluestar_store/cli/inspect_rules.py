"""`bluestar-store inspect`: pipelines, rules, limits, configs and vendor schemas, and the level each came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluestar_store.cli.cache import explanations
from bluestar_store.cli.options import AsJson, Frequency, Long, Plan, opened_store
from bluestar_store.cli.output import Grid
from bluestar_store.cli.records import Record, record, records

if TYPE_CHECKING:
    from bluestar_store.repositories.configs import Configs


def pipeline(ctx: typer.Context, plan: Plan, freq: Frequency, long: Long = False, as_json: AsJson = False) -> None:
    """The steps of a plan's pipeline, its own or DEFAULT's.

    PLAN may be DEFAULT.
    """
    with opened_store(ctx, as_json) as (store, out):
        steps = store.pipelines.steps(plan, freq)
        found = records(steps)
        for step in found:
            step["runs"] = "off" if not step["enabled"] else "required" if step["required"] else "optional"
        columns = {"Step": "step_order", "Subroutine": "subroutine_name", "Agent": "agent", "Runs": "runs"}
        columns |= {"Timeout s": "timeout_seconds"}
        scope = steps[0].scope
        title = f"Pipeline of {plan}, {freq}: {len(steps)} steps, scope {scope}"
        views = [Grid.of(title, found, columns)]
        if long:
            views.append(Grid.of("", found, {"Step": "step_order", "Description": "description"}))
        for step in found:
            del step["runs"]
        out.show({"plan_id": plan, "pay_freq": freq, "scope": str(scope), "steps": found}, *views)


def rule(
    ctx: typer.Context,
    plan: Plan,
    calc_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as match.", show_default=False)],
    explain: Annotated[
        bool, typer.Option("--explain", help="Show where each level is cached, how old it is and when it expires.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """A calculation rule as it applies to a plan.

    The plan's own, or else GLOBAL's: see its scope. PLAN may be GLOBAL.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.errors import RuleNotFoundError

        mapper = store.calculation_rules.mapper
        kept, grid = explanations(
            store, {level: mapper.item_cache_key(level, calc_type) for level in dict.fromkeys((plan, "GLOBAL"))}
        )
        try:
            found = record(store.calculation_rules.get(plan, calc_type))
        except RuleNotFoundError:
            if explain:
                out.show({"cache": kept}, grid)
            raise
        card = Grid.card(f"Rule {calc_type} for {plan}", found)
        if explain:
            out.show({**found, "cache": kept}, card, grid)
        else:
            out.show(found, card)


def rules(ctx: typer.Context, plan: Plan, long: Long = False, as_json: AsJson = False) -> None:
    """Every calculation rule that applies to a plan.

    GLOBAL's rules with the plan's own laid over them. PLAN may be GLOBAL.
    """
    with opened_store(ctx, as_json) as (store, out):
        found = records(store.calculation_rules.all(plan).values())
        columns = {"Type": "calc_type", "Scope": "scope", "Formula": "formula", "Max %": "max_pct"}
        views = [Grid.of(f"Calculation rules for {plan}", found, columns | {"From age": "age_threshold"})]
        if long:
            views.append(Grid.of("", found, {"Type": "calc_type", "Description": "description"}))
        out.show(found, *views)


def validation(
    ctx: typer.Context,
    category: Annotated[str, typer.Argument(metavar="CATEGORY", help="Such as SSN.", show_default=False)],
    plan: Annotated[
        str, typer.Option("--plan", metavar="PLAN", help="As they apply to this plan: its own lie over GLOBAL's.")
    ] = "GLOBAL",
    long: Long = False,
    as_json: AsJson = False,
) -> None:
    """The validation rules of a category.

    Rules that are switched off are left out; `inspect plan PLAN` shows those that a plan switches off.
    """
    with opened_store(ctx, as_json) as (store, out):
        found = records(store.validation_rules.for_category(category, plan))
        rows = [
            [one["number"], one["scope"], one["severity"], one["field"], one["check"] or one["pattern"]]
            for one in found
        ]
        columns = ("Rule", "Scope", "Severity", "Field", "Check or pattern")
        views = [Grid(f"Validation rules {category} for {plan}", columns, rows)]
        if long:
            views.append(Grid.of("", found, {"Rule": "number", "Message": "message"}))
        out.show(found, *views)


_LIMITS = {
    "Year": "year",
    "401(k)": "max_401k",
    "Catch up": "catch_up",
    "Super catch up": "super_catch_up",
    "Comp limit": "comp_limit",
    "Annual add.": "annual_addition",
    "HCE": "hce_threshold",
    "Key empl.": "key_employee",
    "Roth wage": "roth_catch_up_wage",
}
"""Heads short enough for all of them in 80 columns."""


def limits(
    ctx: typer.Context,
    year: Annotated[int | None, typer.Argument(metavar="YEAR", min=0, help="Without it: every year.")] = None,
    long: Long = False,
    as_json: AsJson = False,
) -> None:
    """The IRS limits of a year, or of every year."""
    with opened_store(ctx, as_json) as (store, out):
        if year is not None:
            one = record(store.irs_limits.get(year))
            out.show(one, Grid.card(f"IRS limits {year}", one))
            return
        found = records(store.irs_limits.all())
        views = [Grid.of("IRS limits, in dollars", found, _LIMITS)]
        if long:
            views.append(Grid.of("", found, {"Year": "year", "Source": "source"}))
        out.show(found, *views)


def config(ctx: typer.Context, plan: Plan, freq: Frequency, as_json: AsJson = False) -> None:
    """The client and ACH configuration of a plan.

    Each is the plan's own, or else DEFAULT's: see its scope. Of bank numbers the last four characters show, at most.
    """
    with opened_store(ctx, as_json) as (store, out):
        client = _found(store.client_configs, plan, freq)
        ach = _found(store.ach_configs, plan, freq)
        out.show(
            {"client": client, "ach": ach},
            Grid.card(f"Client configuration for {plan}, {freq}", client or {}),
            Grid.card(f"ACH configuration for {plan}, {freq}", ach or {}),
        )


def _found(configs: Configs[Any], plan: str, freq: str) -> Record | None:
    """The record of a configuration; None where neither the plan nor DEFAULT has one."""
    from bluestar_store.errors import ConfigNotFoundError, EncryptedValueError
    from bluestar_store.repositories.base import left_of

    try:
        return record(configs.get(plan, freq))
    except ConfigNotFoundError:
        return None
    except EncryptedValueError as error:
        left = left_of(configs, error)
        return record(left) if left is not None else None


def schema(
    ctx: typer.Context,
    vendor: Annotated[str, typer.Argument(metavar="VENDOR", help="A vendor's identifier.", show_default=False)],
    fingerprint: Annotated[
        str | None, typer.Argument(metavar="FINGERPRINT", help="Of one layout; without it: all of the vendor's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How a vendor's columns map to canonical fields."""
    with opened_store(ctx, as_json) as (store, out):
        if fingerprint is None:
            found = records(store.vendor_schemas.for_vendor(vendor))
            for one in found:
                one["count"] = len(one["columns"])
            columns = {"Plan": "plan_id", "Frequency": "pay_freq", "Columns": "count", "Created": "created"}
            view = Grid.of(f"Schemas of {vendor}", found, columns | {"Fingerprint": "fingerprint"})
            for one in found:
                del one["count"]
            out.show(found, view)
            return
        one = record(store.vendor_schemas.get(vendor, fingerprint))
        mapping = one["mapping"] or {}
        names = dict.fromkeys((*one["columns"], *mapping))
        card = {name: value for name, value in one.items() if name not in ("columns", "mapping")}
        out.show(
            one,
            Grid.card(f"Schema of {vendor}", card),
            Grid("", ("Column", "Canonical field"), [[name, mapping.get(name)] for name in names]),
        )
