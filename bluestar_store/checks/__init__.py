"""Checks of meaning: what a value may not say however well its type fits."""
