"""What every change of a rule leaves behind: an entry in the trail of the partition that its item lies in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bluestar_store.engines.checks import MAX_DEPTH
from bluestar_store.errors import EncryptedValueError, ItemDecodeError
from bluestar_store.mapping.canonical import canonical_bytes, digest, plain_value
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import is_ciphertext
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry, Trail
from bluestar_store.protocols import OWN_PREFIX, VERSION, Check, Item, key_of
from bluestar_store.redaction.masking import has_secret, masked, redacted
from bluestar_store.repositories.chain import append_after, append_step, head_of
from bluestar_store.repositories.changes import Change
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored import Wanted
from bluestar_store.repositories.transaction import Bookkeeping

HIDDEN = ("PK", "SK", VERSION)
"""Attributes that say nothing of what changed."""
LONGEST_VALUE, LONGEST_CHANGE = 4_096, 200_000
"""Bytes of canonical JSON that an entry tells of a value, and of all changed attributes. An entry is an item, of 400 KB
at most (AWS limit), and so is what was there before a change, and what is there after it."""

ENCRYPTED = "(encrypted)"
"""Stands for a value whose key was dropped."""

DEEPEST_VALUE = MAX_DEPTH - 5
"""Lists and maps in each other that an entry tells of a value, which lies four levels deep in the entry itself."""


def trail_head(mapper: Mapper[Any], pk: str) -> Wanted:
    """The head of the trail that changes in this partition leave, to be read."""
    return head_of(Trail(table=mapper.table, partition=pk))


def record_change(
    session: Session,
    mapper: Mapper[Any],
    change: Change,
    unit: Bookkeeping,
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
    append_after(session, _entry(session, mapper, change.write.key.pk, action, details), head, unit)


def record_replacement(
    session: Session, mapper: Mapper[Any], pk: str, before: Sequence[Item], after: Sequence[Item], unit: Bookkeeping
) -> None:
    """The same for a whole pipeline: how many steps it had and has, and their digests."""
    details = {
        f"{what}_{when}": value
        for when, items in (("before", before), ("after", after))
        for what, value in (("steps", len(items)), ("digest", _digest_of_all(session, mapper, items)))
    }
    append_step(session, unit, _entry(session, mapper, pk, "replace" if after else "remove", details))


def _entry(session: Session, mapper: Mapper[Any], pk: str, action: str, details: dict[str, Any]) -> AuditEntry:
    entry = AuditEntry(
        table=mapper.table, partition=pk, seq=0, actor=session.actor, action=action, at=session.now(), details=details
    )
    return AUDIT_ENTRY.validated(entry)


def change_details(session: Session, change: Change) -> dict[str, Any]:
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
        "item": key_of(after or before).sk,
        "digest_before": _digest(session, mapper, before, change.entity_before),
        "digest_after": _digest(session, mapper, after, change.entity_after),
        **({"changed": changed} if fits else {"changed_attributes": len(changed)}),
    }


def _shown(session: Session, mapper: Mapper[Any], name: str, item: Item, *, secret: bool) -> Any:
    if is_ciphertext(item[name]):
        return ENCRYPTED
    value = from_wire(item[name])
    if secret:
        return masked(str(value))
    length = canonical_bytes(plain := plain_value(value))
    told = length <= LONGEST_VALUE and _levels(value) <= DEEPEST_VALUE
    if told:
        return redacted(name, value, digits=False)
    if mapper.is_sensitive or has_secret(name, value):
        return {"digest": session.digests.of_value(mapper, key_of(item).pk, plain), "bytes": length}
    return {"digest": digest(plain), "bytes": length}


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
