"""Creates identifiers, and checks those that are given."""

from __future__ import annotations

from typing import Any

from bluestar_store.keys import check_new_identifier, unseen
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.repositories.session import Session


def new_id() -> str:
    """A new ULID: later ones sort later, by the millisecond."""
    from ulid import ULID  # which a process that only reads need not load

    return str(ULID())


def check_known(session: Session, mapper: Mapper[Any], **identity: Any) -> None:
    """InvalidKeyError for an identifier in which something cannot be seen (see `unseen`), unless it is in use.

    For what is written beside something else: a claim of a batch, a hold that names one, an entry in a trail. What
    other programs keep under such an identifier goes on.
    """
    texts = [(name, value) for name, value in identity.items() if isinstance(value, str)]
    strange = [(name, value) for name, value in texts if unseen(value) is not None]
    if strange:
        pk, table = mapper.keys.partition(identity), session.table(mapper)
        if not session.engine.query(table, pk, limit=1, consistent=True).items:
            check_new_identifier(*strange[0])
