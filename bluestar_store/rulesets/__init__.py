"""Rule sets: folders of JSON that are read, compared with a store, planned, and loaded into it."""

from bluestar_store.rulesets.comparing import Change, Difference, Entry, compare
from bluestar_store.rulesets.loading import LoadReport, load
from bluestar_store.rulesets.reading import RuleSet, baseline, read

__all__ = ["Change", "Difference", "Entry", "LoadReport", "RuleSet", "baseline", "compare", "load", "read"]
