"""Seeding: the public names of `rulesets`, which reads rule sets, compares them with a store, and loads them."""

from bluestar_store.rulesets import Change, Difference, Entry, LoadReport, RuleSet, baseline, compare, load, read

__all__ = ["Change", "Difference", "Entry", "LoadReport", "RuleSet", "baseline", "compare", "load", "read"]
