"""Identifiers of what is made here."""

from __future__ import annotations

from typing import Any

from bluestar_store.keys import check_new_identifier, unseen
from bluestar_store.models.kind import Kind
from bluestar_store.repositories.access import Access


def new_id() -> str:
    """A new ULID: later ones sort later, by the millisecond."""
    from ulid import ULID  # which a process that only reads need not load

    return str(ULID())


def check_known(access: Access, kind: Kind[Any], **identity: Any) -> None:
    """InvalidKeyError for an identifier in which something cannot be seen (see `unseen`), unless it is in use.

    For what is written beside something else: a claim of a batch, a hold that names one, an entry in a trail. What
    other programs keep under such an identifier goes on.
    """
    texts = [(name, value) for name, value in identity.items() if isinstance(value, str)]
    strange = [(name, value) for name, value in texts if unseen(value) is not None]
    if strange:
        pk, table = kind.keys.partition(identity), access.table(kind)
        if not access.engine.query(table, pk, limit=1, consistent=True).items:
            check_new_identifier(*strange[0])
