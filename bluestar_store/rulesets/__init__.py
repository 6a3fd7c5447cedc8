"""Rule sets: folders of JSON that are read, compared with a store, planned, and loaded into it."""

from bluestar_store.rulesets.compare import Change, Difference, Entry, compare
from bluestar_store.rulesets.load import LoadReport, load
from bluestar_store.rulesets.rule_set import RuleSet, baseline, read

__all__ = ["Change", "Difference", "Entry", "LoadReport", "RuleSet", "baseline", "compare", "load", "read"]
