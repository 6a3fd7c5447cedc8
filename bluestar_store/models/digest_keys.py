"""The keys of digests that cover what is sensitive, and how such a digest is spelled.

A plain digest of an item tells its account number to whoever knows the rest of it and tries all numbers. Digests of
sensitive items therefore take a random key, which lies beside the accounts: items of the table agent-config. Each item
has a key of its own that follows from it, so that an export of one plan can carry the keys of that plan's items.
Where there is encryption, the key of the plan is mixed in: once that is dropped, nobody can try anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from bluestar_store.keys import Key
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.index_marks import HOME
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import VERSION, Item, key_of
from bluestar_store.settings import TableLayout

KEPT_WITH = ACH_CONFIG
"""The kind in whose table they lie: whoever may read the accounts, may read these."""
SCHEME = "hmac-sha256"
PARTITION = "DIGEST-KEYS"
"""The partition of all keys, and of the item that names the store's own."""
CURRENT = Key(PARTITION, "CURRENT")
SALTS = "!DIGEST-SALTS"
"""The partition of an exported file's salt, which sorts before nearly all others."""
KEY_BYTES = 32
MIXED = "."
"""Stands between the id of a store's key and that of a plan's key that is mixed in."""


@dataclass(frozen=True)
class DigestKey:
    """A key of digests: the whole one of a store, or with a `scope` (`{table}/{PK}`) that of a partition's items."""

    id: str
    key: bytes = field(repr=False)
    scope: str | None = None

    @classmethod
    def random(cls) -> DigestKey:
        """A new key of a store."""
        key = secrets.token_bytes(KEY_BYTES)
        return cls(_id_of(key), key)

    def scoped(self, scope: str) -> DigestKey | None:
        """The key of a partition's items; None where this one is another partition's."""
        if self.scope is None:
            return DigestKey(self.id, hmac.digest(self.key, scope.encode(), "sha256"), scope)
        return self if self.scope == scope else None

    def mixed(self, key_id: str, secret: bytes) -> DigestKey:
        """This key of a partition with a plan's key mixed in, which digests name behind this one's."""
        return DigestKey(f"{self.id}{MIXED}{key_id}", hmac.digest(secret, self.key, "sha256"), self.scope)

    def digest(self, value: Any) -> str:
        """The digest of a plain JSON value, by a key of the partition that it lies in."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
        return f"{SCHEME}:{self.id}:{hmac.new(self.key, text, hashlib.sha256).hexdigest()}"

    @property
    def place(self) -> Key:
        """Where its item lies, in the table of bank accounts."""
        of_a_partition = "" if self.scope is None else f"#{hashlib.sha256(self.scope.encode()).hexdigest()}"
        return Key(PARTITION, f"KEY#{self.id}{of_a_partition}")

    def item(self) -> Item:
        """Its item as it lies in layout `per_table`."""
        item: Item = {**_at(self.place), "key": {"B": self.key}}
        return item if self.scope is None else {**item, "scope": {"S": self.scope}}


def key_in(item: Item) -> DigestKey | None:
    """The key in an item; None for one that is none, or is damaged, as if it were not there."""
    try:
        key, scope = item["key"]["B"], item["scope"]["S"] if "scope" in item else None
        found = DigestKey(key_of(item).sk.split("#")[1], key, scope)
    except (KeyError, IndexError, TypeError):
        return None
    whole = isinstance(key, bytes) and len(key) == KEY_BYTES and (scope is not None or _id_of(key) == found.id)
    return found if whole and found.place == key_of(item) else None


def pointer_item(current: DigestKey, version: int) -> Item:
    """The item that says which key a store makes digests with."""
    return {**_at(CURRENT), VERSION: {"N": str(version)}, "key_id": {"S": current.id}}


def salt_item(table: str, salt: bytes) -> Item:
    """The item that makes the SHA-256 of a table's exported file one that tells nothing: see `transfer.digests`."""
    return {"PK": {"S": SALTS}, "SK": {"S": table}, "salt": {"B": salt}}


def is_digest_key(key: Key) -> bool:
    """Whether an item of this key is one of these, or the salt of an export that 0.1.0 imported."""
    return key.pk in (PARTITION, SALTS)


def at_home(tables: Tables, item: Item) -> Item:
    """The item as it lies in these tables: in layout `single` with the name of the table that it belongs to."""
    return {**item, HOME: {"S": KEPT_WITH.table}} if tables.layout is TableLayout.SINGLE else item


def key_named_in(digest: str) -> str | None:
    """The id of the key that a digest was made with; None for a plain one, empty for a scheme that is not known."""
    if ":" not in digest:
        return None
    scheme, _, rest = digest.partition(":")
    return rest.partition(":")[0] if scheme == SCHEME else ""


def _at(key: Key) -> Item:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}, VERSION: {"N": "1"}}


def _id_of(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:16]
