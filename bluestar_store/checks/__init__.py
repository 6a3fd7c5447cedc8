"""Checks of values beyond their types, such as the check digit of a routing number."""
