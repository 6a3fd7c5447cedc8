"""Tells from a stored item whether a transaction was written, when its answer was lost."""

from __future__ import annotations

from collections.abc import Sequence

from bluestar_store.engines.conditions import equal_values
from bluestar_store.protocols import Item, Put, Write


def witness_write(writes: Sequence[Write]) -> Put | None:
    """The write whose item proves whether its transaction was written; None if no write's does.

    Only an item that is written once (`Put.once`) does. What is equal to what the transaction writes, at the version
    that it writes, somebody else may have written just so; and an item that is as it was before, or is otherwise, may
    have been written over since by a program that counts no versions.
    """
    return next((write for write in writes if isinstance(write, Put) and write.once), None)


def is_written(write: Put, found: Item | None) -> bool:
    """Whether the item that lies there is the one that this write puts there once."""
    return (
        found is not None
        and found.keys() == write.item.keys()
        and all(equal_values(found[name], value) for name, value in write.item.items())
    )
