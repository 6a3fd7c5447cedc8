"""Appending to a trail: each entry is chained to the one before it, and the head of the trail goes with it."""

from __future__ import annotations

from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, AuditEntry, ChainHead, Trail
from bluestar_store.models.canonical import canonical, digest
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import change_over, current_item
from bluestar_store.repositories.transaction import Bookkeeping


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 in hex of an entry's canonical form: all that it says, its predecessor's hash among it, but its own."""
    return digest(canonical(entry.model_copy(update={"hash": None})))


def append_step(access: Access, entry: AuditEntry, unit: Bookkeeping) -> None:
    """A step that appends an entry to its trail, with the number and the hash that it has there by then."""
    access = access.acting_as(entry.actor)
    trail = {name: getattr(entry, name) for name in Trail.model_fields}
    stored = current_item(access, CHAIN_HEAD, ChainHead(**trail))
    head = CHAIN_HEAD.decode(stored, access.table(CHAIN_HEAD)) if stored else ChainHead(**trail)
    chained = entry.model_copy(update={"seq": head.seq + 1, "previous": head.hash})
    chained = chained.model_copy(update={"hash": entry_hash(chained)})
    longer = head.model_copy(update={"seq": chained.seq, "hash": chained.hash})
    unit.keep(
        change_over(access, AUDIT_ENTRY, chained, None, {}, settled=False).write,
        change_over(access, CHAIN_HEAD, longer, stored, {}, settled=False).write,
    )
