"""Encrypts stored plain text: item by item, each by a versioned write, so that it can be interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bluestar_store.errors import ConfigurationError, ConflictError, ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import SealedValue, is_ciphertext
from bluestar_store.mapping.values import version_of
from bluestar_store.models.digest_keys import KEPT_WITH, is_digest_key
from bluestar_store.protocols import VERSION, AsRead, AttributeValue, Item, Update, key_of, scan_pages
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.changes import PlannedWrite, item_after, item_version, update_of
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.repositories.stored_items import Wanted, stored_items
from bluestar_store.repositories.trail import record_change, trail_head
from bluestar_store.repositories.transaction import StagedWrites


@dataclass
class EncryptionReport:
    """Items by their kind's name: encrypted (or to be, in a dry run), and encrypted before.

    `keys`: plans' keys that were wrapped anew under the first key of the settings, and keys of digests. `kept`: entries
    of audit trails that were written in plain text, which nobody can change. `failed`: why an item was left as it is.
    """

    encrypted: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    keys: int = 0
    kept: int = 0
    failed: list[str] = field(default_factory=list)


def plain_attributes(mapper: Mapper[Any], item: Item, *, records: bool) -> dict[str, AttributeValue]:
    """The attributes of an item that should be encrypted and are not."""
    wanted = mapper.sensitive_attributes | (mapper.record_attributes if records else frozenset())
    return {
        name: value
        for name in sorted(wanted)
        if (value := item.get(name)) is not None
        and not isinstance(value, SealedValue)
        and not is_ciphertext(value)
        and "NULL" not in value
    }


def is_plain_digest_key(item: Item) -> bool:
    """Whether this is a key of digests that lies there in plain text."""
    return is_digest_key(key_of(item)) and "key" in item and not isinstance(item["key"], SealedValue)


@without_locals
def encrypt_all(
    sessions: Sessions,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
    actor: str | None = None,
) -> EncryptionReport:
    """Encrypt every value that the settings say, and rewrap plans' keys under the first of the settings' keys.

    Safe beside writers, and to be repeated: what was done is not done again. An item's version counts it, and a rule's
    trail tells it. Raises ConfigurationError without a key, and EngineError.
    """
    sealing = sessions.sealing
    if sealing is None:
        raise ConfigurationError(
            "there is no key to encrypt with: set BLUESTAR_ENCRYPTION_KEY or BLUESTAR_ENCRYPTION_KMS_KEY"
        )
    session = sessions.current().acting_as(actor)
    report = EncryptionReport()
    for mapper, item in _items(session, progress):
        key = key_of(item)
        try:
            if mapper is None:
                report.keys += 1
                if not dry_run:
                    version = version_of(item)
                    expect = AsRead(version, {"key": item["key"]})
                    sets = {"key": item["key"], VERSION: {"N": str(version + 1)}}  # encrypted on its way
                    session.committed.write(Update(session.table(KEPT_WITH), key, sets, expect=expect))
            elif mapper.holds_keys:
                report.keys += sealing.keys.rewrapped(mapper.decode(item), dry_run=dry_run)
            elif plain_attributes(mapper, item, records=sealing.records):
                if mapper.append_only:
                    report.kept += 1
                elif dry_run or _encrypt(sessions, actor, mapper, mapper.decode(item, session.table(mapper)), key):
                    report.encrypted[mapper.name] = report.encrypted.get(mapper.name, 0) + 1
            elif any(isinstance(value, SealedValue) for value in item.values()):
                report.before[mapper.name] = report.before.get(mapper.name, 0) + 1
        except (ItemDecodeError, ConflictError) as error:
            report.failed.append(str(error))
    return report


def _items(session: Session, progress: Callable[[int], None] | None) -> Iterator[tuple[Mapper[Any] | None, Item]]:
    """Every item of a kind that has something to encrypt, and every plan's key."""
    kinds = [mapper for mapper in session.tables.kinds if mapper.is_sensitive or mapper.records or mapper.holds_keys]
    for table in dict.fromkeys(map(session.table, kinds)):
        here = [mapper for mapper in kinds if session.table(mapper) == table]
        for items in scan_pages(session.engine, table):
            for item in items:
                key = key_of(item)
                mapper = next((mapper for mapper in here if mapper.keys.parse(key) is not None), None)
                if mapper is not None:
                    yield mapper, item
                elif is_plain_digest_key(item):
                    yield None, item
            if progress is not None:
                progress(len(items))


def _encrypt(sessions: Sessions, actor: str | None, mapper: Mapper[Any], entity: Entity, key: Key) -> bool:
    """Encrypt one item as it is by now; whether there was anything left to do."""
    done = [False]
    wanted = [Wanted(mapper, mapper.identity(entity), key)]

    def step(session: Session, staged: StagedWrites) -> None:
        records = session.records and mapper.rule_list is not None
        item, *heads = stored_items(session, [*wanted, trail_head(mapper, key.pk)] if records else wanted)
        change = _change(session, mapper, item) if item is not None else None
        done[0] = change is not None
        if change is None:
            return
        staged.stage_retryable(change.write)
        if records:
            record_change(session, mapper, change, staged, heads[0], action="encrypt")

    with sessions.unit(actor) as session:
        session.run_step(step)
    return done[0]


def _change(session: Session, mapper: Mapper[Any], item: Item) -> PlannedWrite | None:
    sealing = session.sealing
    plain = plain_attributes(mapper, item, records=sealing is not None and sealing.records)
    if not plain:
        return None
    key = key_of(item)
    item_version(session, mapper, item)  # who counts otherwise is not written over
    sets = {**session.sealed(mapper, key, plain), **_keyed(session, mapper, key, item)}
    update = update_of(session, mapper, (session.table(mapper), key), item, sets)
    return PlannedWrite(mapper, update, item, item_after(update, item), settled=False)


def _keyed(session: Session, mapper: Mapper[Any], key: Key, item: Item) -> Mapping[str, AttributeValue]:
    """The digest of a result that is to be encrypted: one that anybody can compute would tell it."""
    if mapper.digested is None or not (plain := item.get("digest", {}).get("S")):
        return {}
    keyed = session.keyed_digest(mapper, key, mapper.digested, plain)
    return {"digest": {"S": keyed}} if keyed else {}
