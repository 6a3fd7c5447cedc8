"""Appending to a trail: each entry is chained to the one before it, and the head of the trail goes with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from immutabledict import immutabledict

from bluestar_store.errors import ConflictError, EncryptedValueError
from bluestar_store.mapping.canonical import canonical, digest, plain_value
from bluestar_store.mapping.entity import Origin
from bluestar_store.mapping.sealed import ciphertext_of
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, SALT, AuditEntry, ChainHead, Trail
from bluestar_store.protocols import ABSENT, ACTOR, AttributeValue, Item, Put, key_of
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.repositories.changes import change_over, new_item
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored import Wanted, current_item
from bluestar_store.repositories.transaction import Bookkeeping


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 in hex of an entry's canonical form: all that it says, its predecessor's hash among it, but its own.

    Of details that are encrypted it covers the ciphertext, so that a trail can be verified by who has no key, and when
    nobody has it any more.
    """
    said = canonical(entry.model_copy(update={"hash": None}))
    details = entry.origin.wire.get("details") if entry.origin is not None else None
    if (ciphertext := ciphertext_of(details)) is not None:
        said["fields"]["details"] = plain_value(ciphertext)
    return digest(said)


def decoded_entry(item: Item, table: str) -> AuditEntry:
    """The entry in an item, without details where they are encrypted and cannot be read. Raises ItemDecodeError."""
    try:
        return AUDIT_ENTRY.decode(item, table)
    except EncryptedValueError:
        entry = AUDIT_ENTRY.decode({name: value for name, value in item.items() if name != "details"}, table)
        return entry.read_from(Origin(item, entry.version or 0, entry.extra))


def appended_item(entry: AuditEntry) -> Item:
    """The item of a chained entry, as it is written once and for all."""
    salt = {SALT: {"S": entry.extra[SALT]}} if SALT in entry.extra else {}
    return new_item(AUDIT_ENTRY, entry) | salt | ({ACTOR: {"S": entry.actor}} if entry.actor else {})


def _salted(entry: AuditEntry) -> AuditEntry:
    """An entry that is to be appended: with a salt where something of it is shown masked."""
    if not has_secrets({"actor": entry.actor, "action": entry.action, "details": entry.details}):
        return entry
    salt = secrets.token_hex(16)
    key = AUDIT_ENTRY.keys.build(AUDIT_ENTRY.identity(entry))
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, SALT: {"S": salt}}
    return entry.model_copy().read_from(Origin(item, 0, immutabledict({SALT: salt})))


def head_of(trail: Trail) -> Wanted:
    """The head of a trail, to be read."""
    return Wanted(CHAIN_HEAD, _no_head(trail))


def stored_head(session: Session, trail: Trail) -> Item | None:
    """The head of a trail as it is stored; None for a trail that there is not."""
    return current_item(session, CHAIN_HEAD, _no_head(trail))


def _no_head(trail: Trail) -> ChainHead:
    """That of a trail without entries."""
    return ChainHead(batch_id=trail.batch_id, table=trail.table, partition=trail.partition)


def append_step(session: Session, unit: Bookkeeping, entry: AuditEntry) -> None:
    """A step that appends an entry to its trail, with the number and the hash that it has there by then."""
    append_after(session, entry, stored_head(session, entry), unit)


def append_after(
    session: Session,
    entry: AuditEntry,
    stored: Item | None,
    unit: Bookkeeping,
    bookkeeping: Mapping[str, AttributeValue] | None = None,
) -> None:
    """The same, for one who has read the trail's head in the same step; `bookkeeping` goes to the head."""
    session, entry = session.acting_as(entry.actor), _salted(entry)
    head = CHAIN_HEAD.decode(stored, session.table(CHAIN_HEAD)) if stored else _no_head(entry)
    chained = entry.model_copy(update={"seq": head.seq + 1, "previous": head.hash})
    if unit.again:
        _check_not_behind(session, head, chained, unit)
    item = appended_item(chained)
    item = {**session.sealed(AUDIT_ENTRY, key_of(item), item)}
    chained.read_from(Origin(item, 1, chained.extra))
    item["hash"] = {"S": entry_hash(chained)}
    longer = head.model_copy(update={"seq": chained.seq, "hash": item["hash"]["S"]})
    unit.keep(
        Put(session.table(AUDIT_ENTRY), item, ABSENT, once=True),
        change_over(session, CHAIN_HEAD, longer, stored, bookkeeping or {}).write,
    )


def _check_not_behind(session: Session, head: ChainHead, chained: AuditEntry, unit: Bookkeeping) -> None:
    """ConflictError when the place after the head is taken: no append would ever succeed.

    The head is read once more after that, for an append writes both at once.
    """
    own = session.table(CHAIN_HEAD), CHAIN_HEAD.keys.build(CHAIN_HEAD.identity(head))
    if own in unit.writes:  # others may be ahead of a head that the unit itself has put there
        return
    place = AUDIT_ENTRY.keys.build(AUDIT_ENTRY.identity(chained))
    if session.engine.get(session.table(AUDIT_ENTRY), [place], consistent=True):
        stored = current_item(session, CHAIN_HEAD, head)
        if (CHAIN_HEAD.decode(stored).seq if stored is not None else 0) == head.seq:
            raise ConflictError(
                f"{session.table(AUDIT_ENTRY)}: {place.pk}: there is an entry {chained.seq}, and the trail's head "
                f"knows of {head.seq}: somebody else wrote one of them; `bluestar-store audit verify` says more"
            )
