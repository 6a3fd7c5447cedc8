"""`rule`, `validation`, `limits` and `config`: set values of one item, or delete it."""

from __future__ import annotations

from typing import Annotated

import typer

from bluestar_store.cli.asking import Yes
from bluestar_store.cli.editing import delete, set_values, values
from bluestar_store.cli.options import AsJson, Frequency, Plan, group

CalcType = Annotated[str, typer.Argument(metavar="TYPE", help="Such as match.", show_default=False)]
Category = Annotated[str, typer.Argument(metavar="CATEGORY", help="Such as SSN.", show_default=False)]
Number = Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="Of the rule.", show_default=False)]
Level = Annotated[str, typer.Option("--plan", metavar="PLAN", help="The rule of this plan's own.")]
Year = Annotated[int, typer.Argument(metavar="YEAR", min=0, help="Such as 2026.", show_default=False)]
Ach = Annotated[bool, typer.Option("--ach", help="The ACH configuration instead of the client configuration.")]

RuleValues = Annotated[list[str], values("max_pct=5.5")]
ValidationValues = Annotated[list[str], values("severity=ERROR or enabled=false")]
LimitValues = Annotated[list[str], values("max_401k=24500")]
ConfigValues = Annotated[list[str], values("deadline_hour=16; with --ach, bank_id=B7")]

rule = group("Change one calculation rule.")
validation = group("Change one validation rule.")
limits = group("Change the IRS limits of one year.")
config = group("Change the configuration of one plan.")


@rule.command("set")
def set_rule(
    ctx: typer.Context, plan: Plan, calc_type: CalcType, texts: RuleValues, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Set values of a calculation rule; make the rule if need be.

    Shows the difference and asks. PLAN may be GLOBAL.
    """
    set_values(ctx, as_json, "calculation-rule", {"plan_id": plan, "calc_type": calc_type}, texts, yes=yes)


@rule.command("delete")
def delete_rule(ctx: typer.Context, plan: Plan, calc_type: CalcType, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete a calculation rule: the plan then has GLOBAL's.

    Shows it and asks. PLAN may be GLOBAL.
    """
    delete(ctx, as_json, "calculation-rule", {"plan_id": plan, "calc_type": calc_type}, yes=yes)


@validation.command("set")
def set_validation(
    ctx: typer.Context,
    category: Category,
    number: Number,
    texts: ValidationValues,
    plan: Level = "GLOBAL",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Set values of a validation rule; make the rule if need be.

    Shows the difference and asks. A plan's own rule with enabled=false switches GLOBAL's of that number off.
    """
    identity = {"category": category, "plan_id": plan, "number": number}
    set_values(ctx, as_json, "validation-rule", identity, texts, yes=yes)


@validation.command("delete")
def delete_validation(
    ctx: typer.Context,
    category: Category,
    number: Number,
    plan: Level = "GLOBAL",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a validation rule; a plan then has GLOBAL's.

    Shows it and asks.
    """
    identity = {"category": category, "plan_id": plan, "number": number}
    delete(ctx, as_json, "validation-rule", identity, yes=yes)


@limits.command("set")
def set_limits(ctx: typer.Context, year: Year, texts: LimitValues, yes: Yes = False, as_json: AsJson = False) -> None:
    """Set limits of a year, in dollars; make the year if need be.

    Shows the difference and asks.
    """
    set_values(ctx, as_json, "irs-limits", {"year": year}, texts, yes=yes)


@limits.command("delete")
def delete_limits(ctx: typer.Context, year: Year, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete the limits of a year.

    Shows them and asks.
    """
    delete(ctx, as_json, "irs-limits", {"year": year}, yes=yes)


@config.command("set")
def set_config(
    ctx: typer.Context,
    plan: Plan,
    freq: Frequency,
    texts: ConfigValues,
    ach: Ach = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Set values of a configuration; make it if need be.

    Shows the difference and asks. PLAN may be DEFAULT. Bank numbers are not taken from the command line:
    account_number=@FILE, account_number=@- for standard input, or account_number alone to be asked for it.
    """
    set_values(ctx, as_json, _config_kind(ach), {"plan_id": plan, "pay_freq": freq}, texts, yes=yes)


@config.command("delete")
def delete_config(
    ctx: typer.Context, plan: Plan, freq: Frequency, ach: Ach = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Delete a configuration: the plan then has DEFAULT's.

    Shows it and asks. PLAN may be DEFAULT.
    """
    delete(ctx, as_json, _config_kind(ach), {"plan_id": plan, "pay_freq": freq}, yes=yes)


def _config_kind(ach: bool) -> str:
    return "ach-config" if ach else "client-config"
