"""Identifiers of what is made here."""

from __future__ import annotations


def new_id() -> str:
    """A new ULID: later ones sort later, by the millisecond."""
    from ulid import ULID  # which a process that only reads need not load

    return str(ULID())
