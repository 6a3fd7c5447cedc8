"""`bluestar-store inspect`: who overrides what, and what two plans have different."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bluestar_store.cli.differences import change_lines, shown_value
from bluestar_store.cli.errors import DIFFERENCES
from bluestar_store.cli.options import AsJson, Plan, opened_store
from bluestar_store.cli.output import Grid
from bluestar_store.cli.records import Record, record

if TYPE_CHECKING:
    from bluestar_store.mapping.entity import PlanEntity
    from bluestar_store.rulesets import Change
    from bluestar_store.rulesets.plan_difference import PlanDifference
    from bluestar_store.store import Store


def plan(ctx: typer.Context, plan: Plan, as_json: AsJson = False) -> None:
    """All that a plan overrides or has of its own.

    Its pipelines, rules, configurations and vendor schemas, also those that switch something off. Values whose key was
    dropped are told as such.
    """
    with opened_store(ctx, as_json) as (store, out):
        entities = [(store.tables.kind_of(entity), entity) for entity in store.overrides(plan, without_lost=True)]
        found = [(mapper.name, mapper.identity(entity), record(entity)) for mapper, entity in entities]
        data = [{"kind": name, **values} for name, _, values in found]
        left_out = ("plan_id", "scope", "version", "written_by", "extra")
        rows = [
            [
                mapper,
                " ".join(str(value) for name, value in key.items() if name != "plan_id"),
                {n: value for n, value in values.items() if n not in (*key, *left_out) and value is not None}
                | values["extra"],
            ]
            for mapper, key, values in found
        ]
        out.show(data, Grid(f"What {plan} has of its own", ("Kind", "Item", "Values"), rows))


def overrides(
    ctx: typer.Context,
    calc_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as match.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Who overrides a calculation rule.

    Every plan with a rule of its own, attribute by attribute where it differs from GLOBAL's.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.errors import RuleNotFoundError
        from bluestar_store.models.calculation import CALCULATION_RULE
        from bluestar_store.rulesets.plan_difference import attribute_changes

        found = store.rules_of_type(calc_type)
        if not found:
            raise RuleNotFoundError(f"nobody has a calculation rule {calc_type}; for a plan: inspect plan {calc_type}")
        shared = next((rule for rule in found if rule.scope == "GLOBAL"), None)
        own = [rule for rule in found if rule is not shared]
        changes = {rule.plan_id: attribute_changes(shared, rule, left_out=CALCULATION_RULE.keys.fields) for rule in own}
        data = {
            "calc_type": calc_type,
            "global": record(shared) if shared else None,
            "plans": [
                record(rule)
                | {"differs": _changes(store, CALCULATION_RULE.name, changes[rule.plan_id], "global", "own")}
                for rule in own
            ],
        }
        rows: list[list[Any]] = []
        for name, differing in changes.items():
            rows += [[name, change.attribute, change.old, change.new] for change in differing]
            if not differing:
                rows.append([name, "(same as GLOBAL's)", None, None])
        plans = f"{len(own)} plan{'s' if len(own) != 1 else ''}"
        title = f"Calculation rule {calc_type}: {plans} with a rule of {'their' if len(own) != 1 else 'its'} own"
        notes = [] if shared else ["GLOBAL has no such rule: other plans have none."]
        out.show(data, Grid(title, ("Plan", "Attribute", "GLOBAL", "Its own"), rows), *notes)


def diff(
    ctx: typer.Context,
    one: Plan,
    other: Annotated[str, typer.Argument(metavar="PLAN", help="Another plan.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """What two plans effectively have different.

    Calculation rules, validation rules, pipelines, configurations and entities of your own, wherever each comes from.
    A plan without anything of its own has the defaults. The exit code is 3 when there is any difference.
    """
    with opened_store(ctx, as_json) as (store, out):
        from bluestar_store.rulesets.plan_difference import diff_plans

        found = diff_plans(store, one, other)
        data = {
            "one": one,
            "other": other,
            "differences": [
                {
                    "kind": difference.kind,
                    "item": dict(difference.item),
                    "scopes": {"one": _scope(difference.one), "other": _scope(difference.other)},
                    "changes": _changes(store, difference.kind, difference.changes, "one", "other"),
                }
                for difference in found
            ],
        }
        title = f"What differs between {one} and {other} (attribute: {one} | {other}):" if found else "No difference."
        out.show(
            data,
            title,
            *(line for difference in found for line in _difference_lines(store, difference, one, other)),
        )
        if found:
            raise typer.Exit(DIFFERENCES)


def _changes(store: Store, kind: str, changes: Iterable[Change], old: str, new: str) -> list[Record]:
    return [
        {
            "attribute": change.attribute,
            old: shown_value(store, kind, change.attribute, change.old),
            new: shown_value(store, kind, change.attribute, change.new),
        }
        for change in changes
    ]


def _scope(entity: PlanEntity | None) -> str | None:
    return str(entity.scope) if entity is not None else None


def _difference_lines(store: Store, difference: PlanDifference, one: str, other: str) -> Iterator[str]:
    """What it is; then its attributes, unless only one plan has it."""
    name = f"  {difference.kind} {' '.join(map(str, difference.item.values()))}"
    if difference.one is None or difference.other is None:
        yield f"{name}: only {other if difference.one is None else one} has it"
        return
    yield name
    yield from change_lines(store, difference.kind, difference.changes, between="|")
