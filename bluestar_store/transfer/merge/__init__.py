"""Merging an export into tables in use.

`comparing` writes single items, each on condition that it still is as it was compared. Items that only make sense
together are an aggregate (`aggregates`): `plans` and `batches` say what is written of one, `aggregate_merge` writes it.
"""
