"""Rule sets: folders of JSON that are read, compared with a store, planned, and loaded into it."""

from bluestar_store.rulesets.comparing import Action, Change, Difference, Entry, compare
from bluestar_store.rulesets.loading import LoadReport, apply_difference, load
from bluestar_store.rulesets.plan_difference import PlanDifference, diff_plans
from bluestar_store.rulesets.reading import RuleSet, baseline, read
from bluestar_store.rulesets.saved_plan import SavedPlan, apply_plan, open_plan, save_plan

__all__ = [
    "Action",
    "Change",
    "Difference",
    "Entry",
    "LoadReport",
    "PlanDifference",
    "RuleSet",
    "SavedPlan",
    "apply_difference",
    "apply_plan",
    "baseline",
    "compare",
    "diff_plans",
    "load",
    "open_plan",
    "read",
    "save_plan",
]
