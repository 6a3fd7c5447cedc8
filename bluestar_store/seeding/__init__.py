"""Seeding: the public names of `rulesets`, which reads rule sets, compares them with a store, and loads them."""

import sys

from bluestar_store.rulesets import (
    Change,
    Difference,
    Entry,
    LoadReport,
    RuleSet,
    baseline,
    compare,
    comparing,
    load,
    loading,
    read,
)

__all__ = ["Change", "Difference", "Entry", "LoadReport", "RuleSet", "baseline", "compare", "load", "read"]

# Modules of 0.1.0 whose names are functions here: the import of a moved module would put it in the function's place.
sys.modules |= {f"{__name__}.compare": comparing, f"{__name__}.load": loading}
