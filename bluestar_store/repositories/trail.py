"""The audit trails: what a change leaves in one, how its entries are chained, and how its items are read.

A trail lies in a partition of its own: entries, each with the hash of the one before it, and a head that is written
with each entry. Every repository records its changes by `record_change` or `record_replacement`; `audit` appends the
entries of users, and verifies trails. The head of a pipeline's trail says how many steps there have to be, too: each
replacement writes it, so that of two at once one has to look again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from immutabledict import immutabledict

from bluestar_store.engines.checks import MAX_DEPTH, MAX_ISOLATED_KEYS
from bluestar_store.errors import (
    ConflictError,
    EncryptedValueError,
    InvalidKeyError,
    ItemDecodeError,
    TableMissingError,
)
from bluestar_store.keys import Key
from bluestar_store.mapping.canonical import canonical, canonical_bytes, digest
from bluestar_store.mapping.entity import Entity, Origin
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import ciphertext_of, is_ciphertext
from bluestar_store.mapping.values import plain_value
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD, SALT, AuditEntry, ChainHead, Trail
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE
from bluestar_store.models.pipeline import PIPELINE_STEP, step_count
from bluestar_store.protocols import ABSENT, ACTOR, OWN_PREFIX, VERSION, AttributeValue, Check, Item, Put, Write, key_of
from bluestar_store.protocols.items import chunks
from bluestar_store.redaction.masking import has_secret, has_secrets, masked, redacted
from bluestar_store.repositories.changes import PlannedWrite, change_over, new_item, update_of
from bluestar_store.repositories.moments import KeyRange, read_parts
from bluestar_store.repositories.revisions import says_nothing_else
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored_items import Wanted, current_item, stored_items
from bluestar_store.repositories.transaction import StagedWrites

HIDDEN = ("PK", "SK", VERSION)
"""Attributes that say nothing of what changed."""
LONGEST_VALUE, LONGEST_CHANGE = 4_096, 200_000
"""Bytes of canonical JSON that an entry tells of a value, and of all changed attributes. An entry is an item, of 400 KB
at most (AWS limit), and so is what was there before a change, and what is there after it."""
SHORT_TEXT = LONGEST_VALUE // 6 - 1
"""Characters of which none takes more than six bytes of JSON."""

ENCRYPTED = "(encrypted)"
"""Stands for a value whose key was dropped."""

DEEPEST_VALUE = MAX_DEPTH - 5
"""Lists and maps in each other that an entry tells of a value, which lies four levels deep in the entry itself."""


def trail_head(mapper: Mapper[Any], pk: str) -> Wanted:
    """The head of the trail that changes in this partition leave, to be read."""
    return Wanted(CHAIN_HEAD, {"batch_id": None, "table": mapper.table, "partition": pk})


def record_change(
    session: Session,
    mapper: Mapper[Any],
    change: PlannedWrite,
    staged: StagedWrites,
    head: Item | None,
    action: str | None = None,
) -> None:
    """In a step: let an entry in the item's trail, after its stored head, go with a change of a rule.

    `action` says what was done, where it is more than that.
    """
    if isinstance(change.write, Check):
        return
    action = action or ("delete" if not change.after else "put" if change.before else "create")
    details = change_details(session, change)
    append_after(session, _entry(session, mapper, change.write.key.pk, action, details), head, staged)


def record_replacement(
    session: Session, mapper: Mapper[Any], pk: str, before: Sequence[Item], after: Sequence[Item], staged: StagedWrites
) -> None:
    """The same for a whole pipeline: how many steps it had and has, and their digests."""
    details = {
        f"{what}_{when}": value
        for when, items in (("before", before), ("after", after))
        for what, value in (("steps", len(items)), ("digest", _digest_of_all(session, mapper, items)))
    }
    append_step(session, staged, _entry(session, mapper, pk, "replace" if after else "remove", details))


def _entry(session: Session, mapper: Mapper[Any], pk: str, action: str, details: dict[str, Any]) -> AuditEntry:
    return AUDIT_ENTRY.made(
        table=mapper.table, partition=pk, seq=0, actor=session.actor, action=action, at=session.now(), details=details
    )


def change_details(session: Session, change: PlannedWrite) -> dict[str, Any]:
    """What an entry says of a change: the item's sort key, its digests, and each attribute as it was and is.

    Empty stands for no item. Secrets are masked by type and name; on an item of a kind that has some, so is whatever
    another program put there, under whatever name. A value that is long or deep is told by its digest; of more changed
    attributes than there is room for, just their number, `changed_attributes`.
    """
    mapper, before, after = change.mapper, change.before, change.after
    named = {attribute.attr_name: name for name, attribute in mapper.attributes.items()}
    hidden = {None, *mapper.sensitive_fields}
    names = sorted(name for name in {*before, *after} if name not in HIDDEN and not name.startswith(OWN_PREFIX))
    changed = {
        name: {
            when: _shown(session, mapper, name, item, secret=mapper.is_sensitive and named.get(name) in hidden)
            for when, item in (("before", before), ("after", after))
            if name in item
        }
        for name in names
        if before.get(name) != after.get(name)
    }
    fits = canonical_bytes(plain_value(changed)) <= LONGEST_CHANGE
    return {
        "item": change.write.key.sk,
        "digest_before": _digest(session, mapper, before, change.entity_before),
        "digest_after": _digest(session, mapper, after, change.entity_after),
        **({"changed": changed} if fits else {"changed_attributes": len(changed)}),
    }


def _shown(session: Session, mapper: Mapper[Any], name: str, item: Item, *, secret: bool) -> Any:
    wire = item[name]
    if not (is_short := _is_short(wire)) and is_ciphertext(wire):
        return ENCRYPTED
    value = from_wire(wire)
    if secret:
        return masked(str(value))
    if is_short:
        return redacted(name, value, digits=False)
    length = canonical_bytes(plain := plain_value(value))
    told = length <= LONGEST_VALUE and _levels(value) <= DEEPEST_VALUE
    if told:
        return redacted(name, value, digits=False)
    if mapper.is_sensitive or has_secret(name, value):
        return {"digest": session.digests.of_value(mapper, key_of(item).pk, plain), "bytes": length}
    return {"digest": digest(plain), "bytes": length}


def _is_short(wire: AttributeValue) -> bool:
    """Whether a value has room in an entry for certain, without spelling it."""
    ((kind, content),) = wire.items()
    return len(content) <= SHORT_TEXT if kind == "S" else kind in ("N", "BOOL", "NULL")


def _levels(value: Any) -> int:
    """How deep lists and maps lie in each other; 0 for what is neither."""
    if isinstance(value, Mapping | tuple):
        return 1 + max(map(_levels, value.values() if isinstance(value, Mapping) else value), default=0)
    return 0


def _digest_of_all(session: Session, mapper: Mapper[Any], items: Sequence[Item]) -> str | None:
    return digest([_digest(session, mapper, item, partial(mapper.decode, item)) for item in items]) if items else None


def _digest(session: Session, mapper: Mapper[Any], item: Item, read: Callable[[], Entity]) -> str | None:
    if not item:
        return None
    try:
        entity = read()
    except EncryptedValueError as error:
        if not error.is_lost:  # who cannot read it shall not write over it without knowing
            raise
        return None
    except ItemDecodeError:  # another program's: it can be written over and deleted all the same
        return session.digests.of_item(mapper, item)
    return session.digests.of(mapper, entity)


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 in hex of an entry's canonical form: all that it says, its predecessor's hash among it, but its own.

    Of details that are encrypted it covers the ciphertext, so that a trail can be verified by who has no key, and when
    nobody has it any more.
    """
    said = canonical(entry if entry.hash is None else entry.model_copy(update={"hash": None}))
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


def appended_item(entry: AuditEntry, key: Key | None = None) -> Item:
    """The item of a chained entry, as it is written once and for all, and lies at its own key."""
    salt = {SALT: {"S": entry.extra[SALT]}} if SALT in entry.extra else {}
    return {**new_item(AUDIT_ENTRY, entry, key), **salt, **({ACTOR: {"S": entry.actor}} if entry.actor else {})}


def _salted(entry: AuditEntry) -> AuditEntry:
    """An entry that is to be appended: with a salt where something of it is shown masked."""
    if not has_secrets({"actor": entry.actor, "action": entry.action, "details": entry.details}):
        return entry
    salt = secrets.token_hex(16)
    key = AUDIT_ENTRY.keys.build(AUDIT_ENTRY.identity(entry))
    item = {"PK": {"S": key.pk}, "SK": {"S": key.sk}, SALT: {"S": salt}}
    return entry.model_copy().read_from(Origin(item, 0, immutabledict({SALT: salt})))


def stored_head(session: Session, trail: Trail) -> Item | None:
    """The head of a trail as it is stored; None for a trail that there is not."""
    return stored_items(session, [Wanted(CHAIN_HEAD, _trail_of(trail))])[0]


def _no_head(trail: Trail) -> ChainHead:
    """That of a trail without entries."""
    return ChainHead(**_trail_of(trail))


def append_step(session: Session, staged: StagedWrites, entry: AuditEntry) -> None:
    """A step that appends an entry to its trail, with the number and the hash that it has there by then."""
    append_after(session, entry, stored_head(session, entry), staged)


def append_after(
    session: Session,
    entry: AuditEntry,
    stored: Item | None,
    staged: StagedWrites,
    bookkeeping: Mapping[str, AttributeValue] | None = None,
) -> None:
    """The same, for one who has read the trail's head in the same step; `bookkeeping` goes to the head."""
    session, entry = session.acting_as(entry.actor), _salted(entry)
    table = session.table(CHAIN_HEAD)
    head = CHAIN_HEAD.decode(stored, table, identity=_trail_of(entry)) if stored else _no_head(entry)
    chained = entry.model_copy(update={"seq": head.seq + 1, "previous": head.hash})
    if staged.is_rerun:
        _check_not_behind(session, head, chained, staged)
    key = AUDIT_ENTRY.keys.build(AUDIT_ENTRY.identity(chained))
    item = {**session.sealed(AUDIT_ENTRY, key, appended_item(chained, key))}
    chained.read_from(Origin(item, 1, chained.extra))
    item["hash"] = {"S": entry_hash(chained)}
    sets = {"seq": {"N": str(chained.seq)}, "hash": item["hash"], **(bookkeeping or {})}
    if stored is None:
        longer = change_over(session, CHAIN_HEAD, head, None, sets).write
    else:
        longer = update_of(session, CHAIN_HEAD, (table, key_of(stored)), stored, sets)
    staged.stage_retryable(Put(table, item, ABSENT, once=True), longer)


def _trail_of(trail: Trail) -> dict[str, Any]:
    """What identifies it."""
    return {"batch_id": trail.batch_id, "table": trail.table, "partition": trail.partition}


def _check_not_behind(session: Session, head: ChainHead, chained: AuditEntry, staged: StagedWrites) -> None:
    """ConflictError when the place after the head is taken: no append would ever succeed.

    The head is read once more after that, for an append writes both at once.
    """
    own = session.table(CHAIN_HEAD), CHAIN_HEAD.keys.build(CHAIN_HEAD.identity(head))
    if own in staged.writes:  # others may be ahead of a head that the unit itself has put there
        return
    place = AUDIT_ENTRY.keys.build(AUDIT_ENTRY.identity(chained))
    if session.engine.get(session.table(AUDIT_ENTRY), [place], consistent=True):
        stored = current_item(session, CHAIN_HEAD, head)
        if (CHAIN_HEAD.decode(stored).seq if stored is not None else 0) == head.seq:
            raise ConflictError(
                f"{session.table(AUDIT_ENTRY)}: {place.pk}: there is an entry {chained.seq}, and the trail's head "
                f"knows of {head.seq}: somebody else wrote one of them; `bluestar-store audit verify` says more"
            )


def has_head(items: Iterable[Item]) -> bool:
    """Whether the head of a trail is among the items; one that is there only as a revision is none."""
    return any(CHAIN_HEAD.owns(item) and not says_nothing_else(item) for item in items)


def trail_items(session: Session, pk: str) -> list[Item]:
    """The items, by sort key.

    The head of the trail is read last, isolated. It knows how many entries there are, which never change: those that
    the query did not see yet are read by key.
    """
    table, head = session.table(CHAIN_HEAD), session.revisions.of_trail(pk)
    part = KeyRange(table, pk, "")
    found = read_parts(session, [head], [part], beside=[head])
    items = found[part]
    known = {identity["seq"] for item in items if (identity := AUDIT_ENTRY.keys.parse(key_of(item)))}
    told = found.beside.get(head, {}).get("seq", {}).get("N", "")
    numbers = (seq for seq in range(1, (int(told) if told.isdecimal() else 0) + 1) if seq not in known)
    late = [Key(pk, AUDIT_ENTRY.keys.sort.build({"seq": seq})) for seq in numbers]
    if BATCH_STATE.keys.partition_identity(pk) is not None:  # which a start writes together, and no revision lists
        seen = set(map(key_of, items))
        late += [key for mapper in (BATCH_STATE, BATCH_RULES) if (key := Key(pk, mapper.keys.sort.prefix)) not in seen]
    for keys in chunks(late, MAX_ISOLATED_KEYS):
        items += session.engine.get_isolated(table, keys).values()
    return sorted(items, key=lambda item: item["SK"]["S"])


STEP_COUNT = "bs_steps"
"""The head's attribute with the number of steps that the last replacement left."""


def pipeline_head(session: Session, pk: str, *, consistent: bool = True) -> Item | None:
    """The stored head of a pipeline, None when the library never replaced it."""
    key = pipeline_head_key(pk)
    return session.engine.get(session.table(CHAIN_HEAD), [key], consistent=consistent).get(key)


def steps_written(session: Session, pk: str, *, consistent: bool = True) -> int:
    """How many steps the library left in the pipeline; 0 when it never wrote one, or removed it."""
    try:
        head = pipeline_head(session, pk, consistent=consistent)
    except (TableMissingError, InvalidKeyError):  # then the library never wrote, or could not: the key is too long
        return 0
    return (step_count(head) if head is not None else None) or 0


def pipeline_head_write(session: Session, pk: str, stored: Item | None, count: int) -> Write:
    """The change of the head that goes with a replacement; it fails when another replacement was faster."""
    head = CHAIN_HEAD.decode(stored) if stored else ChainHead(table=PIPELINE_STEP.table, partition=pk)
    return change_over(session, CHAIN_HEAD, head, stored, {STEP_COUNT: {"N": str(count)}}).write


def pipeline_head_key(pk: str) -> Key:
    """Where the head of a pipeline lies; InvalidKeyError when the pipeline's own key leaves no room for it."""
    return CHAIN_HEAD.keys.build({"batch_id": None, "table": PIPELINE_STEP.table, "partition": pk})
