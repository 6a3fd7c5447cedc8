"""Rule sets: read from folders of JSON, compared with a store, loaded into it."""

from bluestar_store.seeding.compare import Change, Difference, Entry, compare
from bluestar_store.seeding.load import LoadReport, load
from bluestar_store.seeding.rule_set import RuleSet, baseline, read

__all__ = ["Change", "Difference", "Entry", "LoadReport", "RuleSet", "baseline", "compare", "load", "read"]
